// SPDX-License-Identifier: Apache-2.0

package base

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/recipes"
)

// fromImage is Base for an OS that starts from a vendor's image: it resolves that, and
// makes an index of the key and the state of each repository (docs/sources.md). The
// same state gives the same digests, so a base that has not moved is the known one.
func (s *Store) fromImage(ctx context.Context, recipe *recipes.Recipe, platform string) (Base, error) {
	o := recipe.OS
	b := Base{OS: o.Name, Platform: platform, Dates: map[string]time.Time{}, Sums: map[string]digest.Digest{}}
	var repositories []repository
	for _, address := range recipe.Addresses(platform) {
		r, err := readRepository(ctx, address, o.Repository.Packages)
		if err != nil {
			return Base{}, err
		}
		repositories = append(repositories, r)
		b.Dates[r.state], b.Sums[r.state] = r.date, r.sum
	}
	if len(repositories) == 0 {
		return Base{}, fmt.Errorf("source %q has no repository for it on %s", o.Source, platform)
	}
	if err := s.lockedStates(&b, repositories); err != nil {
		return Base{}, err
	}
	from := s.vendorImage(o, platform)
	s.Log.Info("resolving", "os", o.Name, "image", from)
	var err error
	if b.Image, b.Root, err = s.resolve(ctx, from, platform); err != nil {
		return Base{}, err
	}
	config, err := s.Config(ctx, b)
	if err != nil {
		return Base{}, err
	}
	b.Epoch = newest(b.Dates)
	if config.Created != nil && config.Created.After(b.Epoch) {
		b.Epoch = config.Created.Truncate(time.Second).UTC()
	}
	b.Lists, err = s.image(ctx, b, "repositories of "+o.Name, func(w io.Writer) error {
		return writeRepositories(w, o.Repository.Packages, repositories, b.Epoch)
	})
	return b, err
}

// writeRepositories writes what a build step needs to add the repositories: for each,
// by its name, the key as text and as an old apt reads it and the list or repo file;
// and in "state" which state they had. A step downloads none of it, so the old images
// need neither curl nor gnupg.
func writeRepositories(w io.Writer, packages string, repositories []repository, date time.Time) error {
	tw := tar.NewWriter(w)
	var state strings.Builder
	var errs []error
	put := func(name string, data []byte) {
		errs = append(errs, tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: date}))
		_, err := tw.Write(data)
		errs = append(errs, err)
	}
	for _, r := range repositories {
		put(r.Name+".asc", r.armored)
		put(r.Name+".gpg", r.binary)
		name, text := r.Entry(packages)
		put(name, []byte(text))
		fmt.Fprintf(&state, "%s %s\n", r.sum, r.state)
	}
	put("state", []byte(state.String()))
	return errors.Join(append(errs, tw.Close())...)
}

func newest(dates map[string]time.Time) time.Time {
	var newest time.Time
	for _, date := range dates {
		if date.After(newest) {
			newest = date
		}
	}
	return newest.UTC()
}

// addressDigest covers where the packages of an OS come from.
func addressDigest(o recipes.OS, addresses []recipes.Address, platform string) digest.Digest {
	const form = 2 // raise it when the index changes
	data, _ := json.Marshal([]any{form, o.Image, o.Repository.Packages, addresses, platform})
	return digest.FromBytes(data)
}
