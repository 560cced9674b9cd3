// SPDX-License-Identifier: Apache-2.0

package place_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/require"
)

// boards are GPUs by the names that drivers give them, with the brand as package compat spells it and as
// NVIDIA's DRA driver does. Of an architecture that no board here has, one is made up.
var boards = []struct{ name, capability, brand, published string }{
	{"Tesla K40m", "3.5", "tesla", "Tesla"},
	{"Tesla K80", "3.7", "tesla", "Tesla"},
	{"NVIDIA GeForce GTX 750 Ti", "5.0", "geforce", "GeForce"},
	{"Tesla M60", "5.2", "tesla", "Tesla"},
	{"GeForce GTX 980 Ti", "5.2", "geforce", "GeForce"},
	{"Tesla P100-PCIE-16GB", "6.0", "tesla", "Tesla"},
	{"Quadro GP100", "6.0", "quadro", "Quadro"},
	{"Tesla P40", "6.1", "tesla", "Tesla"},
	{"NVIDIA GeForce GTX 1080 Ti", "6.1", "geforce", "GeForce"},
	{"GeForce GTX 1080", "6.1", "geforce", "GeForce"},
	{"NVIDIA TITAN Xp", "6.1", "titan", "Titan"},
	{"Quadro P4000", "6.1", "quadro", "Quadro"},
	{"Tesla V100-SXM2-32GB", "7.0", "tesla", "Tesla"},
	{"NVIDIA TITAN V", "7.0", "titan", "Titan"},
	{"Quadro GV100", "7.0", "quadro", "Quadro"},
	{"Tesla T4", "7.5", "tesla", "Tesla"},
	{"NVIDIA GeForce RTX 2080 Ti", "7.5", "geforce", "GeForce"},
	{"NVIDIA GeForce GTX 1660 SUPER", "7.5", "geforce", "GeForce"},
	{"NVIDIA TITAN RTX", "7.5", "titan", "Titan"},
	{"Quadro RTX 8000", "7.5", "quadrortx", "QuadroRTX"},
	{"NVIDIA T1000", "7.5", "quadro", "Quadro"},
	{"NVIDIA A100-SXM4-80GB", "8.0", "nvidia", "Nvidia"},
	{"NVIDIA A100-PCIE-40GB", "8.0", "nvidia", "Nvidia"},
	{"NVIDIA A10", "8.6", "nvidia", "Nvidia"},
	{"NVIDIA GeForce RTX 3090", "8.6", "geforce", "GeForce"},
	{"NVIDIA RTX A6000", "8.6", "nvidiartx", "NvidiaRTX"},
	{"NVIDIA L40S", "8.9", "nvidia", "Nvidia"},
	{"NVIDIA GeForce RTX 4090", "8.9", "geforce", "GeForce"},
	{"NVIDIA RTX 6000 Ada Generation", "8.9", "nvidiartx", "NvidiaRTX"},
	{"NVIDIA H100 80GB HBM3", "9.0", "nvidia", "Nvidia"},
	{"NVIDIA GH200 480GB", "9.0", "nvidia", "Nvidia"},
	{"NVIDIA B200", "10.0", "nvidia", "Nvidia"},
	{"NVIDIA GB300", "10.3", "nvidia", "Nvidia"},
	{"NVIDIA GeForce RTX 5090", "12.0", "geforce", "GeForce"},
	{"NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0", "nvidiartx", "NvidiaRTX"},
	{"NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0", "nvidiartx", "NvidiaRTX"},
	{"NVIDIA GB10", "12.1", "nvidia", "Nvidia"},
}

// others are architectures of no board above: old ones, Tegra parts, and some that nobody knows.
var others = []string{"2.0", "2.1", "3.0", "3.2", "5.3", "6.2", "7.2", "8.7", "10.1", "11.0", "8.8", "9.1", "10.5", "12.2", "15.0"}

// host is a host with what a cluster says of it.
type host struct {
	compat     compat.Host
	Labels     map[string]string `json:"labels"`
	Driver     string            `json:"driver"`
	Capability string            `json:"compute_capability"`
	Brand      string            `json:"brand"`
}

// hosts makes n of them. Every tenth has no GPU.
func hosts(n int, random *rand.Rand) (all []host) {
	drivers := drivers()
	for i := range n {
		if i%10 == 0 {
			all = append(all, host{Labels: map[string]string{"kubernetes.io/os": "linux"}})
			continue
		}
		g := gpu.GPU{MemoryBytes: 80 << 30}
		var published string
		if k := random.IntN(len(boards) + len(others)); k < len(boards) {
			g.Name, g.Capability, g.Brand, published = boards[k].name, boards[k].capability, boards[k].brand, boards[k].published
		} else {
			g.Name, g.Capability, g.Brand, published = "Tesla Z1", others[k-len(boards)], "tesla", "Tesla"
		}
		driver := drivers[random.IntN(len(drivers))]
		labels := place.Labels(gpu.Host{Driver: driver, CUDA: compat.DriverCUDA(driver), GPUs: slices.Repeat([]gpu.GPU{g}, 1+random.IntN(8))})
		age(labels, random)
		target, _ := compat.ParseTarget(g.Capability)
		all = append(all, host{compat.Host{Driver: driver, GPU: target, Brand: g.Brand}, labels, driver, g.Capability, published})
	}
	return all
}

// age makes labels those of an older discovery, or of one that writes no empty revision, or of shared GPUs.
func age(labels map[string]string, random *rand.Rand) {
	drop := map[int]string{0: "cuda.driver-version.", 1: "cuda.driver."}[random.IntN(4)]
	revisions := random.IntN(2) == 0
	for key, value := range labels {
		if drop != "" && strings.HasPrefix(key, "nvidia.com/"+drop) || revisions && value == "" {
			delete(labels, key)
		}
	}
	if random.IntN(5) == 0 {
		labels["nvidia.com/gpu.product"] += "-SHARED"
	}
}

// drivers are those of the tables, of the images below, and what is as near to them as a driver can be; and
// some of branches that nobody knows.
func drivers() (all []string) {
	known := compat.Drivers()
	for _, major := range compat.Branches() {
		known = append(known, fmt.Sprint(major))
	}
	for major := 6; major < 14; major++ {
		for minor := range 10 {
			if d := compat.FirstDriver(fmt.Sprintf("%d.%d", major, minor)); d != "" {
				known = append(known, d)
			}
		}
	}
	known = append(known, "535.161.07", "470.57.02", "550.54.14", "545.23.06", "580.159.04", "565.77", "550.120", "615.71.09")
	for _, d := range known {
		var a, b, c int
		fmt.Sscanf(d, "%d.%d.%d", &a, &b, &c) // what is missing is zero
		for _, v := range [][3]int{{a, b, c}, {a, b, c + 1}, {a, b, c - 1}, {a, b + 1, 0}, {a, b - 1, 99}, {a, b - 1, 0}, {a + 1, 0, 0}, {a - 1, 999, 99}, {a, b, 0}, {a + 3, 12, 5}} {
			switch {
			case v[1] < 0 || v[2] < 0:
			case v[2] == 0:
				all = append(all, fmt.Sprintf("%d.%d", v[0], v[1]), fmt.Sprintf("%d.%d.00", v[0], v[1]))
			default:
				all = append(all, fmt.Sprintf("%d.%d.%02d", v[0], v[1], v[2]))
			}
		}
	}
	all = append(all, "304.137", "999.10", "1000.1.01", "700.20.30")
	slices.Sort(all)
	return slices.Compact(all)
}

// nvidia is what NVIDIA's own images ask for, for a release and the branches that its cuda-compat is for.
func nvidia(cuda string, branches ...int) string {
	value := "cuda>=" + cuda
	for _, branch := range branches {
		for _, brand := range []string{"unknown", "grid", "tesla", "nvidia", "quadro", "quadrortx", "nvidiartx", "vapps", "vpc", "vcs", "vws", "cloudgaming"} {
			value += fmt.Sprintf(" brand=%s,driver>=%d,driver<%d", brand, branch, branch+1)
		}
	}
	return value
}

// images are needs of many kinds.
func images(t *testing.T) map[string]compat.Needs {
	t.Helper()
	needs := func(value, runtime, code string) compat.Needs {
		n := compat.Needs{Parts: []compat.Part{{Name: "app", Runtime: runtime}}}
		for word := range strings.FieldsSeq(code) {
			isa, arch, ptx := strings.Cut(strings.TrimPrefix(word, "ptx"), ":")
			if !ptx {
				arch = word
			}
			target, err := compat.ParseTarget(arch)
			if ptx {
				n.Parts[0].PTX = append(n.Parts[0].PTX, compat.PTX{Target: target, ISA: isa})
			} else {
				n.Parts[0].SASS = append(n.Parts[0].SASS, target)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if value != "" {
			r, err := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", value)
			if err != nil {
				t.Fatal(err)
			}
			n.Require = []compat.Requirement{r}
		}
		return n
	}
	const all124 = "sm_50 sm_52 sm_60 sm_61 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 ptx8.4:compute_90"
	with := func(n compat.Needs, c ...compat.Compat) compat.Needs { n.Compat = c; return n }
	places := func(n compat.Needs, p ...compat.Place) compat.Needs {
		n.Searches = []compat.Search{{Places: p}}
		return n
	}
	own := func(l compat.Libcuda) compat.Place {
		return compat.Place{Kind: compat.PlaceOwn, Path: "usr/lib/libcuda.so.1", Own: l}
	}
	return map[string]compat.Needs{
		"nothing":                {},
		"11.2-nbody-debian11":    needs("driver>=450.80.02", "11.2", "sm_35 sm_50 sm_52 sm_60 sm_61 sm_70 sm_75 sm_80 sm_86 ptx7.2:compute_86"),
		"11.8-nbody-debian12":    needs("driver>=450.80.02", "11.8", "sm_35 sm_50 sm_52 sm_60 sm_61 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 ptx7.8:compute_90"),
		"12.4-nbody-debian13":    needs("driver>=525.60.13", "12.4", all124),
		"13.0":                   needs("driver>=580.65.06", "13.0", "sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_103 sm_120 sm_121 ptx9.0:compute_121"),
		"9.0":                    needs("cuda>=9.0", "9.0", "sm_30 sm_35 sm_50 sm_60 sm_70 ptx6.0:compute_70"),
		"cuda-compat 12.4":       with(needs(nvidia("12.4", 470, 525, 535), "12.4", all124), compat.Compat{Driver: "550.54.14"}),
		"cuda-compat 11.8":       with(needs(nvidia("11.8", 450, 470, 510, 515), "11.8", "sm_35 sm_50 sm_60 sm_70 sm_80 sm_90"), compat.Compat{Driver: "520.61.05"}),
		"cuda-compat 13.1":       with(needs("", "13.1", "sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120 ptx9.1:compute_120"), compat.Compat{Driver: "590.44.01"}),
		"cuda-compat with notes": with(needs("", "12.4", all124), compat.Compat{Driver: "550.54.14", Note: true, Branches: []int{470, 535}}),
		"two cuda-compats":       with(needs("", "12.4", all124), compat.Compat{Driver: "550.54.14"}, compat.Compat{Driver: "535.161.07"}),
		"PTX alone":              needs("", "12.4", "ptx8.4:compute_80"),
		"sm_90a":                 needs("", "12.4", "sm_90a"),
		"sm_100f":                needs("", "12.9", "sm_100f"),
		"leaked libcuda":         places(needs("", "12.4", all124), own(compat.Libcuda{Driver: "535.161.07"})),
		"leaked cuda-compat":     places(needs("", "12.4", all124), own(compat.Libcuda{Driver: "550.54.14", Forward: true})),
		"in the host's folder":   places(needs("", "12.4", all124), compat.Place{Kind: compat.PlaceHost, Path: "usr/lib/libcuda.so.1", Rank: "545.23.06", Own: compat.Libcuda{Driver: "545.23.06"}}),
		"one driver":             needs("driver=470.57.02", "", ""),
		"all but one":            needs("driver!=535.161.07", "12.4", all124),
		"up to one":              needs("driver<=550.54.14,driver>=470.57.02 driver>580.65.06", "11.0", "sm_70 sm_80 ptx7.0:compute_80"),
		"brands":                 needs("brand=tesla,driver>=418,driver<419 brand!=geforce,cuda>=11.0", "", ""),
		"two numbers":            needs("driver>=565.77 driver<=550.120,driver>=545", "12.4", all124),
	}
}

// TestAgreement asks Kubernetes itself about ten thousand hosts: its matcher of node affinities and
// its CEL must say of each what is predicted.
func TestAgreement(t *testing.T) {
	t.Parallel()
	judge, err := filepath.Abs("../../bin/agree")
	if err == nil {
		_, err = os.Stat(judge)
	}
	if err != nil {
		require.Missing(t, "agree", fmt.Errorf("make bin/agree: %w", err))
	}
	all := hosts(10_000, rand.New(rand.NewPCG(17, 4))) // the same hosts every time
	images := images(t)
	names := slices.Sorted(maps.Keys(images))
	type question struct {
		Affinity place.NodeAffinity `json:"affinity"`
		CEL      string             `json:"cel"`
	}
	asked := struct {
		Hosts  []host     `json:"hosts"`
		Images []question `json:"images"`
	}{Hosts: all}
	for _, name := range names {
		regions := compat.Where(images[name], compat.HookCDI)
		asked.Images = append(asked.Images, question{place.Affinity(regions), place.CEL(regions)})
		t.Logf("%s: %d regions, %d terms, %d bytes of CEL", name, len(regions), len(place.Affinity(regions).Required.Terms), len(place.CEL(regions)))
	}
	document, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), judge)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(document), os.Stderr
	out, err := cmd.Output()
	answers := strings.Fields(string(out))
	if err != nil || len(answers) != 2*len(names) {
		t.Fatalf("the judge: %v, %d answers, want %d", err, len(answers), 2*len(names))
	}
	for i, name := range names {
		compare(t, name, images[name], all, answers[2*i], answers[2*i+1])
	}
}

func compare(t *testing.T, name string, n compat.Needs, all []host, labels, attributes string) {
	t.Helper()
	runs, wrong := 0, 0
	for i, h := range all {
		p := compat.Prediction{Verdict: compat.No, Why: "there is no GPU"}
		if h.Driver != "" {
			p = compat.Predict(n, h.compat)
		}
		want := "0"
		if p.Verdict.Runs() {
			want, runs = "1", runs+1
		}
		if labels[i:i+1] == want && attributes[i:i+1] == want {
			continue
		}
		if wrong++; wrong < 5 {
			t.Errorf("%s on %+v: labels say %c, CEL says %c, want %s: %s (%s)", name, h, labels[i], attributes[i], want, p.Verdict, p.Why)
		}
	}
	if runs == 0 || wrong > 0 {
		t.Errorf("%s: %d of %d hosts are told wrong, it runs on %d", name, wrong, len(all), runs)
	}
}
