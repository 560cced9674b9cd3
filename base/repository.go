// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

// repository is one of a vendor's repositories as it stands now.
type repository struct {
	recipes.Address

	armored, binary []byte // its key
	state           string // address of the file that names the rest by their sums
	sum             digest.Digest
	date            time.Time
}

// readRepository fetches the key and the state of a repository and checks the key
// against its pin. That the state is signed by it is for the package manager to see.
func readRepository(ctx context.Context, a recipes.Address, packages string) (repository, error) {
	r := repository{Address: a}
	address := a.URL + "/" + a.Key.File
	text, err := fetch(ctx, address, maxKey)
	if err != nil {
		return r, err
	}
	key, err := upstream.CheckKey(a.Key, address, text, time.Now())
	if err != nil {
		return r, err
	}
	r.armored, r.binary = key.Armored, key.Binary
	return r, r.readState(ctx, packages)
}

// states are the files that a repository's own tools read first, by kind of packages.
var states = map[string][]string{"deb": {"InRelease", "Release"}, "rpm": {"repodata/repomd.xml"}}

func (r *repository) readState(ctx context.Context, packages string) error {
	var data []byte
	err := fmt.Errorf("packages %q: want deb or rpm", packages)
	for _, name := range states[packages] {
		r.state = r.URL + "/" + name
		if data, err = fetch(ctx, r.state, maxState); !errors.Is(err, errNoFile) {
			break
		}
	}
	if err != nil {
		return err
	}
	r.sum = digest.FromBytes(data)
	if packages == "deb" {
		r.date, err = parseDate(bytes.NewReader(data), r.state)
	} else {
		r.date, err = repomdDate(data, r.state)
	}
	return err
}

// repomdDate is the newest date in a repomd.xml.
func repomdDate(data []byte, address string) (time.Time, error) {
	var repomd struct {
		Revision string `xml:"revision"`
		Data     []struct {
			Timestamp string `xml:"timestamp"`
		} `xml:"data"`
	}
	if err := xml.Unmarshal(data, &repomd); err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", address, err)
	}
	newest, _ := strconv.ParseInt(repomd.Revision, 10, 64)
	for _, d := range repomd.Data {
		seconds, _ := strconv.ParseFloat(d.Timestamp, 64) // some tools write fractions
		newest = max(newest, int64(seconds))
	}
	if newest <= 0 || newest > 1<<40 {
		return time.Time{}, fmt.Errorf("%s has no date", address)
	}
	return time.Unix(newest, 0).UTC(), nil
}

// What a file of a repository may have in bytes. The largest list seen has 13 MB, the largest state 0.3.
const (
	maxKey   = 1 << 20
	maxState = 8 << 20
	maxList  = 128 << 20
)

// errNoFile is the condition that a server answers, but not with the file.
var errNoFile = fs.ErrNotExist

// Fetch returns a file of a repository by its address, of at most 128 MB. The error matches
// [ErrUnreachable], or [fs.ErrNotExist] if the server answers, but not with the file.
func Fetch(ctx context.Context, address string) ([]byte, error) { return fetch(ctx, address, maxList) }

// fetch reads a file of a repository. What it returns says why it could not.
func fetch(ctx context.Context, address string, most int64) ([]byte, error) {
	return fetchFrom(ctx, "the repository", address, nil, most)
}

func fetchFrom(ctx context.Context, what, address string, login *url.Userinfo, most int64) ([]byte, error) {
	resp, err := get(ctx, address, login)
	if err != nil {
		return nil, &UnreachableError{What: what, Err: cause.Of(address, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why := cause.Of(address, errors.New(resp.Status))
		if why.Outage() {
			err = &UnreachableError{What: what, Err: why}
		} else {
			err = why
		}
		return nil, &answerError{err, !busy(resp)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, &UnreachableError{What: what, Err: cause.Of(address, err)}
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes: it is not what it is called", address, most)
	}
	return data, nil
}

// answerError is an answer that is not the file. It matches [errNoFile] if asking for
// another one makes sense.
type answerError struct {
	error

	noFile bool
}

func (e *answerError) Unwrap() error        { return e.error }
func (e *answerError) Is(target error) bool { return e.noFile && target == errNoFile }
