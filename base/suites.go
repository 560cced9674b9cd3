// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"strings"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

// Suites returns those that a root of the OS is made of, by what mmdebstrap takes for its suite.
// It needs what [Store.Base] does.
func (s *Store) Suites(ctx context.Context, o recipes.OS, platform string) ([]upstream.Suite, error) {
	by, err := s.runner(platform)
	if err != nil {
		return nil, err
	}
	own, err := by.sources(ctx, o, platform)
	if err != nil {
		return nil, err
	}
	return s.mirror().suites(own), nil
}

// suites are those of a list of sources.
func (m mirror) suites(list string) (all []upstream.Suite) {
	for line := range strings.Lines(list) {
		for _, address := range inReleases(line) {
			_, place, _ := strings.Cut(line, "://")
			all = append(all, upstream.Suite{
				URL:        strings.TrimSuffix(m.inRelease(address), "/InRelease"),
				Components: strings.Fields(place)[2:], ByDate: byDate.MatchString(m.before + m.after),
			})
		}
	}
	return all
}

// Fetch returns a file of an [upstream.Suite] by its address, as [Fetch] does, with the login for the
// mirror.
func (s *Store) Fetch(ctx context.Context, address string) ([]byte, error) {
	return fetchFrom(ctx, "the package repositories", address, s.mirror().login, maxList)
}
