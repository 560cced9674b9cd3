// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// Inventory is what an image's own records say is in it.
type Inventory struct {
	Digest   string    // of the manifest
	Platform string    // as in a [Report]
	Created  time.Time // as the image says, the zero time if it does not
	OS       OS
	Layers   []Layer // bottom first
	// Packages are sorted by manager, name, version, architecture and database.
	Packages []Package
}

// OS is the distribution that an image says it is, as os-release(5) has it.
type OS struct {
	ID      string // "debian", "" if the image does not say
	Version string // "12", "" for one that has none
}

// Package is one installed package. What the records do not say is empty.
type Package struct {
	Manager  string // dpkg, rpm, apk, pacman, portage, conda, wheel
	Name     string
	Version  string   // whole, as the manager compares it: "1:2.3-4"
	Arch     string   // in the words of the manager
	Source   string   // the source package; of rpm its file
	Licenses []string // in the words of the package, mostly not those of SPDX; all of them apply
	Layer    int      // the first that has the package in this version, an index of Inventory.Layers
	Database string   // the record that lists it, a path without a leading slash: an image may have several roots
}

// Inventory lists the packages that a container of img sees as installed. Layers that this Verifier, or one with the same
// cache, has read are not read again. Beside the errors of [Verifier.Image] it is one if a layer was not understood, which
// makes the verdict unknown, or lists more than is kept.
func (v *Verifier) Inventory(ctx context.Context, ref string, img v1.Image) (Inventory, error) {
	in, err := inspect(img)
	if err != nil {
		return Inventory{}, fmt.Errorf("%s: %w", ref, err)
	}
	facts, _, err := v.layers.All(ctx, in.refs())
	if err != nil {
		return Inventory{}, fmt.Errorf("%s: %w", ref, err)
	}
	packages, release, err := view.Inventory(facts)
	if err != nil {
		return Inventory{}, fmt.Errorf("%s: packages: %w", ref, err)
	}
	list := Inventory{Digest: in.digest, Platform: in.platform, Created: in.config.Created.UTC(), OS: OS(release)}
	for i := range in.layers {
		list.Layers = append(list.Layers, *in.name(i))
	}
	for _, p := range packages {
		if p.Of == pkgdb.Dpkg {
			p.Source = cmp.Or(p.Source, p.Name)
		}
		list.Packages = append(list.Packages, Package{string(p.Of), p.Name, p.Version, p.Arch, p.Source, p.Licenses, p.Layer, p.Database})
	}
	slices.SortFunc(list.Packages, comparePackages)
	return list, nil
}

func comparePackages(a, b Package) int {
	return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Arch, b.Arch),
		cmp.Compare(a.Database, b.Database), cmp.Compare(a.Layer, b.Layer))
}
