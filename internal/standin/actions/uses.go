// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// use does what an action does: a folder in the workspace is a composite action that runs,
// for other people's there is an equivalent here.
func (h *host) use(ctx context.Context, uses string, with map[string]any, outputs map[string]string) error {
	if local, ok := strings.CutPrefix(uses, "./"); ok {
		return h.composite(ctx, filepath.Join(h.work, local), with, outputs)
	}
	name, _, _ := strings.Cut(uses, "@")
	if dir, ok := h.Workflows[name+"/"]; ok {
		return h.composite(ctx, dir, with, outputs)
	}
	f, ok := map[string]func(with map[string]any) error{
		"actions/checkout":          h.checkout,
		"actions/setup-go":          func(map[string]any) error { return nil }, // the machine has one
		"actions/upload-artifact":   h.upload,
		"actions/download-artifact": h.download,
		"docker/login-action":       h.login,
	}[name]
	if !ok {
		return fmt.Errorf("there is no equivalent of %q", uses)
	}
	return f(with)
}

// composite runs the steps of an action in the job's place.
func (h *host) composite(ctx context.Context, dir string, with map[string]any, outputs map[string]string) error {
	action, err := load(filepath.Join(dir, "action.yml"))
	if err != nil {
		return err
	}
	if action.Runs.Using != "composite" {
		return fmt.Errorf("an action that uses %q", action.Runs.Using)
	}
	values, err := action.Inputs.arguments(with)
	if err != nil {
		return err
	}
	inside := *h
	inside.scope, inside.steps = h.scope.with(scope{"inputs": values}), map[string]any{}
	if err := inside.all(ctx, action.Runs.Steps); err != nil {
		return err
	}
	h.path, h.scripts = inside.path, inside.scripts
	for name, output := range action.Outputs {
		value, err := inside.now(inside.env).fill(output.Value)
		if err != nil {
			return err
		}
		outputs[name] = asText(value)
	}
	if inside.failed && !h.failed {
		return failure("the action failed")
	}
	return nil
}

func (h *host) checkout(with map[string]any) error {
	return h.Checkout(asText(with["repository"]), asText(with["ref"]), filepath.Join(h.work, asText(with["path"])))
}

// login leaves what `docker login` does.
func (h *host) login(with map[string]any) error {
	registry, user, password := asText(with["registry"]), asText(with["username"]), asText(with["password"])
	if user == "" || password == "" {
		return failure("login to %s: username and password required", registry)
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{
		registry: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))},
	}})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(h.home, ".docker"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.home, ".docker", "config.json"), config, 0o600)
}

// artifacts is the folder of all artifacts of a run of a workflow.
func (m *Machine) artifacts() string { return filepath.Join(m.Dir, "artifacts") }

// upload keeps files and folders that the paths match, from the folder down that they share.
func (h *host) upload(with map[string]any) error {
	name := asText(with["name"])
	if name == "" || strings.ContainsAny(name, "\":<>|*?\r\n\\/") {
		return failure("artifact %q: no such name can be", name)
	}
	into := filepath.Join(h.artifacts(), name)
	if _, err := os.Lstat(into); err == nil && asText(with["overwrite"]) != "true" {
		return failure("artifact %s is there already", name)
	}
	var found []string
	patterns := strings.Split(strings.TrimSpace(asText(with["path"])), "\n")
	for _, pattern := range patterns {
		matches, err := filepath.Glob(h.abs(strings.TrimSpace(pattern)))
		if err != nil {
			return err
		}
		found = append(found, matches...)
	}
	if len(found) == 0 {
		if asText(with["if-no-files-found"]) == "error" {
			return failure("artifact %s: no files found", name)
		}
		fmt.Fprintf(h.Log, "%s: artifact %s: no files found\n", h.name, name)
		return nil
	}
	if err := os.RemoveAll(into); err != nil {
		return err
	}
	for _, file := range found {
		to := filepath.Join(into, filepath.Base(file))
		if info, err := os.Stat(file); err == nil && info.IsDir() && len(patterns) == 1 && len(found) == 1 {
			to = into
		}
		if err := copyAll(file, to); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(h.work, path)
}

// download brings an artifact back, or a folder for each that a pattern matches.
func (h *host) download(with map[string]any) error {
	into := h.abs(asText(with["path"]))
	if name := asText(with["name"]); name != "" {
		err := copyAll(filepath.Join(h.artifacts(), name), into)
		if errors.Is(err, fs.ErrNotExist) {
			return failure("there is no artifact %s", name)
		}
		return err
	}
	found, err := filepath.Glob(filepath.Join(h.artifacts(), asText(with["pattern"])))
	if err != nil {
		return err
	}
	slices.Sort(found)
	for _, dir := range found {
		to := filepath.Join(into, filepath.Base(dir))
		if asText(with["merge-multiple"]) == "true" {
			to = into
		}
		if err := copyAll(dir, to); err != nil {
			return err
		}
	}
	return nil
}

// copyAll copies a file, or what is in a folder. As on the way through GitHub's servers,
// contents and nothing else arrive; and what a sudo left for root alone cannot be read.
func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		into := filepath.Join(to, below)
		if entry.IsDir() {
			return os.MkdirAll(into, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(into), 0o755); err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil && info.Mode()&0o004 == 0 {
			return failure("%s: permission denied", path)
		}
		data, err := os.ReadFile(path) //nolint:gosec // folders that this stand-in made itself
		if err != nil {
			return err
		}
		return os.WriteFile(into, data, 0o644) //nolint:gosec // as above
	})
}
