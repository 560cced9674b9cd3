// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify"
)

// managed is a script that prints what package managers call installed, as lines of manager, name, version, architecture.
const managed = `dpkg-query -W -f 'deb ${Package} ${Version} ${Architecture} ${db:Status-Status}\n' | sed -n 's/ installed$//p'
if command -v rpm >/dev/null; then rpm -qa --qf 'rpm %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %|ARCH?{%{ARCH}}:{}|\n'; fi`

// testPackages asks the package managers of images what is installed, and compares the images' SBOMs.
func testPackages(t *testing.T, f fixture, ids ...string) {
	for _, id := range ids {
		t.Run(id, func(t *testing.T) {
			r := inside(t, f.unpack(t, id), managed)
			want := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
			slices.Sort(want)
			got := f.sbom(t, id)
			if diff := cmp.Diff(want, got); diff != "" || r.code != 0 || len(got) < 50 {
				t.Errorf("%d packages, exit %d %s (-package managers +SBOM):\n%s", len(got), r.code, r.stderr, diff)
			}
			t.Logf("%d packages", len(got))
		})
	}
}

// sbom lists the packages of an image's SBOM as managed does.
func (f fixture) sbom(t *testing.T, id string) (lines []string) {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), f.oci(id), image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	list, err := verify.New(verify.Options{}).Inventory(t.Context(), id, sources[0].Image)
	if err != nil {
		t.Fatal(err)
	}
	d, err := evidence.NewSBOM(evidence.Subject{Name: "stand-in/cuda", Digest: list.Digest}, list.Created, "v1", list)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Packages []struct {
			Name, VersionInfo string
			ExternalRefs      []struct{ ReferenceLocator string }
		}
	}
	if err := json.Unmarshal(d.Predicate, &doc); err != nil {
		t.Fatal(err)
	}
	for _, p := range doc.Packages {
		for _, ref := range p.ExternalRefs {
			at, err := url.Parse(ref.ReferenceLocator)
			if err != nil {
				t.Fatal(err)
			}
			if kind, _, _ := strings.Cut(at.Opaque, "/"); kind == "deb" || kind == "rpm" {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", kind, p.Name, p.VersionInfo, at.Query().Get("arch")))
			}
		}
	}
	slices.Sort(lines)
	return lines
}
