// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/disk"
)

func TestFull(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("the sky fell"), false},
		{&fs.PathError{Op: "mkdir", Path: "x", Err: unix.ENOSPC}, true},
		{fmt.Errorf("export: %w", unix.EDQUOT), true},
		{errors.New("rpc error: code = Unknown desc = mkdir /x: no space left on device"), true},
		{errors.New("tar: x: Cannot write: Disk quota exceeded"), true},
		{unix.EROFS, false},
	} {
		if got := disk.Full(test.err); got != test.want {
			t.Errorf("Full(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		room disk.Room
		want bool
	}{
		{disk.Room{MB: 1000, Files: 1000}, false},
		{disk.Room{MB: 1000, Files: -1}, false},
		{disk.Room{MB: 1, Files: 1000}, true},
		{disk.Room{MB: 1000, Files: 3}, true},
	} {
		if got := test.room.None(); got != test.want {
			t.Errorf("%+v: None = %v, want %v", test.room, got, test.want)
		}
	}
	if room, err := disk.RoomIn(t.TempDir()); err != nil || room.MB < 0 || room.Files < -1 {
		t.Errorf("RoomIn = %+v, %v", room, err)
	}
}
