// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/golden"
	needs "github.com/cudabuild/cudabuild/internal/require"
)

// judged are the hosts on which every requirement is evaluated.
var judged = []compat.Host{
	{Driver: "535.161.07", CUDA: "12.2", GPU: compat.Target{SM: 90}, Brand: "NVIDIA"},
	{Driver: "550.54.14", CUDA: "12.4", GPU: compat.Target{SM: 89}, Brand: "GeForceRTX"},
	{Driver: "470.256.02", CUDA: "11.4", GPU: compat.Target{SM: 70}, Brand: "Tesla"},
	{Driver: "580.65.06", CUDA: "13.0", GPU: compat.Target{SM: 100}, Brand: "NVIDIA"},
	{Driver: "450.80.02", CUDA: "11.0"}, // no GPU is selected
}

// odd are requirements with something that is easily read otherwise.
var odd = []string{
	"", " ", ",", " , ", ",,,", "cuda>=12.4,", ",cuda>=12.4", "cuda>=12.4,,driver>=525", "cuda>=12.4 ", "  cuda>=12.4   driver>=1 ",
	"cuda>=99 os=linux", "os=linux cuda>=12.4", "cuda>=11 os=linux", "cuda>=11,os=linux", "cuda>=99,os=linux", "cuda>=99 , cuda>=11", ", cuda>=99", "cuda>=99 ,", "cuda>=11 , os=linux",
	"\"cuda>=12.4\"", "'cuda>=12.4'", "cuda>=\"12.4\"", "cuda>='12.4'", "cuda>=12.4\tdriver>=525", "\tcuda>=12.4", "cuda>=12.4\t", "cuda>=12.4\n", "cuda >= 12.4", "cuda>= 12.4", "cuda >=12.4",
	"CUDA>=12.3", "Cuda>=12.3", "DRIVER>=525", "Arch>=8.0", "BRAND=nvidia", "brand=TESLA", "brand=NVIDIA", "brand=GeforceRTX", "brand=geforce", "brand!=geforce", "brand!=GEFORCERTX",
	"cuda=>12", "cuda==12.2", "cuda=!12", "cuda!12.2", "cuda!12.4", "brand!tesla", "cuda<>12", "cuda<=>12", "cuda=<12", "cuda>==12", "cuda!!12", "cuda!=12.2", "cuda><12", "cuda>12.2", "cuda<12.4", "cuda<=12.2",
	"cuda", "cuda>=", "cuda>", ">=12", "=", "!", "<", "cuda>=twelve", "cuda>=12.x", "cuda>=v12.4", "cuda>=12.4.1-rc1", "cuda>=12.4;x", "cuda>=12.4;driver>=525", "cuda>=12<13", "cuda>=12=12",
	"cuda>=.", "cuda>=..", "cuda>=.12", "cuda>=12.", "cuda>=12..2", "cuda>=12.2.", "cuda>=12.2.0.0.0", "cuda=12.2.0.0.0", "cuda=12.02", "cuda=012.2", "cuda>12.2.0", "cuda<12.2.0", "cuda<12.2.1", "cuda!=12.2.0", "cuda=12", "cuda>=12", "cuda>12", "cuda<12", "cuda<=12",
	"cuda=12.20", "cuda<12.20", "cuda>=12.10", "cuda>=9.0", "cuda<9.0", "cuda>=1000000", "cuda>=12.2.00000000000000000001",
	"cuda>=18446744073709551615", "cuda>=18446744073709551614", "cuda>=99999999999999999999", "cuda<99999999999999999999", "cuda>=11.99999999999999999999", "cuda>=12.99999999999999999999", "cuda=12.2.99999999999999999999", "cuda>=13.0.99999999999999999999",
	"brand>=tesla", "brand<nvidia", "brand==tesla", "brand=", "brand!=", "brand=tesla,driver>=470,driver<471", "brand=tesla,brand=nvidia", "brand=tesla brand=nvidia", "brand>=tesla cuda>=11", "cuda>=11 brand>=tesla",
	"brand=te\u017fla", "\u212auda>=11", "brand=nvidia\u00a0", "cuda>=12\u00a0", "arch>=8.0", "arch>=9.0", "arch=8.9", "arch!=9.0", "arch<10.0", "arch>=10.0", "arch=foo", "arch>=sm_90", "arch>=foo", "arch>=", "arch", "arch>=8.0,brand=nvidia", "arch>=8.0 brand=tesla",
	"driver>=525.60.13", "driver>=525.60.13.", "driver>=535.161.7", "driver=535.161.07", "driver<536", "driver>=535.161.07.1", "driver>=450.80.02", "driver>=450.51.05,driver<451", "driver!=470.256.2", "driver>470,driver<=550.54.14", "driver>=r535", "driver>=535.*",
	"uptime>=1", "cuda >=12,driver>=1", "cudadriver>=1", "cuda_version>=12", "-cuda>=12", "cuda-toolkit>=12", "kernel>=5 cuda>=11", "foo", "foo bar", "csv-mounts=all", "base-only", "a=b", "cuda>=99,foo", "cuda>=11,foo", "foo,cuda>=11", "cuda>=99 foo", "cuda>=11 foo",
	"cuda>=12.4|cuda>=11", "cuda>=12.4&&driver>=525", "cuda>=12.4 || driver>=525", "(cuda>=11)", "cuda>=11)", "!cuda>=12", "cuda>=12#x", "cuda>=12 #x", "${CUDA}>=12", "cuda>=$CUDA_VERSION", "cuda>=${CUDA_VERSION%.*}",
	nvidia124, "cuda>=" + strings.Repeat("9", 19), "cuda>=" + strings.Repeat("0", 117) + "99", "cuda>=" + strings.Repeat("0", 118) + "99", "cuda>=" + strings.Repeat("0", 119) + "99", "cuda>=" + strings.Repeat("0", 120) + "99", "cuda>=" + strings.Repeat("0", 200) + "9",
	"brand=" + strings.Repeat("x", 119), "brand=" + strings.Repeat("x", 120), "brand=" + strings.Repeat("x", 121), "brand=" + strings.Repeat("x", 118), "brand!=" + strings.Repeat("x", 300), strings.Repeat("cuda>=99 ", 500) + "driver>=1",
}

// requirements are the odd ones and every comparison of every property with values
// around those of the hosts, alone and in both kinds of company.
func requirements() []string {
	all := append([]string{}, odd...)
	for property, values := range map[string][]string{"cuda": {"11.4", "12"}, "driver": {"535", "550.54.14"}, "arch": {"8.9", "9"}, "brand": {"tesla", "Nvidia"}} {
		for _, op := range []string{"=", "!=", "<", "<=", ">", ">=", "!", "=="} {
			for _, value := range values {
				t := property + op + value
				all = append(all, t, t+" brand=tesla,driver<471", t+",cuda>=11.4")
			}
		}
	}
	return all
}

// recorded is one requirement and what libnvidia-container's evaluator said of it, one
// word for each host.
type recorded struct {
	Value   string   `json:"value"`
	Answers []string `json:"answers"`
}

// TestEvaluator compares with the recorded answers of libnvidia-container 1.12.1.
func TestEvaluator(t *testing.T) {
	t.Parallel()
	cases := readAnswers(t)
	if len(cases) < 300 {
		t.Errorf("%d requirements are recorded, want at least 300", len(cases))
	}
	for _, c := range cases {
		r, _ := compat.ParseRequirement("X", c.Value)
		var got []string
		for _, h := range judged {
			a := r.Check(h)
			if (a.Why == "") != a.Holds {
				t.Errorf("%q on %+v: %+v, want a reason where it does not hold", c.Value, h, a)
			}
			got = append(got, word(a))
		}
		if diff := cmp.Diff(c.Answers, got); diff != "" {
			t.Errorf("%q (-judge +got):\n%s", c.Value, diff)
		}
	}
}

func word(a compat.Answer) string {
	switch {
	case a.Holds:
		return "holds"
	case a.Refused:
		return "refused"
	}
	return "fails"
}

// TestEvaluatorJudge compiles libnvidia-container's evaluator, with its own rules, and
// compares its answers with the recorded ones; with -update it records them.
func TestEvaluatorJudge(t *testing.T) {
	t.Parallel()
	judge := compileJudge(t)
	var questions bytes.Buffer
	values := requirements()
	for _, value := range values {
		for _, h := range judged {
			arch, brand := "-", "-"
			if (h.GPU != compat.Target{}) {
				arch, brand = h.GPU.Capability(), h.Brand
			}
			fmt.Fprintf(&questions, "%s\x00%s\x00%s\x00%s\x00%s\x00", h.Driver, h.CUDA, arch, brand, value)
		}
	}
	cmd := exec.CommandContext(t.Context(), judge)
	cmd.Stdin = &questions
	out, err := cmd.Output()
	answers := strings.Fields(string(out))
	if err != nil || len(answers) != len(values)*len(judged) {
		t.Fatalf("the judge: %v, %d answers, want %d", err, len(answers), len(values)*len(judged))
	}
	var text strings.Builder
	for i, value := range values {
		line, err := json.Marshal(recorded{value, answers[i*len(judged) : (i+1)*len(judged)]})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", line)
	}
	golden.Check(t, filepath.Join("testdata", "requirements.jsonl"), sorted(text.String()))
}

func compileJudge(t *testing.T) string {
	t.Helper()
	src := os.Getenv("CUDABUILD_LIBNVIDIA_CONTAINER")
	if src == "" {
		needs.Missing(t, "libnvidia-container", errors.New("CUDABUILD_LIBNVIDIA_CONTAINER names no checkout of its source"))
	}
	src = filepath.Join(src, "src")
	judge := filepath.Join(t.TempDir(), "judge")
	args := []string{
		"-O1", "-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all", "-D_GNU_SOURCE", "-w", "-o", judge,
		"-Itestdata/judge", "-I" + filepath.Join(src, "cli"), "-I" + src, "testdata/judge/evaluator.c",
	}
	for _, file := range []string{"cli/dsl.c", "error_generic.c", "utils.c"} {
		args = append(args, filepath.Join(src, file))
	}
	if out, err := exec.CommandContext(t.Context(), "cc", args...).CombinedOutput(); err != nil {
		needs.Missing(t, "libnvidia-container", fmt.Errorf("cc: %w: %s", err, out))
	}
	return judge
}

func readAnswers(t *testing.T) (all []recorded) {
	t.Helper()
	data, err := os.ReadFile("testdata/requirements.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var c recorded
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// sorted sorts lines, so that the file does not depend on the order of a map.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
