// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/standin/repo"
	"github.com/cudabuild/cudabuild/recipes"
)

const (
	releasesOS     = "ubuntu16.04" // newer ones first install packages of their own, which no stand-in has
	releasesMatrix = `version: 1
image: stand-in/cuda
defaults: {platforms: [linux/amd64], flavors: [base, runtime], samples: []}
groups:
  default:
    - {os: [ubuntu16.04], cuda: ["9.2", "10.0"]}
`
	bulk = 2 << 30 // what the runtime packages of one release unpack to
)

// BenchmarkTwoReleases builds the runtime images of two CUDA releases on one OS from
// stand-in packages of real size, with real apt and dpkg: one after the other, and in one
// run. Both begin on a fresh engine that has the OS and the small base images.
func BenchmarkTwoReleases(b *testing.B) {
	v := emptyVendor(b, releasesMatrix, []string{releasesOS})
	releases := []string{"9.2", "10.0"}
	v.serveBulk(b, releases)
	prepared := func(name string) *vendor {
		w := *v
		w.state, w.out = filepath.Join(b.TempDir(), name), filepath.Join(b.TempDir(), name)
		w.passes(b, "--only", "*-base-*")
		return &w
	}
	var apart, together time.Duration
	for b.Loop() {
		w := prepared("apart")
		begun := time.Now()
		for _, release := range releases {
			w.passes(b, "--only", release+"-*")
		}
		apart += time.Since(begun)
		w = prepared("together")
		begun = time.Now()
		w.passes(b)
		together += time.Since(begun)
	}
	b.ReportMetric(apart.Seconds()/float64(b.N), "apart-s/op")
	b.ReportMetric(together.Seconds()/float64(b.N), "together-s/op")
	b.ReportMetric(together.Seconds()/apart.Seconds(), "together/apart")
}

// passes builds cells and fails unless all pass.
func (v *vendor) passes(b *testing.B, args ...string) {
	b.Helper()
	if doc, r := v.build(b, args...); r.code != 0 || doc.Totals.Passed == 0 {
		b.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
}

// serveBulk serves releases whose runtime packages are as large together as real ones.
func (v *vendor) serveBulk(b *testing.B, releases []string) {
	b.Helper()
	var all []repo.Package
	for _, release := range releases {
		all = append(all, v.packages(b, releasesOS, release)...)
	}
	for _, release := range releases {
		r, _ := v.catalog.Find(releasesOS, release)
		var large []int
		for i, p := range all {
			if slices.Contains(r.Layers[recipes.Runtime].Packages, p.Name+"="+p.Version) {
				large = append(large, i)
			}
		}
		for _, i := range large {
			all[i].Bulk = bulk / len(large)
		}
	}
	v.serve(b, releasesOS, v.key, all)
}
