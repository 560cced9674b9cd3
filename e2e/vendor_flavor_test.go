// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/standin/repo"
)

// flavorMatrix is one OS for each way to install from the vendor's repositories.
const flavorMatrix = `version: 1
image: localhost:5000/stand-in/cuda
groups:
  default:
    - {os: [ubuntu16.04], cuda: ["9.0"], flavors: [acme-base], samples: []}
    - {os: [rockylinux9], cuda: ["12.8.1"], flavors: [acme-base, motd-base], samples: []}
`

// TestVendorStandInFlavors builds flavors of the user's on images of source nvidia, from stand-ins
// for all packages, with a real apt and a real dnf.
func TestVendorStandInFlavors(t *testing.T) {
	t.Parallel()
	v := emptyVendor(t, flavorMatrix, []string{"rockylinux9", "ubuntu16.04"})
	for _, name := range []string{"rockylinux9", "ubuntu16.04"} {
		v.serve(t, name, v.key, append(v.packages(t, name, vendorReleases[name]), repo.Package{Name: "jq", Version: "1.6-1"}))
	}
	for _, file := range []string{"flavor/acme.yaml", "flavor/motd.yaml", "motd"} {
		write(t, filepath.Join(v.recipes, file), read(t, filepath.Join("../recipes/testdata/own", file)))
	}
	doc, r := v.build(t)
	if r.code != 0 || doc.Totals.Passed != 3 {
		t.Fatalf("matrix: exit %d, %d of 3 passed\n%s\n%s", r.code, doc.Totals.Passed, r.stdout, r.stderr)
	}
	x := exporter{newBuildx(t), v.fixture, []string{"--recipes", v.recipes}, nil}
	for _, c := range doc.Cells {
		got := x.look(t, filepath.Join(v.out, "images"), c.Digest)
		want := "644 /etc/motd "
		if strings.Contains(c.ID, "-acme-") {
			want = "644 /etc/acme/motd "
			mustContain(t, c.ID, got.packages, "jq", "755 /usr/local/bin/acme ")
		}
		mustContain(t, c.ID, got.packages, want)
	}
	x.compare(t, doc, []string{"9.0-acme-base-ubuntu16.04", "12.8.1-motd-base-rockylinux9"})
}
