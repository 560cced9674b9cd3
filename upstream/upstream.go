// SPDX-License-Identifier: Apache-2.0

// Package upstream reads what package repositories have, as far as a key vouches for it.
//
// [Repository.Read] begins at the file that is signed (InRelease, Release with Release.gpg, or
// repomd.xml with repomd.xml.asc), reads the lists of packages by the sums in it, and gives
// every package in them; [CheckKey] says whether a key is the one that recipes pin. Nothing that
// no signature covers gets out: not a date, not a name. [Repository.ReadLists] alone takes the word of
// its caller for the first file. How a file is got (from a server, out of
// a folder) is the caller's business, and so is what the packages mean.
package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/recipes"
)

// Get returns a file by its address. The error matches [fs.ErrNotExist] if there is no such
// file where others are.
type Get func(ctx context.Context, address string) ([]byte, error)

// Repository is where packages of one kind are, and who signs for them.
type Repository struct {
	URL      string // above the file that is signed, without a slash at the end
	Packages string // "deb" or "rpm"
	// Lists are the Packages files of a deb repository below URL, without the ending of a
	// compression: "Packages", or "main/binary-amd64/Packages". An rpm repository names its own.
	Lists []string
	// Key is the pinned key, whose file lies in the repository. Without one Keyring has all
	// that may sign, armored or not.
	Key     recipes.Key
	Keyring []byte
	Now     time.Time // when keys, signatures and states must hold
	ByDate  bool      // a mirror of old states, which may be out of date
}

// Index is the signed state that a repository was read in.
type Index struct {
	Address string // of the signed file
	Date    time.Time
	SHA256  string // of the signed file, 64 hexadecimal digits
	Key     string // id of the pinned key, or the fingerprint of the one of the keyring

	until time.Time // that its signer stands by it, zero if nothing is said
}

// file is one that the signed file names.
type file struct {
	name   string
	sha256 string
	size   int64
}

// Read returns the state of the repository and calls each for every package of its lists, in
// their order. Before the first of a list it has compared the whole of it with its sum. Errors
// are those of get, a [*KeyError], a [*SignatureError], an [*OutOfStepError] where a list is not
// the one that the signed file names, a [*StaleError], or a repository that makes no sense.
func (r Repository) Read(ctx context.Context, get Get, each func(pkgindex.Package)) (Index, error) {
	family, ok := families[r.Packages]
	if !ok {
		return Index{}, fmt.Errorf("packages %q: want deb or rpm", r.Packages)
	}
	ring, err := r.keyring(ctx, get)
	if err != nil {
		return Index{}, err
	}
	state, lists, err := family.state(ctx, get, r, ring)
	if err != nil {
		return Index{}, err
	}
	if state.Date.After(r.Now.Add(24 * time.Hour)) { // no later one would be newer
		return Index{}, fmt.Errorf("%s is of %s, a day to come", state.Address, state.Date.Format(time.DateOnly))
	}
	if !r.ByDate && !state.until.IsZero() && r.Now.After(state.until) {
		return Index{}, &StaleError{state.Address, fmt.Sprintf("was valid until %s, says its signer", state.until.Format(time.DateOnly))}
	}
	if err := r.lists(ctx, get, state.Address, lists, each); err != nil {
		return Index{}, err
	}
	return state, nil
}

// ReadLists is Read of a deb repository whose InRelease file the caller has, from that address: it looks
// at no signature, and the lists are those of that file. It is for who only says what is there.
func (r Repository) ReadLists(ctx context.Context, get Get, address string, inRelease []byte, each func(pkgindex.Package)) error {
	if block, _ := clearsign.Decode(inRelease); block != nil {
		inRelease = block.Plaintext
	}
	named, err := parseRelease(inRelease, &Index{})
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	lists, err := r.choices(address, named)
	if err != nil {
		return err
	}
	return r.lists(ctx, get, address, lists, each)
}

// lists reads each list.
func (r Repository) lists(ctx context.Context, get Get, signed string, lists [][]file, each func(pkgindex.Package)) error {
	for _, choices := range lists {
		if err := r.list(ctx, get, signed, families[r.Packages].read, choices, each); err != nil {
			return err
		}
	}
	return nil
}

// family is how repositories of one kind of packages are laid out.
type family struct {
	// state reads the signed file; each list is in one of several files with the same text.
	state func(context.Context, Get, Repository, keyring) (Index, [][]file, error)
	read  pkgindex.Reader
}

var families = map[string]family{
	"deb": {readRelease, pkgindex.Deb},
	"rpm": {readRepomd, pkgindex.RPM},
}

// list reads a list out of the first of its files that there is.
func (r Repository) list(ctx context.Context, get Get, signed string, read pkgindex.Reader, choices []file, each func(pkgindex.Package)) error {
	var data []byte
	err := error(fs.ErrNotExist)
	var f file
	for _, f = range choices {
		if data, err = get(ctx, r.URL+"/"+f.name); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	address := r.URL + "/" + f.name
	if errors.Is(err, fs.ErrNotExist) {
		return &OutOfStepError{address, fmt.Sprintf("is not there, though %s names it", signed)}
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	switch got := hex.EncodeToString(sum[:]); {
	case int64(len(data)) != f.size:
		return &OutOfStepError{address, fmt.Sprintf("has %d bytes, %s says %d", len(data), signed, f.size)}
	case got != f.sha256:
		return &OutOfStepError{address, fmt.Sprintf("has the sha256 %s, %s says %s", got, signed, f.sha256)}
	}
	text, err := decode(f.name, data)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	for p, err := range read(text) {
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		each(p)
	}
	return nil
}

// OutOfStepError means that a list is not the one that the signed file names: the repository
// was read while it changed, or a mirror has only half of a change.
type OutOfStepError struct{ Address, Problem string }

func (e *OutOfStepError) Error() string { return e.Address + " " + e.Problem }

// Hint is to wait.
func (*OutOfStepError) Hint() string {
	return "the repository, or the mirror of it, is in the middle of a change: try again later"
}

// Code is that of what could not be checked.
func (*OutOfStepError) Code() int { return 3 }

// StaleError means that a signed file is an old one: whoever serves it has stopped to copy the
// repository, or wants it to look as it once was.
type StaleError struct{ Address, Problem string }

func (e *StaleError) Error() string { return e.Address + " is an old state: it " + e.Problem }

// Hint is to look elsewhere.
func (*StaleError) Hint() string {
	return "read the vendor's own repository, or a mirror of it that is up to date"
}

// Code is that of what could not be checked.
func (*StaleError) Code() int { return 3 }

// valid reports whether a signed file may name that one: it is below the repository.
func (f file) valid() bool {
	return fs.ValidPath(strings.TrimPrefix(f.name, "./")) && sha256Form.MatchString(f.sha256) && f.size >= 0
}
