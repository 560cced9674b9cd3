// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// shell is a runner with an image in which this host's shell runs.
func shell(t *testing.T, script string) (*container.Runner, container.Program) {
	t.Helper()
	r, p := place(t)
	files, err := standin.Programs("sh", "stty", "sleep")
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range files {
		file := filepath.Join(p.Root[0], name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(e.Data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.Env, p.Args, p.Open = []string{container.DefaultPath}, []string{"sh", "-c", script}, &container.Open{}
	return r, p
}

func TestAttach(t *testing.T) {
	for _, engine := range container.Engines() {
		r, p := shell(t, `read x; echo "out $x"; echo "err $x" >&2; echo kept > /file; read y < /file; exit 12`)
		p.Engine = engine
		var out, err bytes.Buffer
		code, problem := r.Attach(t.Context(), p, container.Streams{In: strings.NewReader("in\n"), Out: &out, Err: &err})
		if code != 12 || problem != nil || out.String() != "out in\n" || err.String() != "err in\n" {
			t.Errorf("%s: Attach = %d, %v, %q and %q", engine, code, problem, &out, &err)
		}
		empty(t, r)
		if _, err := os.Stat(filepath.Join(p.Root[0], "file")); err == nil {
			t.Errorf("%s: the program wrote to the unpacked image", engine)
		}
	}
}

// TestAttachLayers: a root of many folders, whatever their names, is one to the program,
// and so are its users.
func TestAttachLayers(t *testing.T) {
	r, p := shell(t, `while read key value rest; do [ "$key" != Uid: ] || echo "$value"; done < /proc/self/status; read x < /etc/file; echo $x; exec 3>>/etc/file`)
	base, parent := p.Root[0], filepath.Join(t.TempDir(), `a,b:c\d`)
	p.Root = nil
	for i := range 129 {
		dir := filepath.Join(parent, fmt.Sprintf("%064d", i), "root")
		if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"file": fmt.Sprintln("layer", i), "passwd": fmt.Sprintf("app:x:%d:7::/:\n", i+1000)} {
			if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		p.Root = append(p.Root, dir)
	}
	p.Root = append(p.Root, base)
	if err := os.Chmod(filepath.Join(p.Root[0], "etc/file"), 0o666); err != nil {
		t.Fatal(err)
	}
	p.Open.User = "app"
	var out bytes.Buffer
	code, err := r.Attach(t.Context(), p, container.Streams{Out: &out, Err: io.Discard})
	if code != 0 || err != nil || out.String() != "1000\nlayer 0\n" {
		t.Errorf("Attach = %d, %v, %q", code, err, &out)
	}
	empty(t, r)
}

// TestAttachKeepsFiles: the program reads what is in a file, and never gets the file.
func TestAttachKeepsFiles(t *testing.T) {
	r, p := shell(t, `echo spoiled > /proc/self/fd/0; read x; echo $x`)
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, err = r.Attach(t.Context(), p, container.Streams{In: in, Out: io.Discard, Err: io.Discard})
	if data, readErr := os.ReadFile(file); err != nil || readErr != nil || string(data) != "mine\n" {
		t.Errorf("the input file has %q; %v, %v", data, err, readErr)
	}
}

// broken cannot be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func TestAttachProblems(t *testing.T) {
	r, p := shell(t, "while echo much; do :; done 2>/dev/null")
	if _, err := r.Attach(t.Context(), p, container.Streams{Out: broken{}, Err: io.Discard}); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("output that cannot be written: %v", err)
	}
	p.Args = []string{"nothing-of-this-name"}
	for _, terminal := range []bool{false, true} {
		p.Open.Terminal = terminal
		var stdout, stderr bytes.Buffer
		if _, err := r.Attach(t.Context(), p, container.Streams{Out: &stdout, Err: &stderr}); err == nil || err.Error() != `"nothing-of-this-name": not found in the image's PATH` || stdout.Len()+stderr.Len() > 0 {
			t.Errorf("a program that is not there: %v, on stdout %q, on stderr %q", err, &stdout, &stderr)
		}
	}
	if err := os.WriteFile(filepath.Join(p.Root[0], "usr/bin/script"), []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.Args = []string{"script"}
	var terminal bytes.Buffer
	if _, err := r.Attach(t.Context(), p, container.Streams{Out: &terminal}); err == nil || !strings.Contains(err.Error(), "its terminal says why") || !strings.Contains(terminal.String(), "no such file") {
		t.Errorf("a script without an interpreter: %v, on the terminal %q", err, &terminal)
	}
	p.Open.User = "nobody:none"
	if _, err := r.Attach(t.Context(), p, container.Streams{}); err == nil || !strings.Contains(err.Error(), "not in the image") {
		t.Errorf("a user that is not there: %v", err)
	}
	empty(t, r)
}

// TestAttachEarlySignal: a signal that comes before the program ends the run.
func TestAttachEarlySignal(t *testing.T) {
	r, p := shell(t, "exec sleep 60")
	slow := filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\ncase $* in *delete*) exit;; esac\necho started > "+slow+".log\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.Runc = slow
	signals := make(chan os.Signal, 1)
	go func() {
		wait(t, "the runtime does not start", func() int {
			if _, err := os.Stat(slow + ".log"); err != nil {
				return 0
			}
			return 1
		})
		signals <- syscall.SIGTERM
	}()
	if _, err := r.Attach(t.Context(), p, container.Streams{Out: io.Discard, Err: io.Discard, Signals: signals}); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Attach: %v, want an end", err)
	}
	empty(t, r)
}

// heard says so when something is written to it.
type heard chan struct{}

func (h heard) Write(b []byte) (int, error) {
	h <- struct{}{}
	return len(b), nil
}

// TestAttachSignalAtStart: the program may run before the runtime that starts it has
// ended, and a signal is the program's then.
func TestAttachSignalAtStart(t *testing.T) {
	r, p := shell(t, "echo ready; exec sleep 60")
	slow := filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\n"+r.Runc+` "$@" || exit; case $* in *start*) sleep 2;; esac`), 0o755); err != nil {
		t.Fatal(err)
	}
	r.Runc = slow
	ready, signals := make(heard, 1), make(chan os.Signal, 1)
	go func() {
		<-ready
		signals <- syscall.SIGTERM
	}()
	code, err := r.Attach(t.Context(), p, container.Streams{Out: ready, Err: io.Discard, Signals: signals})
	if want := 128 + int(syscall.SIGTERM); code != want || err != nil {
		t.Errorf("Attach = %d, %v, want %d", code, err, want)
	}
	empty(t, r)
}

// terminal is a pair of ends of one: who types holds the first, a program the second.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = keys.Close(), screen.Close() })
	return keys, screen
}

func setSize(t *testing.T, f *os.File, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// TestAttachTerminal types at a program: it has the size of the caller's terminal from
// the start, follows it, and gets Ctrl-C as a key. The caller's is as before afterwards.
func TestAttachTerminal(t *testing.T) {
	r, p := shell(t, `stty size; trap "stty size; echo resized" WINCH; trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.1; done`)
	p.Open.Terminal = true
	keys, screen := terminal(t)
	setSize(t, keys, 33, 101)
	before, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	out, said, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	transcript := make(chan string, 1)
	go func() {
		var all bytes.Buffer
		await := func(word string) {
			for b := make([]byte, 1); !strings.Contains(all.String(), word); all.Write(b) {
				if _, err := out.Read(b); err != nil {
					return
				}
			}
		}
		await("ready")
		setSize(t, keys, 20, 70)
		signals <- syscall.SIGWINCH
		await("resized")
		_, _ = keys.Write([]byte{3})
		await("interrupted")
		transcript <- all.String()
	}()
	code, err := r.Attach(t.Context(), p, container.Streams{In: screen, Out: said, Terminal: screen, Signals: signals})
	said.Close()
	if text := <-transcript; code != 4 || err != nil || !strings.Contains(text, "33 101") || !strings.Contains(text, "20 70") {
		t.Errorf("Attach = %d, %v, on the screen:\n%s", code, err, text)
	}
	after, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was %+v and is %+v, %v", before, after, err)
	}
	empty(t, r)
}

// TestIsTerminal: a file is none, however it is opened.
func TestIsTerminal(t *testing.T) {
	_, screen := terminal(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if !container.IsTerminal(screen) || container.IsTerminal(null) {
		t.Errorf("IsTerminal = %v for a terminal, %v for %s", container.IsTerminal(screen), container.IsTerminal(null), null.Name())
	}
}
