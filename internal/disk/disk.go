// SPDX-License-Identifier: Apache-2.0

// Package disk tells whether a disk is full, whatever it is full of: blocks, inodes or
// what a quota allows. [Full] judges an error, [Room] a folder.
package disk

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Hint is how to have more room.
const Hint = "free some space ('cudabuild prune --all' drops build caches), or write elsewhere (--state-dir, --out, -o)"

// Full reports whether an error comes from a full disk. Those of other programs and
// daemons say so in words alone.
func Full(err error) bool {
	return err != nil && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || Says(err.Error()))
}

// Says reports whether a program's words tell of a full disk.
func Says(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, unix.ENOSPC.Error()) || strings.Contains(text, unix.EDQUOT.Error())
}

// Room is what is free on the file system of a folder.
type Room struct {
	MB    int
	Files int // that can be made; -1 where nothing bounds them
}

// RoomIn returns what is free in dir.
func RoomIn(dir string) (Room, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Room{}, err
	}
	room := Room{MB: int(fs.Bavail * uint64(fs.Bsize) >> 20), Files: -1}
	if fs.Files > 0 {
		room.Files = int(fs.Ffree)
	}
	return room, nil
}

// None reports whether next to nothing is free.
func (r Room) None() bool { return r.MB < 64 || r.NoFiles() }

// NoFiles reports whether hardly a file can be made, whatever its size.
func (r Room) NoFiles() bool { return r.Files >= 0 && r.Files < 64 }
