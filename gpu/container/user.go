// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// identity is who a program runs as. The first of groups is gid.
type identity struct {
	uid, gid uint32
	groups   []uint32
}

var errNoUser = errors.New("not in the image")

// setUser looks the user up in the image's own files.
func (o Open) setUser(spec *specs.Spec, root rootfs.Root) error {
	who, err := lookUp(root, o.User)
	spec.Process.User = specs.User{UID: who.uid, GID: who.gid, AdditionalGids: who.groups}
	return err
}

// lookUp finds USER[:GROUP], names or numbers, in an unpacked image by docker's rules, but
// takes no text for a number that is none: to others the user evil:x:4294967296 is root.
func lookUp(root rootfs.Root, text string) (identity, error) {
	who, err := find(root, text)
	switch {
	case errors.Is(err, errNoUser):
		return identity{}, fmt.Errorf("user %q is not in the image", text)
	case err != nil:
		return identity{}, fmt.Errorf("user %q: %w", text, err)
	}
	return who, nil
}

func find(root rootfs.Root, text string) (who identity, err error) {
	if text == "" {
		text = "0"
	}
	user, group, both := strings.Cut(text, ":")
	name, known := "", false
	err = eachEntry(root, "etc/passwd", 4, func(entry []string) (err error) {
		if !known && is(user, entry) {
			name, known = entry[0], true
			who.uid, who.gid, err = two(entry[2], entry[3])
		}
		return err
	})
	if err == nil && !known {
		who.uid, err = unlisted(user)
	}
	if err != nil {
		return who, err
	}
	found, more := !both, []uint32{}
	err = eachEntry(root, "etc/group", 3, func(entry []string) (err error) {
		var gid uint32
		switch {
		case !found && is(group, entry):
			found = true
			who.gid, err = number(entry[2])
		case !both && known && len(entry) > 3 && slices.Contains(strings.Split(entry[3], ","), name):
			if gid, err = number(entry[2]); gid != who.gid {
				more = append(more, gid)
			}
		}
		return err
	})
	if err == nil && !found {
		who.gid, err = unlisted(group)
	}
	who.groups = append([]uint32{who.gid}, more...)
	return who, err
}

// is reports whether an entry of either file is that of a name or a number.
func is(text string, entry []string) bool {
	return text != "" && (entry[0] == text || entry[2] == text)
}

// number is an ID. The largest means none to the kernel.
func number(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, fmt.Errorf("%q is no number of a user or group: want 0 to %d", text, uint32(1<<32-2))
	}
	return uint32(id), nil
}

// unlisted is the ID of a user or group of which the image says nothing.
func unlisted(text string) (uint32, error) {
	id, err := number(text)
	if err != nil && strings.Trim(text, "0123456789") != "" { // a name
		err = errNoUser
	}
	return id, err
}

func two(uid, gid string) (u, g uint32, err error) {
	u, err1 := number(uid)
	g, err2 := number(gid)
	return u, g, errors.Join(err1, err2)
}

// eachEntry calls use for every entry of a file with so many fields at least. An image
// may lack the file.
func eachEntry(root rootfs.Root, name string, fields int, use func(entry []string) error) error {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxJSON))
	for lines.Scan() {
		entry := strings.Split(lines.Text(), ":")
		if len(entry) < fields || entry[0] == "" || entry[0][0] == '#' {
			continue
		}
		if err := use(entry); err != nil {
			return err
		}
	}
	return lines.Err()
}
