// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cudabuild/cudabuild/internal/files"
)

// maxKept is how many rows of each sample or test are kept; the oldest go first.
const maxKept = 100

// File is one file of a ledger: what one engine showed of one image on one kind of
// host, oldest row first.
type File struct {
	Version int   `json:"version"` // 1
	Host    Host  `json:"host"`    // of the newest row
	Rows    []Row `json:"rows"`
}

// path is DIR/DIGEST/HOST/ENGINE.json.
func path(dir string, host Host, row Row) string {
	_, hex, _ := strings.Cut(row.Digest, ":")
	return filepath.Join(dir, hex[:min(len(hex), 12)], host.Key(), row.Engine+".json")
}

// Append writes row to the ledger in dir. A row of the same run (same start), written
// before it ended, is replaced. The file appears whole or not at all. The row of a Job (same Run and Job) is
// there once, whoever writes it, and processes wait for one another.
func Append(dir string, host Host, row Row) error {
	name := path(dir, host, row)
	image := filepath.Dir(filepath.Dir(name))
	if err := os.MkdirAll(image, 0o755); err != nil {
		return err
	}
	if lock, err := files.WaitLock(context.Background(), image+"/"); err == nil { // some file systems have no locks
		defer lock.Unlock()
	}
	if has, err := hasJob(image, row); has || err != nil {
		return err
	}
	file, err := readFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file.Version, file.Host = 1, host
	pending := func(r Row) bool { return r.Result == "" && r.Started.Equal(row.Started) }
	if i := slices.IndexFunc(file.Rows, pending); i >= 0 {
		file.Rows[i] = row
	} else {
		file.Rows = append(file.Rows, row)
	}
	file.Rows = Newest(file.Rows, func(r Row) Row { return r })
	return writeFile(name, file)
}

// hasJob reports whether the ledger has the row of a Job in the folder of its image. Two clients may know different things of
// its node, and so write to different files.
func hasJob(image string, row Row) (bool, error) {
	if row.Job == "" {
		return false, nil
	}
	names, err := fs.Glob(os.DirFS(image), "*/"+row.Engine+".json")
	if err != nil {
		return false, err
	}
	for _, name := range names {
		file, err := readFile(filepath.Join(image, name))
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(file.Rows, func(r Row) bool { return r.Run == row.Run && r.Job == row.Job }) {
			return true, nil
		}
	}
	return false, nil
}

// Newest are what holds rows, oldest first, without the oldest rows of a sample or test where
// there are more than 100. Those of each client and way to share a GPU
// are counted for themselves.
func Newest[T any](all []T, row func(T) Row) []T {
	type test struct {
		sample, test string
		dry          bool
		sharing      Sharing
	}
	left := map[test]int{}
	of := func(one T) test {
		r := row(one)
		return test{r.Sample, r.Test, r.Dry, r.sharing()}
	}
	for _, one := range all {
		left[of(one)]++
	}
	return slices.DeleteFunc(all, func(one T) bool {
		left[of(one)]--
		return left[of(one)] >= maxKept
	})
}

func writeFile(name string, file File) error {
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return files.Write(name, append(data, '\n'))
}

func readFile(name string) (File, error) {
	data, err := files.Read(name)
	if err != nil {
		return File{}, err
	}
	var file File
	if err := json.Unmarshal(data, &file); err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	if file.Version != 1 {
		return File{}, fmt.Errorf("%s: version %d, want 1", name, file.Version)
	}
	return file, nil
}

// ReadLedger returns every finished row of the ledger in dir, or where dir is a link to, with
// its host, in the order of the files' names. Where files cannot be read the rows of all others come with the error.
func ReadLedger(dir string) ([]Observation, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	var all []Observation
	var unread []error
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && name == dir && !d.IsDir() {
			return &fs.PathError{Op: "read ledger", Path: dir, Err: syscall.ENOTDIR}
		}
		if err != nil || d.IsDir() || filepath.Ext(name) != ".json" {
			return err
		}
		file, err := readFile(name)
		if err != nil {
			unread = append(unread, err)
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		for _, row := range slices.DeleteFunc(file.Rows, func(r Row) bool { return r.Result == "" }) {
			all = append(all, Observation{Host: file.Host, Row: row, File: filepath.ToSlash(rel)})
		}
		return nil
	})
	if more := len(unread) - mostUnread; more > 0 {
		unread = append(unread[:mostUnread], fmt.Errorf("and %d files more", more))
	}
	return all, errors.Join(append(unread, err)...)
}

// mostUnread is how many files of a ledger that cannot be read are named.
const mostUnread = 3
