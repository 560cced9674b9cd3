// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// SpellingError is a reference that reads as one of a registry but was hardly meant
// so: nothing is asked of any registry. It matches [ErrBadReference].
type SpellingError struct {
	Problem string
	Try     []string // what was probably meant, never empty
}

func (e *SpellingError) Error() string { return ErrBadReference.Error() + ": " + e.Problem }
func (e *SpellingError) Unwrap() error { return ErrBadReference }

// Hint is what was probably meant.
func (e *SpellingError) Hint() string { return "write " + strings.Join(e.Try, ", or ") }

// foreign are transports of other tools that would else be taken for the name of a
// repository with a tag.
var foreign = []string{"docker-daemon", "containers-storage"}

// pathOf is a path behind a word and a colon, which is no tag: those begin with neither.
var pathOf = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+._-]*):([/.].*)$`)

// checkSpelling returns a [*SpellingError] for a reference without a transport that
// looks like an address, a mistyped transport, or something on this machine's disk; or
// a [*NoReaderError].
func checkSpelling(ref string) error {
	if scheme, rest, ok := strings.Cut(ref, "://"); ok {
		return &SpellingError{"there is no transport " + scheme + "://", []string{strings.TrimSuffix(rest, "/")}}
	}
	transport, rest, _ := strings.Cut(ref, ":")
	if slices.Contains(foreign, transport) {
		return &SpellingError{"there is no transport " + transport + ":", []string{"docker-archive:FILE with what 'docker save' or 'podman save' writes to FILE"}}
	}
	if near := suggest.Nearest(transport, []string{ociArchive, dockerArchive}, 1); rest != "" && len(near) > 0 {
		return &SpellingError{"there is no transport " + transport + ":", []string{near[0] + ":" + rest}}
	}
	if m := pathOf.FindStringSubmatch(ref); m != nil {
		return &SpellingError{"there is no transport " + m[1] + ":", []string{"oci:" + m[2], "oci-archive:" + m[2], "docker-archive:" + m[2]}}
	}
	info, err := os.Stat(ref)
	switch {
	case err == nil && info.IsDir():
		return &SpellingError{"it is a folder on this machine", []string{"oci:" + ref, "for a registry's, docker.io/library/" + filepath.Base(ref)}}
	case err == nil && noReader(ref) != nil:
		return noReader(ref)
	case err == nil || strings.HasSuffix(ref, ".tar"):
		return &SpellingError{"it is a file without its transport", []string{"docker-archive:" + ref, "oci-archive:" + ref}}
	case strings.HasPrefix(ref, "./"), strings.HasPrefix(ref, "../"), strings.HasPrefix(ref, "/"):
		return &SpellingError{"it is a path without its transport", []string{"oci:" + ref, "docker-archive:" + ref, "oci-archive:" + ref}}
	}
	return nil
}
