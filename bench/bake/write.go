// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// target is a target of a bake file.
type target struct {
	Context    string            `json:"context"`
	Dockerfile string            `json:"dockerfile"`
	Target     string            `json:"target"`
	Contexts   map[string]string `json:"contexts"`
	Output     []string          `json:"output"`
}

// writeBake bootstraps what the cells need and writes a bake file for them.
func writeBake(ctx context.Context, catalog *recipes.Catalog, cells []matrix.Cell, bases *base.Store, work string) (string, error) {
	made, err := bootstrapAll(ctx, cells, bases)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(work, "context")
	if err := writeSamples(folder); err != nil {
		return "", err
	}
	targets := map[string]target{}
	var all []string
	for _, cell := range cells {
		base := made[cell.OS]
		name := "Dockerfile." + cell.OS + "-" + cell.CUDA
		text, err := writeDockerfile(catalog, cell.OS, cell.CUDA)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return "", err
		}
		id := strings.ReplaceAll(cell.ID, ".", "_")
		layout := "oci-layout://" + filepath.Join(work, "state", "bases") + "@"
		targets[id] = target{
			Context: folder, Dockerfile: name, Target: stage(cell),
			Contexts: map[string]string{"root": layout + base.Root.String()},
			Output:   []string{fmt.Sprintf("type=oci,dest=%s/%s.tar,compression=zstd", work, cell.ID)},
		}
		all = append(all, id)
	}
	data, err := json.MarshalIndent(map[string]any{
		"group":  map[string]any{"default": map[string]any{"targets": all}},
		"target": targets,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(work, "docker-bake.json")
	return file, os.WriteFile(file, data, 0o600)
}

func writeSamples(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	texts := map[string]string{samples.HeaderFile: samples.Header}
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		texts[s.File] = s.Source
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func stage(c matrix.Cell) string {
	if c.Sample != "" {
		return strings.ToLower(c.Sample)
	}
	return string(c.Flavor)
}

func bootstrapAll(ctx context.Context, cells []matrix.Cell, bases *base.Store) (map[string]base.Base, error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	made := map[string]base.Base{}
	var failed error
	seen := map[string]bool{}
	for _, cell := range cells {
		if seen[cell.OS] {
			continue
		}
		seen[cell.OS] = true
		group.Go(func() {
			base, err := bases.Base(ctx, cell.Recipe, cell.Platforms[0])
			mu.Lock()
			defer mu.Unlock()
			made[cell.OS] = base
			if err != nil {
				failed = err
			}
		})
	}
	group.Wait()
	return made, failed
}
