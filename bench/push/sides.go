// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// side is one contestant.
type side struct {
	name     string
	commands func(host string) [][]string // one after the other

	seconds, client, registry []float64
}

func (r race) images() string { return filepath.Join(r.out, "images") }

// ours is the folder that cudabuild pushes from, and writes its journal to.
func (r race) ours() string { return filepath.Join(r.work, "out") }

// sourceDir is the folder of the registry that is copied from.
func (r race) sourceDir() string { return r.work + "-source" }

// The repositories of a race. The source has the first two, with evidence and without.
const (
	proven = "/race/cuda"
	bare   = "/race/bare"
	copied = "/race/copied"
)

// sides are the contestants of a push, ours first.
func (r race) sides() []*side {
	return []*side{
		{name: "cudabuild push", commands: func(host string) [][]string { return [][]string{r.ourPush(host+proven, false)} }},
		{name: "skopeo copy --all", commands: r.each(func(host, cell string) []string {
			return []string{"skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", "oci:" + r.images() + ":" + cell, "docker://" + host + proven + ":" + cell}
		})},
		{name: "crane push --index", commands: func(host string) [][]string {
			return [][]string{{"bin/crane", "push", "--index", r.images(), host + proven + ":all"}}
		}},
	}
}

func (r race) ourPush(to string, evidence bool) []string {
	return []string{"bin/cudabuild", "push", "--quiet", fmt.Sprintf("--evidence=%t", evidence), "--group", r.group, "--out", r.ours(), to}
}

// copiers are the contestants of a copy, ours first.
func (r race) copiers(source string) []*side {
	ours := func(repo string) func(string) [][]string {
		return r.each(func(host, cell string) []string {
			return []string{"bin/cudabuild", "copy", "--quiet", source + repo + ":" + cell, host + copied}
		})
	}
	return []*side{
		{name: "cudabuild copy", commands: ours(bare)},
		{name: "with evidence", commands: ours(proven)},
		{name: "skopeo copy --all", commands: r.each(func(host, cell string) []string {
			return []string{"skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://" + source + bare + ":" + cell, "docker://" + host + copied + ":" + cell}
		})},
		{name: "crane copy", commands: r.each(func(host, cell string) []string {
			return []string{"bin/crane", "copy", source + bare + ":" + cell, host + copied + ":" + cell}
		})},
	}
}

// each gives a command for each cell.
func (r race) each(command func(host, cell string) []string) func(host string) [][]string {
	return func(host string) (all [][]string) {
		for _, cell := range r.cells {
			all = append(all, command(host, cell))
		}
		return all
	}
}

// push runs the commands of a side.
func (r race) push(ctx context.Context, s *side, host string) (seconds, client float64, err error) {
	begun := time.Now()
	for _, command := range s.commands(host) {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		if said, err := cmd.CombinedOutput(); err != nil {
			return 0, 0, fmt.Errorf("%v: %w\n%s", command, err, said)
		}
		client += cpu(cmd.ProcessState)
	}
	return time.Since(begun).Seconds(), client, nil
}

func cpu(s *os.ProcessState) float64 { return (s.UserTime() + s.SystemTime()).Seconds() }

// chosen are the IDs of the cells of a group.
func chosen(group string) (ids []string, err error) {
	catalog, err := recipes.Load()
	if err != nil {
		return nil, err
	}
	m, err := matrix.Load("matrix.yaml", catalog)
	if err != nil {
		return nil, err
	}
	cells, err := m.Expand(group, nil)
	for _, c := range cells {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// warm reads all files of a folder into the page cache and returns their size.
func warm(dir string) (total int64, err error) {
	files := os.DirFS(dir)
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := files.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(io.Discard, f)
		total += n
		return err
	})
	return total, err
}
