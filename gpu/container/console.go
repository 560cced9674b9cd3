// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// console connects streams with a terminal that the runtime will make.
func (s Streams) console(dir string) (*wires, error) {
	l, err := listen(dir)
	if err != nil {
		return nil, err
	}
	var console atomic.Pointer[os.File]
	w, err := s.lay(func() {
		if c := console.Load(); c != nil {
			resize(c, s.Terminal)
		}
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	w.giveUp = func() { _ = l.Close() }
	w.output.Go(func() {
		defer l.Close()
		c, err := receive(l)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				w.err = err
			}
			return
		}
		defer c.Close()
		console.Store(c)
		resize(c, s.Terminal) // it may have changed meanwhile
		w.converse(s, c)
	})
	return w, nil
}

// converse passes keys and output until the program's side of the terminal is closed.
func (w *wires) converse(s Streams, console *os.File) {
	if s.In != nil {
		if s.Terminal != nil {
			undo, err := makeRaw(s.Terminal)
			if err == nil {
				defer undo()
			}
		}
		go func() { _, _ = io.Copy(console, s.In) }() // as in feed
	}
	w.copy(s.Out, hangup{console})
}

// hangup reads a terminal, whose end is an error of its own.
type hangup struct{ console *os.File }

func (h hangup) Read(p []byte) (int, error) {
	n, err := h.console.Read(p)
	if errors.Is(err, unix.EIO) {
		err = io.EOF
	}
	return n, err
}

// consoleSocket is where the runtime hands over the terminal that it made.
const consoleSocket = "console.sock"

// listen opens the socket in dir. Its path may be longer than the 107 bytes of a
// socket's address, so it is named by way of the folder's descriptor.
func listen(dir string) (*net.UnixListener, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join("/proc/self/fd", fmt.Sprint(folder.Fd()), consoleSocket), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the folder goes as a whole
	return l, nil
}

// receive waits for the terminal: our end of it.
func receive(l *net.UnixListener) (*os.File, error) {
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	name, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(name, rights)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("the runtime sends no terminal"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("the runtime sends no terminal"), err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // so that closing it ends a read
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), "console"), nil
}
