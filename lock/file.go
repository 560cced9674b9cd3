// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/strict"
)

// maxValues bounds what is read of a file: a hundred systems of a thousand packages have half of it.
const maxValues = 1 << 20

// ErrNone is the condition that there is no lock.
var ErrNone = errors.New("no lock")

// Beside returns the name of the lock of a matrix: matrix.lock beside matrix.yaml.
func Beside(matrix string) string {
	return strings.TrimSuffix(matrix, filepath.Ext(matrix)) + ".lock"
}

// Read returns the lock in a file. The error matches [ErrNone] if there is no such file.
func Read(path string) (*Lock, error) {
	data, err := files.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	l, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s is no lock: %w", path, err)
	}
	return l, nil
}

// Parse reads the bytes of a file. Keys that it does not know are left to a newer cudabuild,
// another version of the whole is an error.
func Parse(data []byte) (*Lock, error) {
	if err := strict.Check(data, maxValues); err != nil {
		return nil, err
	}
	l := &Lock{digest: digest.FromBytes(data).String()}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, err
	}
	if l.Version != 1 {
		return nil, fmt.Errorf("version %d, want 1", l.Version)
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	return l, nil
}

var (
	word   = regexp.MustCompile(`^[!-~]+$`)
	line   = regexp.MustCompile(`^[ -~]+$`)
	system = regexp.MustCompile(`^[A-Za-z0-9._-]+ linux/[a-z0-9/]+$`)
	sha256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// check reports what cannot be compared with anything, and what is there twice, as after a merge
// of two branches.
func (l *Lock) check() error {
	seen := map[string]bool{}
	entry := func(s System, kind, name string, words ...string) error {
		key := fmt.Sprint(s, " ", kind, " ", name)
		switch {
		case !system.MatchString(s.String()):
			return fmt.Errorf("%s %q: %q is no OS and platform", kind, name, s)
		case seen[key]:
			return fmt.Errorf("%s %s of %s is there twice (after a merge? take one side, or remove the file and run 'cudabuild lock update')", kind, name, s)
		}
		seen[key] = true
		for _, w := range words {
			if !word.MatchString(w) {
				return fmt.Errorf("%s %q of %s: %q is not one word", kind, name, s, w)
			}
		}
		return nil
	}
	sum := func(of, text string) error {
		if sha256.MatchString(text) {
			return nil
		}
		return fmt.Errorf("%s: sha256 %q, want 64 hexadecimal digits", of, text)
	}
	tools := func(of string, versions map[string]string) error {
		for name, version := range versions {
			if !word.MatchString(name) || !line.MatchString(version) {
				return fmt.Errorf("tools of %s: %q %q is no name and version", of, name, version)
			}
		}
		return nil
	}
	if err := tools("all systems", l.Tools); err != nil {
		return err
	}
	for _, r := range l.Roots {
		for _, d := range []string{r.Digest, r.Index} {
			if hex, ok := strings.CutPrefix(d, "sha256:"); !ok || !sha256.MatchString(hex) {
				return fmt.Errorf("root of %s: %q is no digest", r.System, d)
			}
		}
		if err := cmp.Or(entry(r.System, "root", r.Digest, cmp.Or(r.Image, "-")), tools(r.String(), r.Tools)); err != nil {
			return err
		}
		if r.Image != "" && !strings.HasSuffix(r.Image, "@"+r.Digest) {
			return fmt.Errorf("root of %s: image %s, want it by its digest, @%s", r.System, r.Image, r.Digest)
		}
		if seen[r.String()] {
			return fmt.Errorf("%s has two roots (after a merge? take one side, or remove the file and run 'cudabuild lock update')", r)
		}
		seen[r.String()] = true
	}
	for _, list := range l.Lists {
		if err := cmp.Or(entry(list.System, "list", list.Repository, list.Repository), sum("list "+list.Repository, list.SHA256)); err != nil {
			return err
		}
		if list.Date.IsZero() {
			return fmt.Errorf("list %s of %s has no date", list.Repository, list.System)
		}
	}
	for _, p := range l.Packages {
		if err := entry(p.System, "package", p.title()+" "+p.Version, p.Name, cmp.Or(p.Arch, "-"), p.Version); err != nil {
			return err
		}
		if p.SHA256 != "" {
			if err := sum("package "+p.title(), p.SHA256); err != nil {
				return err
			}
		}
	}
	return nil
}

// Write writes the lock into a file, whole or not at all: what [Read] would not take, it does not write.
func (l *Lock) Write(path string) error {
	if err := l.check(); err != nil {
		return fmt.Errorf("%s is not written: %w", path, err)
	}
	data, err := l.Bytes()
	if err != nil {
		return err
	}
	return files.Write(path, data)
}

// Bytes are the file: sorted JSON with a line for each entry, so that git shows what has changed.
func (l *Lock) Bytes() ([]byte, error) {
	var w bytes.Buffer
	tools, err := json.Marshal(l.Tools)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&w, "{\"version\":%d,\n\"tools\":%s", l.Version, tools)
	err = errors.Join(lines(&w, "roots", l.Roots), lines(&w, "lists", l.Lists), lines(&w, "packages", l.Packages))
	w.WriteString("}\n")
	return w.Bytes(), err
}

func lines[T any](w *bytes.Buffer, name string, entries []T) error {
	fmt.Fprintf(w, ",\n%q:[", name)
	for i, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteByte('\n')
		w.Write(data)
	}
	w.WriteString("\n]")
	return nil
}
