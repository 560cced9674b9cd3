// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// entry is one of an index: an image of text for a platform, or an attestation of one.
type entry struct {
	arch, text  string
	about       v1.Image // of an attestation
	annotations map[string]string
	urls        []string
}

func (e entry) image() v1.Image {
	return imagetest.ForArch(imagetest.New(imagetest.Layer(imagetest.Zstd, imagetest.Files(files{"etc/text": text(e.text)}))), e.arch)
}

// indexOf is what a reference names that is of an index.
func indexOf(t *testing.T, annotations map[string]string, entries ...entry) diff.Reference {
	t.Helper()
	r := diff.Reference{}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, e := range entries {
		img := e.image()
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		d := v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: e.arch}, Annotations: e.annotations, URLs: e.urls}
		if e.about != nil {
			about, err := e.about.Digest()
			if err != nil {
				t.Fatal(err)
			}
			d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
			d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about.String()}
		} else {
			r.Images = append(r.Images, diff.Version{Image: img, Digest: digest.String(), Platform: "linux/" + e.arch})
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: d})
	}
	r.Index = index
	if annotations != nil {
		r.Index = mutate.Annotations(index, annotations).(v1.ImageIndex)
	}
	return r
}

// TestIndexes compares indexes platform by platform, and what lists the images.
func TestIndexes(t *testing.T) {
	t.Parallel()
	amd64, arm64 := entry{arch: "amd64", text: "1"}, entry{arch: "arm64", text: "1"}
	attestation := func(of entry, text string) entry { return entry{arch: "unknown", text: text, about: of.image()} }
	both := indexOf(t, nil, amd64, arm64)
	one := diff.Reference{Images: []diff.Version{{Image: amd64.image()}}}
	gone := func(r diff.Reference, digest string) diff.Reference {
		r.Images = slices.Clone(r.Images)
		r.Images[1].Image, r.Images[1].Err = nil, errors.New("no such blob")
		if digest != "" {
			r.Images[1].Digest = digest
		}
		return r
	}
	other := entry{arch: "arm64", text: "2"}
	for name, tc := range map[string]struct {
		old, now diff.Reference
		want     string
	}{
		"the same":                         {both, indexOf(t, nil, amd64, arm64), "linux/amd64 same, linux/arm64 same"},
		"another platform differs":         {both, indexOf(t, nil, amd64, other), "linux/amd64 same, linux/arm64 changed: file /etc/text content"},
		"a platform less":                  {both, indexOf(t, nil, amd64), "linux/amd64 same, linux/arm64 removed"},
		"a platform more":                  {indexOf(t, nil, arm64), both, "linux/amd64 added, linux/arm64 same"},
		"none in common":                   {indexOf(t, nil, amd64, entry{arch: "s390x"}), indexOf(t, nil, arm64, entry{arch: "ppc64le"}), "linux/arm64 added, linux/ppc64le added, linux/amd64 removed, linux/s390x removed"},
		"an image of it":                   {one, both, "linux/amd64 same, linux/arm64 added, index added"},
		"an image that was an index":       {both, one, "linux/amd64 same, linux/arm64 removed, index removed"},
		"order":                            {both, indexOf(t, nil, arm64, amd64), "linux/arm64 same, linux/amd64 same, index changed: index order"},
		"annotation":                       {both, indexOf(t, map[string]string{"a": "b"}, amd64, arm64), "linux/amd64 same, linux/arm64 same, index changed: index annotation a"},
		"annotation of one":                {both, indexOf(t, nil, entry{arch: "amd64", text: "1", annotations: map[string]string{"a": "b"}}, arm64), "linux/amd64 same, linux/arm64 same, index changed: index annotation a of linux/amd64"},
		"a new attestation":                {both, indexOf(t, nil, amd64, arm64, attestation(arm64, "x")), "linux/amd64 same, linux/arm64 same, index changed: index attestation of linux/arm64"},
		"another attestation":              {indexOf(t, nil, amd64, arm64, attestation(arm64, "x")), indexOf(t, nil, amd64, arm64, attestation(arm64, "y")), "linux/amd64 same, linux/arm64 same, index changed: index attestation of linux/arm64"},
		"an attestation of another image":  {indexOf(t, nil, amd64, arm64, attestation(arm64, "x")), indexOf(t, nil, amd64, other, attestation(other, "y")), "linux/amd64 same, linux/arm64 changed: file /etc/text content"},
		"another image and an annotation":  {both, indexOf(t, map[string]string{"a": "b"}, amd64, other), "linux/amd64 same, linux/arm64 changed: file /etc/text content, index changed: index annotation a"},
		"what is not compared":             {both, indexOf(t, nil, amd64, entry{arch: "arm64", text: "1", urls: []string{"x"}}), "linux/amd64 same, linux/arm64 same, index changed: index the same images, listed otherwise"},
		"an image that is not there":       {both, gone(both, ""), "linux/amd64 same, linux/arm64 same"},
		"another image that is not there":  {both, gone(both, "sha256:1"), "linux/amd64 same, linux/arm64 unread new image: no such blob"},
		"other images that are not there":  {gone(both, "sha256:2"), gone(both, "sha256:1"), "linux/amd64 same, linux/arm64 unread old image: no such blob; new image: no such blob"},
		"one of each, of other platforms":  {indexOf(t, nil, amd64), diff.Reference{Images: []diff.Version{{Image: arm64.image()}}}, "linux/arm64 changed: environment platform, index removed"},
		"two of several tags, both listed": {diff.Reference{Images: both.Images}, both, "linux/amd64 same, linux/arm64 same, index added"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := diff.Images(t.Context(), tc.old, tc.now)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range r.Images {
				line := strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Platform, i.State, i.Why))
				for _, c := range i.Causes {
					line += fmt.Sprintf(": %s %s", r.Causes[c].Kind, r.Causes[c].What)
				}
				got = append(got, line)
			}
			if all := strings.Join(got, ", "); all != tc.want {
				t.Errorf("%s, want %s", all, tc.want)
			}
			if same := name == "the same" || name == "an image that is not there"; r.Same() != same {
				t.Errorf("Same() = %v, want %v", r.Same(), same)
			}
		})
	}
}

// TestManyPaths: when too much has changed, further images are not compared, if they are not the same.
func TestManyPaths(t *testing.T) {
	t.Parallel()
	one := func(arch, text string) entry { return entry{arch: arch, text: text} }
	old := indexOf(t, nil, one("amd64", "1"), one("arm64", "1"), one("riscv64", "1"))
	now := indexOf(t, nil, one("amd64", "2"), one("arm64", "2"), one("riscv64", "1"))
	for bound, want := range map[int]string{
		len("etc/text" + "1 bytes" + "1 bytes"): "changed unread same",
		len("etc/text"+"1 bytes"+"1 bytes") + 1: "changed changed same",
	} {
		r, err := diff.ImagesWithin(t.Context(), old, now, bound)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range r.Images {
			got = append(got, string(i.State))
			if i.OldDigest == "" || i.NewDigest == "" || i.Platform == "" || i.State == diff.Unread && !strings.Contains(i.Why, "alone") {
				t.Errorf("%+v, want its digests, its platform and how to go on", i)
			}
		}
		if all := strings.Join(got, " "); all != want {
			t.Errorf("bound %d: %s, want %s", bound, all, want)
		}
	}
}

// TestUnread: of an image with a layer that cannot be read, what its configuration says is compared.
func TestUnread(t *testing.T) {
	t.Parallel()
	whole := func(name, step, env string) v1.Image {
		return made(t, imagetest.Zstd, func(c *v1.ConfigFile) { c.Config.Env = []string{env} }, layer{"bootstrap", 1, root}, layer{step, 1, files{name: text("x")}})
	}
	truncated := func(name, step, env string) v1.Image {
		bad := &imagetest.Blob{Data: []byte("no archive"), Want: imagetest.Digest([]byte("no archive")), Diff: imagetest.Digest([]byte(name)), Type: types.OCILayerZStd}
		img, err := mutate.Append(whole("x", step, env), mutate.Addendum{Layer: bad, MediaType: bad.Type, History: v1.History{CreatedBy: step + " more"}})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	for name, tc := range map[string]struct {
		old, now v1.Image
		side     string
	}{
		"new":  {whole("a", "install a", "A=1"), truncated("b", "install b", "A=2"), "new image: layer " + imagetest.Digest([]byte("b")).String() + ": "},
		"old":  {truncated("a", "install a", "A=1"), whole("b", "install b", "A=2"), "old image: layer " + imagetest.Digest([]byte("a")).String() + ": "},
		"both": {truncated("a", "install a", "A=1"), truncated("b", "install b", "A=2"), " image: layer "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := diff.Images(t.Context(), alone(diff.Version{Image: tc.old}), alone(diff.Version{Image: tc.now}))
			if err != nil {
				t.Fatal(err)
			}
			is := r.Images[0]
			if is.State != diff.Unread || !strings.Contains(is.Why, tc.side) || !r.Unread() || len(is.Files) > 0 || is.OldDigest == "" || is.NewDigest == "" || is.OldSize == 0 {
				t.Errorf("image %+v, want an unread one, of %q", is, tc.side)
			}
			values := map[string]string{}
			for _, v := range is.Config {
				values[v.Name] = string(r.Causes[v.Cause].Kind)
			}
			if d := gocmp.Diff(map[string]string{"env A": "environment", "step": "recipe"}, values); d != "" {
				t.Errorf("values (-want +got):\n%s", d)
			}
			if kinds := slices.Sorted(maps.Values(values)); len(is.Causes) < len(kinds) {
				t.Errorf("causes %v, want those of all values", is.Causes)
			}
		})
	}
}
