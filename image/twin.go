// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// checkTwin compares what docker save's manifest.json names with the OCI index beside it,
// which newer tools read in its place: both must name the same images. Those of other
// platforms, and those that the archive has in part, are left out of account.
func (a *tarArchive) checkTwin(saved []Source) error {
	data, err := readAll(a.open, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := newIndex(a.open, data)
	if err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	left := maxEntries
	indexed, err := imagesOf(root, maxNesting, &left)
	if err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	platforms := map[v1.Hash]string{} // of each configuration that manifest.json names
	for _, s := range saved {
		name, platform, err := configOf(s.Image)
		if err != nil {
			return err
		}
		platforms[name] = platform
	}
	found, read := map[v1.Hash]bool{}, map[v1.Hash]bool{}
	for _, e := range indexed {
		if read[e.Digest] {
			continue
		}
		read[e.Digest] = true
		name, platform, err := e.config()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("index.json: %s: %w", e.Digest, err)
		}
		_, both := platforms[name]
		if !both && !elsewhere(platform, platforms) {
			return fmt.Errorf("index.json names the image %s, which manifest.json does not: %w", e.Digest, errTwins)
		}
		found[name] = both
	}
	for name := range platforms {
		if !found[name] {
			return fmt.Errorf("manifest.json names the image of config %s, which index.json does not: %w", name, errTwins)
		}
	}
	return nil
}

var errTwins = errors.New("tools differ in which of the two they read")

func (e indexed) config() (name v1.Hash, platform string, err error) {
	img, err := imageIn(e.index, e.Descriptor)
	if err != nil {
		return name, "", err
	}
	return configOf(img)
}

// configOf returns the digest of an image's configuration, and the platform that it names.
func configOf(img v1.Image) (name v1.Hash, platform string, err error) {
	config, err := Config(img)
	if err != nil {
		return name, "", err
	}
	name, err = img.ConfigName()
	return name, platformOf(v1.Descriptor{Platform: config.Platform()}), err
}

// elsewhere reports a platform that none of manifest.json's images is for.
func elsewhere(of string, platforms map[v1.Hash]string) bool {
	for _, platform := range platforms {
		if matches(of, platform) || matches(platform, of) {
			return false
		}
	}
	return of != ""
}
