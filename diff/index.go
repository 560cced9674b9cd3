// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
)

// listImage is the image that stands for the list of the images of two sides.
func listImage(old, now string) Image {
	is := blank()
	is.Platform, is.OldDigest, is.NewDigest, is.State = IndexPlatform, old, now, Changed
	switch {
	case old == "":
		is.State = Added
	case now == "":
		is.State = Removed
	}
	return is
}

// index compares the lists of the images of two references; nil if both are the same, there is none, or the images, which were
// compared, are all that differs.
func (c *causes) index(old, now Reference, images []Image) *Image {
	oldDigest, oldList, oldErr := readIndex(old.Index)
	nowDigest, nowList, nowErr := readIndex(now.Index)
	is := listImage(oldDigest, nowDigest)
	switch {
	case oldErr != nil || nowErr != nil:
		is.unread(oldErr, nowErr)
		return &is
	case oldDigest == nowDigest:
		return nil
	case is.State != Changed:
		return &is
	}
	was, has := listed(oldList, nowList), listed(nowList, oldList)
	names := maps.Clone(was)
	maps.Copy(names, has)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != has[name] {
			is.Config = append(is.Config, ValueChange{name, was[name], has[name], c.of(Index, name, "")})
		}
	}
	if differs := func(i Image) bool { return i.State != Same }; len(is.Config) == 0 && slices.ContainsFunc(images, differs) {
		return nil
	}
	if len(is.Config) == 0 {
		is.Config = append(is.Config, c.otherwise(bytesOf(old.Index), bytesOf(now.Index)))
	}
	return &is
}

// otherwise is what is known of a list that is another one, where nothing that is compared differs.
func (c *causes) otherwise(old, now string) ValueChange {
	return ValueChange{"list", old, now, c.of(Index, "the same images, listed otherwise", "")}
}

func bytesOf(index v1.ImageIndex) string {
	n, err := index.Size()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d bytes", n)
}

func readIndex(index v1.ImageIndex) (digest string, list *v1.IndexManifest, err error) {
	if index == nil {
		return "", nil, nil
	}
	hash, err := index.Digest()
	list, err2 := index.IndexManifest()
	return hash.String(), list, errors.Join(err, err2)
}

// listed are the values of a list of images that do not follow from the images: what it says of itself and of those
// platforms that the other one has too, their order, and the attestations of the images that both have.
func listed(list, other *v1.IndexManifest) map[string]string {
	all := map[string]string{"media type": string(list.MediaType)}
	for name, value := range list.Annotations {
		all["annotation "+name] = value
	}
	platforms, images := map[string]bool{}, map[string]bool{}
	for _, d := range other.Manifests {
		platforms[platformIn(d)], images[d.Digest.String()] = true, true
	}
	of := map[string]string{} // platform by digest
	var order []string
	for _, d := range list.Manifests {
		platform := platformIn(d)
		if image.IsAttestation(d) || !platforms[platform] {
			continue
		}
		of[d.Digest.String()] = platform
		order = append(order, platform)
		for name, value := range d.Annotations {
			all["annotation "+name+" of "+platform] = value
		}
	}
	for _, d := range list.Manifests {
		if about := d.Annotations[attested]; image.IsAttestation(d) && images[about] {
			name := "attestation of " + of[about]
			all[name] = strings.TrimSpace(all[name] + " " + d.Digest.String())
		}
	}
	all["order"] = strings.Join(order, ", ")
	return all
}

// attested is BuildKit's annotation of an attestation in an index: the digest of the image that it is about.
const attested = "vnd.docker.reference.digest"

func platformIn(d v1.Descriptor) string {
	if d.Platform == nil {
		return "no platform"
	}
	return d.Platform.String()
}
