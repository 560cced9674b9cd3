// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// Files of a run's folder, which is also the OCI bundle.
const (
	jobFile     = "job.json"
	outcomeFile = "outcome.json"
	diffFile    = "diff.tar"
)

// job is what Inside is to do with one container.
type job struct {
	Lower     rootfs.Root
	Runtime   []string // the runtime with its global arguments
	Env       []string
	Libraries string
	Limit     time.Duration
	Attached  bool          // to a caller's streams, or to a terminal
	Open      bool          // its root is writable
	Terminal  bool          // of the program's own
	Config    time.Duration // that it took to prepare
}

func (r *Runner) job(dir string, p Program) (job, error) {
	j := job{
		Lower: p.Root, Limit: p.Limit, Env: []string{"PATH=" + os.Getenv("PATH")},
		Attached: p.attached, Open: p.Open != nil, Terminal: p.attached && p.Open != nil && p.Open.Terminal,
	}
	program := r.Runc
	if p.Engine == Nvidia {
		program, j.Libraries = r.Runtime, r.Libraries
		j.Env = append(j.Env, "XDG_CONFIG_HOME="+filepath.Join(dir, "etc"))
		if err := r.writeRuntimeConfig(filepath.Join(dir, "etc")); err != nil {
			return job{}, err
		}
	}
	j.Runtime = []string{program, "--root", filepath.Join(dir, "state")}
	return j, nil
}

// writeRuntimeConfig configures nvidia-container-runtime: our runc, our hook, and
// otherwise its defaults, the mode included.
func (r *Runner) writeRuntimeConfig(etc string) error {
	dir := filepath.Join(etc, "nvidia-container-runtime")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	config := fmt.Sprintf("[nvidia-container-runtime]\nruntimes = [%q]\n\n[nvidia-ctk]\npath = %q\n", r.Runc, r.Hook)
	return os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600)
}
