// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
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

// Bind shows a file or folder of the host to the program.
type Bind struct {
	Source, Target string // absolute paths
	ReadOnly       bool   // with all that is mounted below
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
	replaced := []string{"/tmp"} // by the image's own
	for _, m := range more.Mounts {
		replaced = append(replaced, m.Destination)
	}
	kept := spec.Mounts[:0]
	for _, m := range spec.Mounts {
		if !slices.Contains(replaced, m.Destination) {
			kept = append(kept, m)
		}
	}
	spec.Mounts = slices.Concat(kept, more.Mounts, binds.Mounts)
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

// setUser looks the user up in the image's own files.
func (o Open) setUser(spec *oci.Spec, root string) error {
	name := o.User
	if name == "" {
		name = "0"
	}
	path := spec.Root.Path
	spec.Root.Path = root
	defer func() { spec.Root.Path = path }()
	none := new(containers.Container)
	err := oci.WithUser(name)(context.Background(), nil, none, spec)
	if err == nil && !strings.Contains(name, ":") {
		err = oci.WithAdditionalGIDs(name)(context.Background(), nil, none, spec)
	}
	switch {
	case errors.Is(err, oci.ErrNoUsersFound), errors.Is(err, oci.ErrNoGroupsFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("user %q is not in the image", name)
	case err != nil:
		return fmt.Errorf("user %q: %w", name, err)
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

// bindMounts returns a specification with nothing but these mounts.
func bindMounts(binds []Bind) (*oci.Spec, error) {
	mounts := []map[string]any{}
	for _, b := range binds {
		options := []string{"rbind", "rprivate"}
		if b.ReadOnly {
			options = readOnly()
		}
		mounts = append(mounts, map[string]any{"destination": b.Target, "type": "bind", "source": b.Source, "options": options})
	}
	return parts(map[string]any{"mounts": mounts})
}

// readOnly are the options of a mount that cannot be written to. Before Linux 5.12
// what is mounted below it would stay writable, and so is left out there.
func readOnly() []string {
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{}); errors.Is(err, unix.ENOSYS) {
		return []string{"bind", "rprivate", "ro"}
	}
	return []string{"rbind", "rprivate", "rro"}
}

// parts makes parts of a specification from their JSON, because the module that has
// their types is not one that we require.
func parts(value any) (*oci.Spec, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	spec := new(oci.Spec)
	return spec, json.Unmarshal(data, spec)
}
