// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// shells compile testdata/sh, once for each architecture.
var shells = map[string]func() ([]byte, error){"amd64": shellFor("amd64"), "386": shellFor("386")}

func shellFor(arch string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) { return compileShell(arch) })
}

func compileShell(arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "cudabuild-sh-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "sh")
	cmd := exec.Command("go", "build", "-o", program, "./testdata/sh")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(program)
}

// tinyRoot writes the root file system of OS tiny: one program, and the folders that
// a container needs. For an architecture without a shell the program is none.
func tinyRoot(t testing.TB, arch string) func(io.Writer) error {
	t.Helper()
	program := []byte("nothing that runs")
	if compiled, ok := shells[arch]; ok {
		var err error
		if program, err = compiled(); err != nil {
			t.Fatal(err)
		}
	}
	return func(w io.Writer) error {
		files := map[string]imagetest.Entry{"bin/sh": imagetest.File(program)}
		for _, dir := range strings.Fields("bin dev etc proc run sys tmp usr usr/local usr/local/bin var var/cache") {
			files[dir] = imagetest.Entry{Dir: true}
		}
		_, err := w.Write(imagetest.Files(files))
		return err
	}
}

func tinyIndex(w io.Writer) error {
	tw := tar.NewWriter(w)
	imagetest.Tar(tw, "sources.list", imagetest.Entry{Data: "# none\n"})
	imagetest.Tar(tw, "lists", imagetest.Entry{Dir: true})
	return tw.Close()
}

// watcher is a display's output that tells when a text has come by.
type watcher struct {
	mu     sync.Mutex
	seen   bytes.Buffer
	text   string
	notify func()
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if w.notify != nil && bytes.Contains(w.seen.Bytes(), []byte(w.text)) {
		w.notify()
		w.notify = nil
	}
	return len(p), nil
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}
