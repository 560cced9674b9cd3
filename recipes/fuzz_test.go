// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"errors"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/spec"
)

// kindOf returns a new value of what files decode to, by what a fuzzer calls it.
func kindOf(kind uint8) any {
	all := []any{&releaseFile{}, &OS{}, &Manager{}, &Source{}, &eraFile{}, &toolkitFile{}, &flavorFile{}}
	return all[int(kind)%len(all)]
}

// FuzzDecode holds that a file is either taken or has problems that say something, and
// that no key is taken that is not known.
func FuzzDecode(f *testing.F) {
	for kind, name := range []string{"cuda/12.4-debian13.yaml", "os/centos6.yaml", "manager/apt.yaml", "repository/nvidia.yaml", "era/12.8.1.yaml", "toolkit/11.8.0.yaml"} {
		data, err := fs.ReadFile(embedded, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), data)
	}
	f.Add(uint8(6), []byte("flavor: x\non: [base]\npackages: {deb: [a]}\nfiles: {/a: {content: b, mode: \"0755\"}}\nsize_mb: 1\n"))
	for kind, text := range []string{"", "a: &a [*a]\n", "os: [", "? {a: b}\n: c\n", "<<: {cuda: x}\n", "layers: {base: &x {packages: *x}}\n"} {
		f.Add(uint8(kind), []byte(text))
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		value := kindOf(kind)
		var problems spec.Problems
		file := new(spec.Report).File("f.yaml")
		taken := file.Read(data, format, value)
		errors.As(file.Err(), &problems)
		if taken != (len(problems) == 0) {
			t.Fatalf("decode = %v with problems %v", taken, problems)
		}
		for _, p := range problems {
			if p.Message == "" || p.File != "f.yaml" || p.Line < 0 || p.Column < 0 {
				t.Errorf("problem %+v", p)
			}
		}
		if taken {
			checkKeys(t, data, reflect.TypeOf(value).Elem())
		}
	})
}

// checkKeys reports keys at the top of a file that the type does not have.
func checkKeys(t *testing.T, data []byte, of reflect.Type) {
	t.Helper()
	var known []string
	for i := range of.NumField() {
		key, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
		known = append(known, key)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	top := root.Content[0]
	for i := 0; top.Kind == yaml.MappingNode && i < len(top.Content); i += 2 {
		if key := top.Content[i].Value; key == "" || !slices.Contains(known, key) {
			t.Errorf("key %q of %s is not known and was taken", key, of)
		}
	}
}

// FuzzToolkit lays a toolkit over a small vendor: what is taken has neither braces nor
// blanks in its packages, and every pin has a source.
func FuzzToolkit(f *testing.F) {
	data, err := fs.ReadFile(embedded, "toolkit/11.8.0.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("cuda: \"1.2\"\nera: e\nos: {linux/amd64: [o]}\nread: {D: [o]}\npins: {a: \"1.2.3\"}\n")
	f.Add("cuda: \"1.2\"\nera: e\nos: {linux/amd64: [o]}\nread: {D: []}\npins: {a: none}\nadmits: [{branches: A@418 tesla@470}]\n")
	f.Fuzz(func(t *testing.T, toolkit string) {
		// Most of what a fuzzer makes up is no toolkit: the vendor need not be read to say so.
		if !new(spec.Report).File("toolkit/1.2.yaml").Read([]byte(toolkit), format, &toolkitFile{}) {
			return
		}
		files := vendor()
		files["toolkit/1.2.yaml"] = &fstest.MapFile{Data: []byte(toolkit)}
		l := &loader{files: map[string]*spec.File{}, layers: []layer{{FS: files}}}
		c, err := l.load()
		if err != nil {
			return
		}
		r, ok := c.Find("o", "1.2")
		if !ok {
			t.Skip("it is for no OS")
		}
		for flavor, layer := range r.WithCompat().Layers {
			for _, p := range layer.Packages {
				if strings.ContainsAny(p, "{} ") {
					t.Errorf("%s installs %q", flavor, p)
				}
			}
		}
		for _, p := range r.Pins {
			if p.Source == "" || p.Version == "" {
				t.Errorf("pin %+v has no source", p)
			}
		}
	})
}

// vendor is a small one, without a release.
func vendor() fstest.MapFS {
	return fstest.MapFS{
		"manager/m.yaml":    {Data: []byte("manager: m\ninstall: x\n")},
		"os/o.yaml":         {Data: []byte("os: o\nsource: s\nmanager: m\nimage: i\nrepository: {dir: d, packages: deb, arch: {linux/amd64: x}}\n")},
		"repository/s.yaml": {Data: []byte("source: s\nroots: {s: 'https://a/b'}\nkeys: [{id: 3bf863cc, file: k, sha256: " + strings.Repeat("a", 64) + ", since: 2022-01-01, serves: [deb]}]\ndocuments: {D: {title: t, date: 2022-01-01}}\nbrands: {A: [x, y]}\ncompilers: [{since: '1.0', sass: [1], ptx: 1}]\n")},
		"era/e.yaml":        {Data: []byte("era: e\nsource: s\npackages: {deb: {base: {packages: ['c={a}-1']}, runtime: {packages: ['r-{X-Y}={version}']}, devel: {packages: [d]}, compat: {packages: ['f={a}']}}}\n")},
	}
}

// FuzzFlavor lays a flavor over a small vendor: what is taken installs words, none of the
// driver, and places bounded texts at plain paths.
func FuzzFlavor(f *testing.F) {
	f.Add("flavor: x\non: [base, devel]\npackages: {deb: [a=1], o: [b]}\nfiles: {/a/b: {content: c, mode: \"0755\"}, /d: {source: motd}}\n")
	f.Add("flavor: x\non: [runtime]\nfiles: {/run/x: {source: ../motd}}\n")
	f.Add("flavor: x\non: [runtime]\npackages: {deb: [libcuda1]}\n")
	f.Fuzz(func(t *testing.T, flavor string) {
		if !new(spec.Report).File("flavor/x.yaml").Read([]byte(flavor), format, &flavorFile{}) {
			return
		}
		files := vendor()
		files["manager/m.yaml"] = &fstest.MapFile{Data: []byte("manager: m\ninstall: x\nguard: x\ndriver_packages: [libcuda*]\n")}
		files["toolkit/1.2.yaml"] = &fstest.MapFile{Data: []byte("cuda: \"1.2\"\nera: e\nos: {linux/amd64: [o]}\nread: {D: [o]}\npins: {a: \"1.2.3\"}\n")}
		files["flavor/x.yaml"] = &fstest.MapFile{Data: []byte(flavor)}
		files["motd"] = &fstest.MapFile{Data: []byte("hello\n")}
		l := &loader{files: map[string]*spec.File{}, layers: []layer{{FS: files}}}
		c, err := l.load()
		if err != nil {
			return
		}
		r, _ := c.Find("o", "1.2")
		for name := range r.own {
			layer := r.Layers[name]
			for _, p := range layer.Packages {
				if strings.ContainsAny(p, "{} '\"$") || strings.HasPrefix(p, "-") || strings.HasPrefix(p, "libcuda") {
					t.Errorf("%s installs %q", name, p)
				}
			}
			for place, text := range layer.Files {
				if !path.IsAbs(place) || path.Clean(place) != place || len(text) > maxFile || len(layer.Modes[place]) != 4 {
					t.Errorf("%s places %q, %d bytes, mode %q", name, place, len(text), layer.Modes[place])
				}
			}
		}
	})
}
