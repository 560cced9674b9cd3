// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A mirror has the distribution's paths, so it has none of its own. The characters of
// its host are those that apt takes into the name of a list as they are.
var (
	mirrorForm = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$`)
	ownHost    = regexp.MustCompile(`[a-z]+://[^/\s]+`)
)

// CheckMirror returns an error if that cannot be the address of a mirror. No address
// is fine: it means the distribution's own.
func CheckMirror(address string) error {
	if address != "" && !mirrorForm.MatchString(address) {
		return fmt.Errorf("%q: want scheme and host of a mirror, such as http://mirror.example", address)
	}
	return nil
}

// mirrored puts the mirror, if there is one, in place of every scheme and host.
func mirrored(text, mirror string) string {
	if mirror == "" {
		return text
	}
	return ownHost.ReplaceAllLiteralString(text, strings.TrimSuffix(mirror, "/"))
}

// unmirror gives the package lists in dir the names that they have without a mirror:
// apt names a list after the address that it came from.
func (s sources) unmirror(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	used, own := listPrefixes(s.used), listPrefixes(s.own)
	for _, file := range files {
		for i, prefix := range used {
			if rest, ok := strings.CutPrefix(file.Name(), prefix); ok && prefix != own[i] {
				if err := os.Rename(filepath.Join(dir, file.Name()), filepath.Join(dir, own[i]+rest)); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// listPrefixes returns how the names of each repository's lists begin.
func listPrefixes(list string) []string {
	var prefixes []string
	for _, address := range inReleases(list) {
		_, path, _ := strings.Cut(strings.TrimSuffix(address, "InRelease"), "://")
		prefixes = append(prefixes, strings.ReplaceAll(path, "/", "_"))
	}
	return prefixes
}

// AptConfig tells the apt of a build step where the mirror is, in apt's own form: the
// index does not know. recipes/manager/apt.yaml reads it. It is empty without a mirror.
func (s *Store) AptConfig() []byte {
	if s.Mirror == "" {
		return nil
	}
	return fmt.Appendf(nil, "Cudabuild::Mirror %q;\n", strings.TrimSuffix(s.Mirror, "/"))
}

// Reachable returns an error that matches [ErrUnreachable] if the mirror does not
// answer for a repository that b was made from, or a vendor's repository does not.
// Without a mirror it asks nobody for the distribution's own.
func (s *Store) Reachable(ctx context.Context, b Base) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, address := range slices.Sorted(maps.Keys(b.Sums)) {
		if _, err := fetch(ctx, address); errors.Is(err, ErrUnreachable) {
			return err
		}
	}
	if s.Mirror == "" || len(b.Sums) > 0 {
		return nil
	}
	for _, address := range slices.Sorted(maps.Keys(b.Dates)) {
		if _, err := indexDate(ctx, mirrored(address, s.Mirror)); errors.Is(err, ErrUnreachable) {
			return err
		}
	}
	return nil
}
