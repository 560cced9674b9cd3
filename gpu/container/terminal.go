// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether f is one.
func IsTerminal(f *os.File) bool {
	return control(f, func(fd int) error {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	}) == nil
}

// MakeRaw hands every key of a terminal through, those that mean a signal too, and
// returns what undoes it.
func MakeRaw(f *os.File) (undo func(), err error) {
	var before *unix.Termios
	err = control(f, func(fd int) (err error) {
		if before, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		raw := *before
		raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		raw.Oflag &^= unix.OPOST
		raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	})
	return func() {
		_ = control(f, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, before) })
	}, err
}

// SizeOf is the size of a terminal, nil if f is none.
func SizeOf(f *os.File) (size *unix.Winsize) {
	if f != nil {
		_ = control(f, func(fd int) (err error) {
			size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
			return err
		})
	}
	return size
}

// resize gives one terminal the size of another.
func resize(to, from *os.File) {
	if size := SizeOf(from); size != nil {
		_ = control(to, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
	}
}

// control does something with the descriptor of f, which os.File.Fd would make
// blocking for good.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(raw.Control(func(fd uintptr) { inner = do(int(fd)) }), inner)
}
