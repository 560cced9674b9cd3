// SPDX-License-Identifier: Apache-2.0

package update

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

// Distribution is the CUDA release that a distribution packages itself, today. Its recipe says
// all in full and is written by a person.
type Distribution struct {
	OS      string `json:"os"`
	Package string `json:"package"` // whose version says which release it is
	Version string `json:"version"` // "12.4.131~12.4.1-2", "" if it is not there
	CUDA    string `json:"cuda"`    // "12.4.1"
	// Recipes are the releases that recipes have for it.
	Recipes []string `json:"recipes"`
	Known   bool     `json:"known"` // whether CUDA is among them
	// Vanished are packages that its recipes install and that are not there.
	Vanished []Vanished `json:"vanished"`
}

// toolkitPackage is Debian's name for the whole of CUDA.
const toolkitPackage = "nvidia-cuda-toolkit"

// debianRelease is the CUDA release in a version of it, "11.8.89~11.8.0-5~deb12u1".
var debianRelease = regexp.MustCompile(`^(?:[0-9.]+~)?([0-9]+\.[0-9]+\.[0-9]+)-`)

// provided is a package of a list that another stands for, and its version if that has one:
// "libcufft11 (= 11.2), libcufft-any".
var provided = regexp.MustCompile(`([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?(?: *\(= *([^)]*)\))?(?:, *|$)`)

// Archive is where the packages of a distribution are, and who signs for them.
type Archive struct {
	Suites  func(ctx context.Context, o recipes.OS, platform string) ([]upstream.Suite, error)
	Keyring []byte
	Now     time.Time
}

// Repositories returns those that the recipes of an OS install from, by platform.
func (a Archive) Repositories(ctx context.Context, c *recipes.Catalog, os string) (map[string][]upstream.Repository, error) {
	o, _ := c.OS(os)
	all := map[string][]upstream.Repository{}
	for _, cuda := range c.CUDAFor(os) {
		r, _ := c.Find(os, cuda)
		suites, err := a.Suites(ctx, o, r.Platforms[0]) // the same for all
		if err != nil {
			return nil, fmt.Errorf("%s: %w", os, err)
		}
		for _, platform := range r.Platforms {
			all[platform] = nil
			for _, suite := range suites {
				all[platform] = append(all[platform], suite.Repository(platform, a.Keyring, a.Now))
			}
		}
	}
	return all, nil
}

// ReadDistribution reads the suites of an OS, by platform, and compares its recipes with them.
func ReadDistribution(ctx context.Context, c *recipes.Catalog, os string, suites map[string][]upstream.Repository, get upstream.Get) (Distribution, error) {
	d := Distribution{OS: os, Package: toolkitPackage, Recipes: []string{}, Vanished: []Vanished{}}
	for _, platform := range slices.Sorted(maps.Keys(suites)) {
		there := map[string][]string{}
		for _, suite := range suites[platform] {
			_, err := suite.Read(ctx, get, func(p pkgindex.Package) {
				there[p.Name] = append(there[p.Name], p.Version)
				for _, m := range provided.FindAllStringSubmatch(p.Provides, -1) {
					there[m[1]] = append(there[m[1]], m[2])
				}
			})
			if err != nil {
				return d, fmt.Errorf("%s: %w", os, err)
			}
		}
		for _, version := range there[toolkitPackage] { // suites have one each: apt takes the newest
			if d.Version == "" || compat.Compare(cudaOf(version), cudaOf(d.Version)) > 0 {
				d.Version = version
			}
		}
		for _, cuda := range c.CUDAFor(os) {
			r, _ := c.Find(os, cuda)
			if slices.Contains(r.Platforms, platform) {
				d.Vanished = append(d.Vanished, missing(r, System{os, platform}, there)...)
			}
		}
	}
	d.CUDA = cudaOf(d.Version)
	for _, cuda := range c.CUDAFor(os) {
		r, _ := c.Find(os, cuda)
		d.Recipes = append(d.Recipes, r.Version)
		d.Known = d.Known || compat.Compare(r.Version, d.CUDA) == 0
	}
	return d, nil
}

// cudaOf is the CUDA release in a version of toolkitPackage, "" if it says none.
func cudaOf(version string) string {
	if m := debianRelease.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return ""
}

// missing are packages of a release that are not there, or not in the version that its recipe names.
func missing(r recipes.Release, system System, there map[string][]string) (all []Vanished) {
	for _, flavor := range r.Flavors() {
		file, line := r.Where(string(flavor))
		for _, name := range r.On(system.Platform).Layers[flavor].Packages {
			name, version, pinned := strings.Cut(name, "=")
			if len(there[name]) == 0 || pinned && !slices.Contains(there[name], version) {
				all = append(all, Vanished{r.CUDA, system, name, version, fmt.Sprintf("%s:%d", file, line)})
			}
		}
	}
	return all
}
