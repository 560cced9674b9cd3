// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// endings are those of a deb list's files, the smallest first.
var endings = []string{".xz", ".gz", ""}

// readRelease reads InRelease, or where there is none Release and Release.gpg.
func readRelease(ctx context.Context, get Get, r Repository, ring keyring) (Index, [][]file, error) {
	state := Index{Address: r.URL + "/InRelease"}
	data, err := get(ctx, state.Address)
	var text []byte
	switch {
	case err == nil:
		text, state.Key, err = ring.clearSigned(state.Address, data)
	case errors.Is(err, fs.ErrNotExist):
		state.Address = r.URL + "/Release"
		data, state.Key, err = ring.detached(ctx, get, state.Address, ".gpg")
		text = data
	}
	if err != nil {
		return state, nil, err
	}
	state.SHA256 = sum(data)
	named, err := parseRelease(text, &state)
	if err != nil {
		return state, nil, fmt.Errorf("%s: %w", state.Address, err)
	}
	lists, err := r.choices(state.Address, named)
	return state, lists, err
}

// choices are the files of each of the repository's lists, of those that a signed file names.
func (r Repository) choices(signed string, named map[string]file) (lists [][]file, err error) {
	for _, list := range r.Lists {
		var choices []file
		for _, ending := range endings {
			if f, ok := named[list+ending]; ok {
				choices = append(choices, f)
			}
		}
		if len(choices) == 0 {
			return nil, fmt.Errorf("%s names no %s with a sha256", signed, list)
		}
		lists = append(lists, choices)
	}
	return lists, nil
}

// parseRelease reads the date of a Release file and the files that it names, by their
// names without "./".
func parseRelease(text []byte, state *Index) (map[string]file, error) {
	named := map[string]file{}
	field := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			field = name
			if at := map[string]*time.Time{"Date": &state.Date, "Valid-Until": &state.until}[field]; at != nil {
				date, err := time.Parse(time.RFC1123, strings.TrimSpace(value)) // "UTC", or "+0000" for a flat repository
				if err != nil {
					return nil, fmt.Errorf("%s: %w", field, err)
				}
				*at = date.UTC()
			}
			continue
		}
		if words := strings.Fields(line); field == "SHA256" && len(words) == 3 {
			size, err := strconv.ParseInt(words[1], 10, 64)
			f := file{strings.TrimPrefix(words[2], "./"), words[0], size}
			if err != nil || !f.valid() {
				return nil, fmt.Errorf("file %q makes no sense", words)
			}
			named[f.name] = f
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if state.Date.IsZero() {
		return nil, errors.New("no date")
	}
	return named, nil
}

const maxLine = 1 << 20
