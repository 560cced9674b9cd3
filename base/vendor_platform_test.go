// SPDX-License-Identifier: Apache-2.0

package base_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestVendorPlatform: of an index, the base is the manifest of its platform, and no layer
// of any is read.
func TestVendorPlatform(t *testing.T) {
	t.Parallel()
	v := newVendor(t, "deb", "never.asc")
	ref, err := name.ParseReference(v.host() + "/library/old:1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: want, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	v.pulls = 0
	s, r := v.store(t, t.TempDir())
	b, err := s.Base(t.Context(), r, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	digest, err := want.Digest()
	if err != nil || b.Root.String() != digest.String() || b.Image != v.host()+"/library/old@"+digest.String() {
		t.Errorf("root %s of %s, want the manifest for amd64, %v", b.Root, b.Image, digest)
	}
	if v.pulls != 1 {
		t.Errorf("%d blobs pulled, want the configuration alone", v.pulls)
	}
	if err := s.Pullable(t.Context(), b); err != nil {
		t.Errorf("Pullable = %v", err)
	}
	b.Image = strings.Replace(b.Image, "/old@", "/other@", 1)
	if err := s.Pullable(t.Context(), b); err == nil || !strings.Contains(err.Error(), "--refresh") {
		t.Errorf("Pullable of an image that is gone = %v, want a hint", err)
	}
}
