// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// platformForm is os/arch[/variant] in the words of Go (image-spec, image index).
var platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9_.]+)?$`)

// hostPlatform is what is taken of an index if nobody says what to take.
const hostPlatform = "linux/" + runtime.GOARCH

// CheckPlatform reports a platform that no image can have.
func CheckPlatform(platform string) error {
	if !platformForm.MatchString(platform) {
		return fmt.Errorf("platform %q: want os/arch[/variant], such as linux/amd64 or linux/arm64/v8", platform)
	}
	return nil
}

// check refuses images for another platform than the one that the caller has named.
// What an index says of an image counts more than the image's own words: they may
// lack the variant.
func (o OpenOptions) check(sources []Source) error {
	if o.Platform == "" || o.AllPlatforms {
		return nil
	}
	for _, s := range sources {
		have := s.Platform
		if have == "" {
			config, err := Config(s.Image)
			if err != nil {
				return err
			}
			have = platformOf(v1.Descriptor{Platform: config.Platform()})
		}
		if !matches(have, o.Platform) {
			return &PlatformError{o.Platform, []string{have}}
		}
	}
	return nil
}

// PlatformError is an image that is there, but not for the platform that was asked for.
// It matches [ErrNoImage].
type PlatformError struct {
	Want string
	Have []string // "" for an image that says nothing
}

func (e *PlatformError) Error() string {
	var have []string
	for _, p := range e.Have {
		have = append(have, cmp.Or(p, "one that does not say what it is for"))
	}
	return fmt.Sprintf("%v for platform %s, there is: %s", ErrNoImage, e.Want, cmp.Or(strings.Join(have, ", "), "nothing"))
}

func (e *PlatformError) Unwrap() error { return ErrNoImage }

// Hint is how to ask for another platform.
func (e *PlatformError) Hint() string {
	return "name one of these with --platform; 'cudabuild verify --all-platforms' judges all"
}

func platformOf(d v1.Descriptor) string {
	if d.Platform == nil {
		return ""
	}
	p := d.Platform.OS + "/" + d.Platform.Architecture
	if d.Platform.Variant != "" {
		p += "/" + d.Platform.Variant
	}
	return p
}

// matches reports whether have is want; a variant counts only if want names one.
func matches(have, want string) bool { return have == want || strings.HasPrefix(have, want+"/") }
