// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/session"
)

// request is what the flags and the arguments after the image ask for.
func (f *runFlags) request(cmd *cobra.Command, args []string) (session.Request, error) {
	r := session.Request{Args: args, Engine: container.Engine(f.engine)}
	if cmd.Flags().Changed("entrypoint") {
		r.Entrypoint = &f.entrypoint
	}
	if !slices.Contains(container.Engines(), r.Engine) && !r.Engine.OfDaemon() {
		return r, fmt.Errorf("--engine %q: want direct, nvidia, docker or podman", f.engine)
	}
	if f.network != "none" && f.network != "host" {
		return r, fmt.Errorf("--network %q: want none or host", f.network)
	}
	if f.workdir != "" && !path.IsAbs(f.workdir) {
		return r, fmt.Errorf("--workdir %q: want an absolute path", f.workdir)
	}
	r.Open = container.Open{Dir: f.workdir, User: f.user, Network: f.network == "host", Terminal: f.useTTY}
	if r.Bounds.Pids = f.pids; f.pids < -1 {
		return r, fmt.Errorf("--pids-limit %d: want a number, or -1 for any", f.pids)
	}
	if f.memory != "" {
		var err error
		if r.Bounds.Memory, err = parseBytes(f.memory); err != nil {
			return r, fmt.Errorf("--memory %q: %w", f.memory, err)
		}
	}
	if err := f.habits(&r); err != nil {
		return r, err
	}
	for _, e := range f.env {
		name, _, set := strings.Cut(e, "=")
		if name == "" {
			return r, fmt.Errorf("--env %q: want NAME=VALUE or NAME", e)
		}
		if value, known := os.LookupEnv(name); !set && known {
			e += "=" + value
		}
		r.Env = append(r.Env, e)
	}
	for _, v := range f.volumes {
		bind, err := parseBind(v)
		if err != nil {
			return r, fmt.Errorf("--volume %q: %w", v, err)
		}
		r.Open.Binds = append(r.Open.Binds, bind)
	}
	return r, nil
}

// minMemory is docker's: below that no program starts.
const minMemory = 6 << 20

var size = regexp.MustCompile(`^([0-9]{1,15})([kmgt]?)b?$`)

// parseBytes reads the size of a memory in which a program can start.
func parseBytes(text string) (int64, error) {
	n, err := parseSize(text)
	if err == nil && n < minMemory {
		err = errors.New("want 6m or more")
	}
	return n, err
}

// parseSize reads a size as docker does: 512m, 8G, 8gb, or bytes.
func parseSize(text string) (int64, error) {
	parts := size.FindStringSubmatch(strings.ToLower(text))
	if parts == nil {
		return 0, errors.New("want a size such as 512m or 8g")
	}
	n, _ := strconv.ParseInt(parts[1], 10, 64) // digits, and not too many
	shift := 10 * strings.Index(" kmgt", cmp.Or(parts[2], " "))
	if n > math.MaxInt64>>shift {
		return 0, errors.New("that is more than there can be")
	}
	return n << shift, nil
}

// parseBind reads SOURCE:TARGET[:ro]. Unlike docker it makes no folder that is not there.
func parseBind(text string) (b container.Bind, err error) {
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append(parts, "rw")
	}
	if len(parts) != 3 || parts[2] != "ro" && parts[2] != "rw" {
		return b, errors.New("want SOURCE:TARGET or SOURCE:TARGET:ro")
	}
	if !strings.HasPrefix(parts[0], ".") && !filepath.IsAbs(parts[0]) {
		return b, fmt.Errorf("there are no named volumes; write ./%s for a folder here", parts[0])
	}
	if path.Clean(parts[1]) == "/" || !path.IsAbs(parts[1]) {
		return b, errors.New("the target is an absolute path below /")
	}
	b = container.Bind{Target: path.Clean(parts[1]), ReadOnly: parts[2] == "ro"}
	if b.Source, err = filepath.Abs(parts[0]); err != nil {
		return b, err
	}
	_, err = os.Stat(b.Source)
	return b, err
}

// streams connects the program with those of this one.
func (f *runFlags) streams(cmd *cobra.Command) (container.Streams, error) {
	s := container.Streams{Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
	var terminals []any
	if f.interactive {
		s.In = cmd.InOrStdin()
		terminals = append(terminals, s.In)
	}
	if !f.useTTY {
		return s, nil
	}
	for _, stream := range append(terminals, s.Out) {
		if file, ok := stream.(*os.File); ok && container.IsTerminal(file) {
			s.Terminal = file
			break
		}
	}
	if f.interactive && s.Terminal != s.In {
		return s, errors.New("-i -t: stdin is not a terminal; leave -t out")
	}
	return s, nil
}
