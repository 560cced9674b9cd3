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

// connectConsole connects streams with a terminal that the runtime will make.
func (s Streams) connectConsole(dir string) (*relay, error) {
	l, err := listenConsole(dir)
	if err != nil {
		return nil, err
	}
	var console atomic.Pointer[os.File]
	r, err := s.newRelay(func() {
		if c := console.Load(); c != nil {
			resize(c, s.Terminal)
		}
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	r.abandon = func() { _ = l.Close() }
	r.output.Go(func() {
		defer l.Close()
		c, err := receiveConsole(l)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				r.err = err
			}
			return
		}
		defer c.Close()
		console.Store(c)
		resize(c, s.Terminal) // it may have changed meanwhile
		r.relayConsole(s, c)
	})
	return r, nil
}

// relayConsole passes keys and output until the program's side of the terminal is closed.
func (r *relay) relayConsole(s Streams, console *os.File) {
	if s.In != nil {
		if s.Terminal != nil {
			undo, err := MakeRaw(s.Terminal)
			if err == nil {
				defer undo()
			}
		}
		go func() { _, _ = io.Copy(console, s.In) }() // as in relayInput
	}
	r.copyOutput(s.Out, consoleReader{console})
}

// consoleReader reads a terminal, whose end is an error of its own.
type consoleReader struct{ console *os.File }

func (c consoleReader) Read(p []byte) (int, error) {
	n, err := c.console.Read(p)
	if errors.Is(err, unix.EIO) {
		err = io.EOF
	}
	return n, err
}

// consoleSocket is where the runtime hands over the terminal that it made.
const consoleSocket = "console.sock"

// listenConsole opens the socket in dir. Its path may be longer than the 107 bytes of a
// socket's address, so it is named by way of the folder's descriptor.
func listenConsole(dir string) (*net.UnixListener, error) {
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

// receiveConsole waits for the terminal: our end of it.
func receiveConsole(l *net.UnixListener) (*os.File, error) {
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
