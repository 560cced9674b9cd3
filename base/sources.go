// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/recipes"
)

// sources are the repositories of one OS as they stand now.
type sources struct {
	own  string // sources.list as the distribution has it
	used string // the same with the mirror's address, for this build
	auth string // the login for it, for apt's auth.conf; may be ""
	// states are the InRelease files by their own address, dates those in them.
	states map[string][]byte
	dates  map[string]time.Time
}

// findSources asks mmdebstrap which repositories it uses for the suite by default,
// and each repository for its state.
func (s *Store) findSources(ctx context.Context, by runner, o recipes.OS, platform string) (sources, error) {
	own, err := by.sources(ctx, o, platform)
	if err != nil {
		return sources{}, err
	}
	src, err := s.readSources(ctx, own)
	if err == nil && len(src.dates) == 0 {
		err = fmt.Errorf("mmdebstrap names no repository for suite %q", o.Bootstrap.Suite)
	}
	return src, err
}

// readSources asks the repositories of a list for their states.
func (s *Store) readSources(ctx context.Context, own string) (sources, error) {
	m := s.mirror()
	src := sources{own: own, used: m.mirrored(own), auth: m.auth(), states: map[string][]byte{}, dates: map[string]time.Time{}}
	for _, address := range inReleases(own) {
		data, err := s.state(ctx, m, address)
		if err != nil {
			return sources{}, err
		}
		if src.dates[address], err = parseDate(bytes.NewReader(data), m.inRelease(address)); err != nil {
			return sources{}, err
		}
		src.states[address] = data
	}
	return src, nil
}

// state is an InRelease file, by its own address.
func (s *Store) state(ctx context.Context, m mirror, own string) ([]byte, error) {
	return fetchFrom(ctx, "the package repositories", m.inRelease(own), m.login, maxState)
}

// inReleases returns the address of each repository's InRelease file.
func inReleases(list string) []string {
	var addresses []string
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		for i, field := range fields {
			if u, err := url.Parse(field); err == nil && u.Host != "" && i+1 < len(fields) {
				addresses = append(addresses, u.JoinPath("dists", fields[i+1], "InRelease").String())
			}
		}
	}
	return addresses
}

// parseDate finds the Date field at the head of an InRelease file.
func parseDate(r io.Reader, address string) (time.Time, error) {
	lines := bufio.NewScanner(io.LimitReader(r, 64<<10))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "Date: "); ok {
			return time.Parse(time.RFC1123, strings.TrimSpace(value)) // "UTC", or "+0000" for a flat repository
		}
	}
	return time.Time{}, fmt.Errorf("%s has no Date field", address)
}

func (s sources) sameDates(known map[string]time.Time) bool {
	if len(known) != len(s.dates) {
		return false
	}
	for address, date := range s.dates {
		if !known[address].Equal(date) {
			return false
		}
	}
	return true
}

func (s sources) epoch() time.Time { return newest(s.dates) }
