// SPDX-License-Identifier: Apache-2.0

package update_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/update"
	"github.com/cudabuild/cudabuild/upstream"
)

// TestReadDistribution: which CUDA release a suite of Debian's form has, and what is missing of its recipe.
func TestReadDistribution(t *testing.T) {
	t.Parallel()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := c.Find("debian13", "12.4")
	key := index.NewKey(t, false)
	for name, test := range map[string]struct {
		version, cuda string
		known         bool
		without       string
	}{
		"as its recipe says": {"12.4.131~12.4.1-2", "12.4.1", true, ""},
		"plain":              {"12.4.1-2+deb13u1", "12.4.1", true, ""},
		"newer":              {"13.1.80~13.1.0-1", "13.1.0", false, ""},
		"without":            {"12.4.131~12.4.1-2", "12.4.1", true, "libcufft11"},
		"provided":           {"12.4.131~12.4.1-2", "12.4.1", true, "libcusparse12"},
		"none":               {"", "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			add := func(all []pkgindex.Package, name, version string) []pkgindex.Package {
				if version == "" || name == test.without {
					return all
				}
				return append(all, pkgindex.Package{Name: name, Version: version, Arch: "all", SHA256: strings.Repeat("0", 64), File: "none"})
			}
			packages := add(nil, "nvidia-cuda-toolkit", test.version)
			for _, flavor := range r.Flavors() {
				for _, name := range r.Layers[flavor].Packages {
					packages = add(packages, name, "1")
				}
			}
			if name == "provided" {
				packages[0].Provides = "other:any (= 1), libcusparse12 (= 12.3), another"
			}
			index.Deb(t, dir, key, index.Form{Ending: ".xz"}, packages)
			updates := t.TempDir() // with an older one, which does not count
			index.Deb(t, updates, key, index.Form{}, add(nil, "nvidia-cuda-toolkit", strings.Replace(test.version, "1-2", "0-2", 1)))
			suites := map[string][]upstream.Repository{"linux/amd64": {{URL: dir, Packages: "deb", Lists: []string{"Packages"}, Keyring: key.Armored, Now: now}, {URL: updates, Packages: "deb", Lists: []string{"Packages"}, Keyring: key.Armored, Now: now}}}
			got, err := update.ReadDistribution(t.Context(), c, "debian13", suites, get)
			want := update.Distribution{OS: "debian13", Package: "nvidia-cuda-toolkit", Version: test.version, CUDA: test.cuda, Recipes: []string{"12.4.1"}, Known: test.known, Vanished: []update.Vanished{}}
			if test.without != "" && name != "provided" {
				file, line := r.Where("runtime")
				want.Vanished = append(want.Vanished, update.Vanished{CUDA: "12.4", System: update.System{OS: "debian13", Platform: "linux/amd64"}, Package: test.without, Where: fmt.Sprintf("%s:%d", file, line)})
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			suites["linux/amd64"][0].Keyring = index.NewKey(t, false).Armored
			if _, err := update.ReadDistribution(t.Context(), c, "debian13", suites, get); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "InRelease")+" is signed by key "+key.ID+", not by any of the keyring") {
				t.Errorf("another keyring: %v", err)
			}
		})
	}
}

// TestArchive: a suite has a list for each of its components and a platform of a recipe.
func TestArchive(t *testing.T) {
	t.Parallel()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	suites := []upstream.Suite{{URL: "http://own.example/dists/trixie", Components: []string{"main", "contrib"}, ByDate: true}}
	a := update.Archive{Keyring: []byte("keys"), Now: now, Suites: func(context.Context, recipes.OS, string) ([]upstream.Suite, error) { return suites, nil }}
	got, err := a.Repositories(t.Context(), c, "debian13")
	want := []upstream.Repository{{
		URL: "http://own.example/dists/trixie", Packages: "deb", Keyring: []byte("keys"), Now: now, ByDate: true,
		Lists: []string{"main/binary-arm64/Packages", "contrib/binary-arm64/Packages"},
	}}
	if diff := cmp.Diff(want, got["linux/arm64"]); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
