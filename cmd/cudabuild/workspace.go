// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
)

// defaultState is the folder of the state where no flag names one: the machine's for root,
// for others their own for what can be made again (XDG_CACHE_HOME), if they have one.
func defaultState() string {
	dir := "/var/lib/cudabuild"
	if caches, err := os.UserCacheDir(); err == nil && os.Geteuid() != 0 {
		dir = filepath.Join(caches, "cudabuild")
	}
	return cmp.Or(os.Getenv("CUDABUILD_STATE_DIR"), dir)
}

// workspace is where runs keep their state and leave their results.
type workspace struct{ stateDir, out string }

func (w *workspace) register(cmd *cobra.Command) {
	w.registerOut(cmd)
	cmd.Flags().StringVar(&w.stateDir, "state-dir", defaultState(),
		"`DIR` for the engine, bootstrapped roots and caches (env CUDABUILD_STATE_DIR)")
}

func (w *workspace) registerOut(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&w.out, "out", "o", "out", "`DIR` for images and the run record")
}

// unknown gives an error that kept a command from its work its exit code, and a hint where
// the folders may not be written.
func (w *workspace) unknown(err error) error {
	if !errors.Is(err, fs.ErrPermission) || hintOf(err) != "" {
		return unknown(err)
	}
	if os.Geteuid() == 0 {
		return &exitError{code: exitUnknown, err: err, hint: "choose a --state-dir and --out that can be written"}
	}
	return &exitError{code: exitUnknown, err: err, hint: "run as root, or choose a --state-dir and --out that you may write in"}
}

// errNoImages is the condition that no run has left images yet, or they lie elsewhere.
var errNoImages = errors.New("no images")

// openImages opens the images of an earlier run, and keeps other runs out.
func (w *workspace) openImages() (*image.Store, error) {
	if err := w.haveImages(); err != nil {
		return nil, err
	}
	store, err := image.OpenStore(w.images())
	return store, w.unknown(err)
}

// readImages opens them for reading alone, which is no matter for other runs.
func (w *workspace) readImages() (*image.Layout, error) {
	if err := w.haveImages(); err != nil {
		return nil, err
	}
	layout, err := image.OpenLayout(w.images())
	return layout, w.unknown(err)
}

func (w *workspace) haveImages() error {
	if _, err := os.Stat(filepath.Join(w.images(), "index.json")); err != nil {
		return &exitError{code: exitUnknown, err: fmt.Errorf("%w in %s", errNoImages, w.images()), hint: "'cudabuild matrix' makes that folder; --out names another"}
	}
	return nil
}

func (w *workspace) images() string { return filepath.Join(w.out, "images") }

// toolDir is the folder of this program, where 'make tools' puts buildkitd and runc.
func toolDir() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(self)
}

// hostAptConfig is what the host's apt knows about reaching repositories (proxies,
// certificates), in apt's own form; empty on a host without apt.
func hostAptConfig(ctx context.Context) []byte {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "--no-empty", "Acquire").Output()
	if err != nil {
		return nil
	}
	var config bytes.Buffer
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Acquire::http") && !strings.Contains(line, "::User-Agent") {
			config.WriteString(line)
		}
	}
	return config.Bytes()
}
