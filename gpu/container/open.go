// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// Open is what a program that is no sample may have besides: a writable root that is
// gone afterwards, and the capabilities of a root user among files and users of the
// image. No new privileges, seccomp and the limits on devices stay.
type Open struct {
	Dir      string // working directory, "" for the root
	User     string // name or number, with a group after a colon; "" for root
	Binds    []Bind
	Network  bool  // the host's; without it there is nothing but loopback
	Terminal bool  // of its own
	ShmBytes int64 // of /dev/shm, 0 for half of the memory
	// HostIPC gives the host's namespace of IPC; only a daemon's containers can have it.
	HostIPC bool
	// Powerless takes from a root user the capabilities among files and users of the image.
	Powerless bool
	size      *unix.Winsize // of that, nil if not known
}

// rootCapabilities are those of a root user among files and users of the image.
var rootCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// openMounts are what open containers have besides, or in place of, the base.
var openMounts = []specs.Mount{
	{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777"}},
}

// apply opens spec, whose root file system is root and whose bundle is dir.
func (o Open) apply(spec *specs.Spec, root rootfs.Root, dir string) error {
	files, err := o.networkFiles(dir)
	if err != nil {
		return err
	}
	remount(spec, openMounts, "/tmp") // the image has its own
	spec.Mounts = append(spec.Mounts, bindMounts(append(files, o.Binds...))...)
	if o.ShmBytes > 0 {
		for i, m := range spec.Mounts {
			if m.Destination == "/dev/shm" {
				spec.Mounts[i].Options = append(slices.Clone(m.Options), fmt.Sprintf("size=%d", o.ShmBytes))
			}
		}
	}
	spec.Root.Readonly = false
	spec.Process.Cwd, spec.Process.Terminal = "/"+strings.TrimPrefix(o.Dir, "/"), o.Terminal
	if o.size != nil {
		spec.Process.ConsoleSize = &specs.Box{Width: uint(o.size.Col), Height: uint(o.size.Row)}
	}
	if o.Network {
		leave(spec, specs.NetworkNamespace)
	}
	if err := o.setUser(spec, root); err != nil {
		return err
	}
	if o.Powerless {
		return nil
	}
	can := spec.Process.Capabilities
	can.Bounding = rootCapabilities
	if spec.Process.User.UID == 0 {
		can.Effective, can.Permitted = rootCapabilities, rootCapabilities
	}
	return nil
}

// networkFiles makes the files by which names of hosts are found.
func (o Open) networkFiles(dir string) ([]Bind, error) {
	names, hosts := []string{"hosts"}, []byte("127.0.0.1\tlocalhost cudabuild\n::1\tlocalhost\n")
	if o.Network {
		names = append(names, "resolv.conf")
	}
	var binds []Bind
	for _, name := range names {
		data, file := hosts, filepath.Join(dir, name)
		if o.Network {
			var err error
			if data, err = os.ReadFile(filepath.Join("/etc", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if err := os.WriteFile(file, data, 0o644); err != nil { //nolint:gosec // in the run's own folder
			return nil, err
		}
		binds = append(binds, Bind{Source: file, Target: "/etc/" + name, ReadOnly: true})
	}
	return binds, nil
}
