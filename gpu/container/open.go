// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// Open is what a program that is no sample may have besides: a writable root that is
// gone afterwards, and the capabilities of a root user among files and users of the
// image. No new privileges, seccomp and the limits on devices stay.
type Open struct {
	Dir      string // working directory, "" for the root
	User     string // name or number, with a group after a colon; "" for root
	Binds    []Bind
	Network  bool          // the host's; without it there is nothing but loopback
	Terminal bool          // of its own
	size     *unix.Winsize // of that, nil if not known
}

// opened is what open containers have besides, or in place of, the base.
//
//go:embed open.json
var opened []byte

// apply opens spec, whose unpacked root file system is root and whose bundle is dir.
func (o Open) apply(spec *oci.Spec, root, dir string) error {
	more := new(oci.Spec)
	if err := json.Unmarshal(opened, more); err != nil {
		return err
	}
	files, err := o.networkFiles(dir)
	if err != nil {
		return err
	}
	binds, err := bindMounts(append(files, o.Binds...))
	if err != nil {
		return err
	}
	remount(spec, more, "/tmp") // the image has its own
	spec.Mounts = append(spec.Mounts, binds.Mounts...)
	spec.Root.Readonly = false
	spec.Process.Cwd, spec.Process.Terminal = "/"+strings.TrimPrefix(o.Dir, "/"), o.Terminal
	edits := []oci.SpecOpts{}
	if o.size != nil {
		edits = append(edits, oci.WithTTYSize(int(o.size.Col), int(o.size.Row)))
	}
	if o.Network {
		edits = append(edits, oci.WithHostNamespace("network"))
	}
	if err := oci.Compose(edits...)(context.Background(), nil, nil, spec); err != nil {
		return err
	}
	if err := o.setUser(spec, root); err != nil {
		return err
	}
	all := more.Process.Capabilities.Bounding
	spec.Process.Capabilities.Bounding = all
	if spec.Process.User.UID == 0 {
		spec.Process.Capabilities.Effective, spec.Process.Capabilities.Permitted = all, all
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
