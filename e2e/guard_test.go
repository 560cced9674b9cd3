// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestGuard asks apt, with the lists that images are built from, what it would install on
// an image that has the guard: nothing of the driver, whatever is asked for.
func TestGuard(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("apt-get"); err != nil {
		require.Missing(t, "apt", err)
	}
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"debian11", "debian12", "debian13"} {
		t.Run(name, func(t *testing.T) {
			r, ok := catalog.Recipe(name, catalog.CUDAFor(name)[0])
			if !ok {
				t.Fatal("no recipe")
			}
			testGuard(t, newAptState(t, r), r)
		})
	}
}

func testGuard(t *testing.T, apt *aptState, r *recipes.Recipe) {
	drivers := apt.drivers()
	testNames(t, r, drivers)
	var ours []string
	for _, flavor := range recipes.Flavors() {
		ours = append(ours, r.Release.Layers[flavor].Packages...)
	}
	if installs, err := apt.install(t, append(ours, "--no-install-recommends")...); err != nil || len(installs) < len(ours) {
		t.Errorf("our own layers: %v, %d packages", err, len(installs))
	}
	refused, installed := 0, 0
	for _, p := range apt.users(drivers) {
		installs, err := apt.install(t, p)
		if err != nil {
			refused++
			continue
		}
		installed++
		for _, got := range installs {
			if drivers[got] {
				t.Errorf("apt-get install %s brings %s", p, got)
			}
		}
	}
	t.Logf("%d packages that ask for the driver: %d refused, %d installed without it", refused+installed, refused, installed)
	if refused == 0 || installed == 0 {
		t.Error("want some of both")
	}
	for _, p := range apt.oneOfEach() { // testNames looks for the others
		if installs, err := apt.install(t, p); err == nil {
			t.Errorf("apt-get install %s brings %v", p, installs)
		}
	}
}

// driverList is the place of the names in the recipe of an OS.
var driverList = regexp.MustCompile(`driver_packages: \[[^]]*\]\n`)

// testNames holds the recipe to the names that there are; -update writes them. A name that
// the repositories had once does no harm.
func testNames(t *testing.T, r *recipes.Recipe, drivers map[string]bool) {
	var missing []string
	for name := range drivers {
		if !slices.Contains(r.Manager.DriverPackages, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 || !golden.Updating() {
		if len(missing) > 0 {
			t.Errorf("the recipe does not name %v", missing)
		}
		return
	}
	file := filepath.Join("..", "recipes", "os", r.OS.Name+".yaml")
	names := append(missing, r.OS.DriverPackages...)
	slices.Sort(names)
	write(t, file, driverList.ReplaceAllString(read(t, file), "driver_packages: [\n  "+strings.Join(names, ", ")+"\n]\n"))
}
