// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// untrusted returns what a catalog has of stand-ins: keys that are marked as one, and toolkits with
// the state of a repository that no key of the source has signed.
func untrusted(c *recipes.Catalog) (found []string) {
	for _, source := range c.Sources() {
		var keys []recipes.Key
		for _, name := range c.OSNames() {
			for _, cuda := range c.CUDAFor(name) {
				if r, _ := c.Recipe(name, cuda); r.Source.Name == source {
					keys = r.Source.Keys
				}
			}
		}
		for _, k := range keys {
			if k.StandIn == "true" {
				found = append(found, "key "+k.ID)
			}
		}
		for _, t := range c.Toolkits(source) {
			for place, index := range t.Index {
				if !slices.ContainsFunc(keys, func(k recipes.Key) bool { return k.ID == index.Key && k.StandIn != "true" }) {
					found = append(found, t.File+" "+place)
				}
			}
		}
	}
	return found
}

// indexed is a toolkit whose pins are from where that says.
func indexed(from string) map[string]string {
	return map[string]string{"toolkit/13.0.9.yaml": `cuda: "13.0.9"
os: {linux/amd64: [ubuntu24.04, rockylinux9], linux/arm64: [ubuntu24.04]}
` + from + `
pins:
  cudart: 13.0.901
  nvtx: 13.0.902
  npp: 13.0.2.903
  cusparse: 12.7.2.904
  cublas: 13.2.0.905
  nvml: 13.0.906
  nccl: 2.99.1
`}
}

// TestNoStandIn: no committed recipe has a pin of a stand-in.
func TestNoStandIn(t *testing.T) {
	t.Parallel()
	if found := untrusted(load(t)); len(found) > 0 {
		t.Errorf("committed: %v", found)
	}
	with := load(t, dir(t, indexed("index: {ubuntu2404/x86_64: "+state("99999999")+"}")))
	if found := untrusted(with); len(found) != 1 || found[0] != "toolkit/13.0.9.yaml ubuntu2404/x86_64" {
		t.Errorf("found %v, want the toolkit with a key that nobody pins", found)
	}
}

// state is one of a repository that a key has signed.
func state(key string) string {
	return fmt.Sprintf("{date: 2026-11-30, key: %q, sha256: %s}", key, strings.Repeat("a", 64))
}

// TestIndexOfNumber: the release's own number is from the repository that is named for it, whatever
// document was read; and from none if that one does not count.
func TestIndexOfNumber(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"3bf863cc": "nvidia's repository ubuntu2404/x86_64", "00000001": ""} {
		named := strings.Replace(state(key), "}", ", pins: [version]}", 1)
		c := load(t, dir(t, indexed("read: {S1: [ubuntu24.04]}\nindex: {ubuntu2404/x86_64: "+named+"}")))
		r := find(t, c, "ubuntu24.04", "13.0.9")
		pin, ok := r.Pin("cuda-libraries-13-0=13.0.9-1")
		if ok != (want != "") || !strings.HasPrefix(pin.Source, want) {
			t.Errorf("by key %s: cuda-libraries is %+v, want it from %q", key, pin, want)
		}
	}
}

// TestIndexWhole: a later folder cannot say of a state of a repository in part what another has read.
func TestIndexWhole(t *testing.T) {
	t.Parallel()
	root := dir(t, indexed("index: {ubuntu2404/x86_64: "+state("3bf863cc")+"}"))
	for _, text := range []string{"date: 2026-12-01", "pins: [cublas]", "sha256: " + strings.Repeat("b", 64)} {
		over := dir(t, map[string]string{"toolkit/13.0.9.yaml": "index: {ubuntu2404/x86_64: {" + text + "}}\n"})
		if _, err := recipes.Load(root, over); err == nil || !strings.Contains(err.Error(), "index of ubuntu2404/x86_64: want its date such as") {
			t.Errorf("%s alone: %v", text, err)
		}
	}
}

// TestIndexKeys: a key that another one has replaced signs nothing later, and one that a folder
// brings is said to be of that folder.
func TestIndexKeys(t *testing.T) {
	t.Parallel()
	if _, err := recipes.Load(dir(t, indexed("index: {ubuntu2404/x86_64: "+state("7fa2af80")+"}"))); err == nil || !strings.Contains(err.Error(), "index of ubuntu2404/x86_64: 7fa2af80 was replaced by 3bf863cc on 2022-04-27, before its date") {
		t.Errorf("an old key: %v", err)
	}
	files := indexed("index: {ubuntu2404/x86_64: " + state("deadbeef") + "}")
	files["repository/nvidia.yaml"] = "keys: [{id: deadbeef, file: mine.pub, sha256: " + strings.Repeat("a", 64) + ", since: 2026-01-01, serves: [deb, rpm, nvidia-ml, rhel10]}]\n"
	root := dir(t, files)
	want := "signed by deadbeef, a key of " + filepath.Join(root, "repository/nvidia.yaml")
	if got := pinOf(t, load(t, root), "ubuntu24.04", "13.0.9", "libcublas-13-0"); !strings.HasSuffix(got.Source, want) || got.By != filepath.Join(root, "toolkit/13.0.9.yaml") {
		t.Errorf("by a key of one's own: %+v, want %s", got, want)
	}
}

// TestIndexClaims: a repository gives what is said of its own OS and platform, even if its key does
// not count, and nothing else.
func TestIndexClaims(t *testing.T) {
	t.Parallel()
	const differ = "differ: {%s: {cublas: 13.9.9.9}}\n"
	for name, test := range map[string]struct{ index, place, want string }{
		"its own":               {"ubuntu2404/x86_64: " + state("00000001"), "ubuntu24.04", ""},
		"its own platform":      {"ubuntu2404/x86_64: " + state("3bf863cc"), "ubuntu24.04 linux/amd64", ""},
		"another OS":            {"ubuntu2404/x86_64: " + state("3bf863cc"), "rockylinux9", "pin cublas: no document gives it"},
		"another platform":      {"ubuntu2404/x86_64: " + state("3bf863cc"), "ubuntu24.04 linux/arm64", "pin cublas: no document gives it"},
		"for others of its own": {"ubuntu2404/x86_64: " + strings.Replace(state("3bf863cc"), "}", ", pins: [nccl]}", 1), "ubuntu24.04", "pin cublas: no document gives it"},
	} {
		files := indexed("index: {" + test.index + "}")
		files["toolkit/13.0.9.yaml"] += fmt.Sprintf(differ, test.place)
		_, err := recipes.Load(dir(t, files))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestIndex: a pin is from a repository if its key serves the OS, and unsourced if it does not.
func TestIndex(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		read, index string
		cublas      string // where its pin is from on ubuntu24.04, "" if it is unsourced
	}{
		"a key of debs":             {"", "ubuntu2404/x86_64: " + state("3bf863cc"), "nvidia's repository ubuntu2404/x86_64, index sha256 aaaa"},
		"a key of rpms":             {"", "ubuntu2404/x86_64: " + state("D42D0685"), ""},
		"nobody's key":              {"", "ubuntu2404/x86_64: " + state("00000001"), ""},
		"another repository":        {"", "ubuntu2404/sbsa: " + state("3bf863cc"), ""},
		"read, and for another pin": {"read: {S1: [ubuntu24.04]}", "ubuntu2404/x86_64: " + strings.Replace(state("3bf863cc"), "}", ", pins: [nccl]}", 1), "gitlab.com/nvidia"},
		"read, and for the pin":     {"read: {S1: [ubuntu24.04]}", "ubuntu2404/x86_64: " + strings.Replace(state("3bf863cc"), "}", ", pins: [cublas]}", 1), "nvidia's repository"},
		"read, and by nobody":       {"read: {S1: [ubuntu24.04]}", "ubuntu2404/x86_64: " + strings.Replace(state("00000001"), "}", ", pins: [cublas]}", 1), ""},
	} {
		c := load(t, dir(t, indexed(test.read+"\nindex: {"+test.index+"}")))
		r := find(t, c, "ubuntu24.04", "13.0.9")
		pin, ok := r.Pin("libcublas-13-0=13.2.0.905-1")
		unsourced := slices.Contains(r.Unsourced, "libcublas-13-0")
		if ok == unsourced || ok != (test.cublas != "") || !strings.HasPrefix(pin.Source, test.cublas) {
			t.Errorf("%s: pin %+v, unsourced %v; want it from %q", name, pin, unsourced, test.cublas)
		}
	}
}

func TestIndexRefused(t *testing.T) {
	t.Parallel()
	for index, want := range map[string]string{
		"ubuntu2404/x86_65: " + state("3bf863cc"):                                         `no os with a repository "ubuntu2404/x86_65"`,
		"rhel8/x86_64: " + state("3bf863cc"):                                              `no os with a repository "rhel8/x86_64"`,
		"ubuntu2404/x86_64: {date: today, key: a, sha256: b}":                             "want its date such as",
		"ubuntu2404/x86_64: {date: 2026-11-30, key: 3bf863cc}":                            "want its date such as",
		"ubuntu2404/x86_64: {date: 2026-11-30, sha256: x, pins: [cublaß]}":                "letters, digits",
		"ubuntu2404/x86_64: " + strings.Replace(state("a"), "}", ", pins: [cublass]}", 1): `no package of era "13.0" uses the pin "cublass"`,
	} {
		_, err := recipes.Load(dir(t, indexed("index: {"+index+"}")))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", index, err, want)
		}
	}
}
