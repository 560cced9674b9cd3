// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// What judging may take: so many steps for each byte of the archives, and some for an
// image of nothing; the order of search is asked for each folder of hosts. Asking each of 1,000 layers takes more.
const (
	stepsPerByte = 4
	stepsOfNone  = 2000
)

// FuzzWork builds layers that make much of little, as a program says, and asserts that
// the work of putting them together is linear in their bytes.
func FuzzWork(f *testing.F) {
	for kind := range byte(len(workKinds)) {
		f.Add([]byte{kind, 100, 3})                                                         // many
		f.Add([]byte{kind, 20, 250})                                                        // deep
		f.Add([]byte{kind, 50, 2, 0xff, 0, 0, kind, 50, 2, 0xff, 0, 0, kind, 50, 2})        // again
		f.Add([]byte{3, 60, 1, kind, 60, 1, 0xff, 0, 0, 3, 60, 1, kind, 60, 1})             // behind links
		f.Add(append(bytes.Repeat([]byte{kind, 4, 9, 0xff, 0, 0}, maxWorkOps), 5, 30, 200)) // many layers
	}
	f.Add([]byte{7, 250, 20}) // patterns that match many files
	f.Fuzz(func(t *testing.T, program []byte) {
		var archives [][]byte
		size := 0
		for _, archive := range workLayers(program) {
			archives, size = append(archives, archive), size+len(archive)
		}
		steps, err := work(archives...)
		if err != nil {
			t.Fatal(err)
		}
		if most := stepsOfNone + stepsPerByte*size; steps > most {
			t.Errorf("%d steps for %d bytes in %d layers, want at most %d", steps, size, len(archives), most)
		}
	})
}

// work puts the layers of an image together that starts "run".
func work(archives ...[]byte) (steps int, err error) {
	var all []*layer.Facts
	for _, archive := range archives {
		f, err := layer.Walk(bytes.NewReader(archive), layer.Options{MaxEntries: 5_000_000}, 0, "")
		if err != nil {
			return 0, err
		}
		all = append(all, f)
	}
	return view.Work(view.New(&v1.ConfigFile{}, all, false)), nil
}

// maxWorkOps is how many operations of a program count.
const maxWorkOps = 40

// workLayers makes the archives. An operation is a kind, how often, and how deep in
// directories; kind 0xff begins a new layer.
func workLayers(program []byte) (layers [][]byte) {
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	end := func() {
		_ = w.Close()
		layers = append(layers, bytes.Clone(data.Bytes()))
		data.Reset()
		w = tar.NewWriter(&data)
	}
	for n := 0; len(program) >= 3 && n < maxWorkOps; n++ {
		kind, times, depth := program[0], int(program[1]), int(program[2])
		if program = program[3:]; kind == 0xff {
			end()
			continue
		}
		workKinds[int(kind)%len(workKinds)](w, times, strings.Repeat("d/", 4*depth))
	}
	end()
	return layers
}

var workKinds = []func(w *tar.Writer, times int, dir string){
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint(dir, i, "/libcuda.so.1"), imagetest.Entry{Data: "x"})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint(dir, i, "/libcuda.so.1"), imagetest.Entry{Symlink: fmt.Sprint("/", dir, i+1, "/libcuda.so.1")})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint(dir, i, "/bin/nvidia-smi"), imagetest.Entry{Symlink: fmt.Sprint("/", dir, i+1, "/bin/nvidia-smi")})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint("d", i), imagetest.Entry{Symlink: fmt.Sprint("/", dir, "d", i+1)})
			imagetest.Tar(w, fmt.Sprint("d", i, "/d/libx.so"), imagetest.Entry{Symlink: fmt.Sprint("/d", i+1, "/", dir, "libx.so")})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint(dir, i, "/l.so"), imagetest.Entry{Link: fmt.Sprint("usr/lib/l", i, ".so")})
			imagetest.Tar(w, fmt.Sprint(dir, i, "/l2.so"), imagetest.Entry{Link: dir + "0/libcuda.so.1"})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		imagetest.Tar(w, "lib64/ld-linux-x86-64.so.2", imagetest.File(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}.Bytes()))
		var all []string
		for i := range times % 40 {
			all = append(all, fmt.Sprint("l", i, ".so"))
		}
		for _, name := range all {
			imagetest.Tar(w, "usr/lib/"+name, imagetest.File(imagetest.ELF{SOName: name, Needed: all, RunPath: strings.Repeat("$ORIGIN/"+dir+":/x:", times%20)}.Bytes()))
		}
	},
	func(w *tar.Writer, times int, _ string) {
		var b strings.Builder
		for i := range times {
			fmt.Fprintf(&b, "Package: nvidia-driver-%d\nStatus: install ok installed\n\n", i)
		}
		imagetest.Tar(w, "var/lib/dpkg/status", imagetest.Entry{Data: b.String()})
	},
	func(w *tar.Writer, times int, dir string) {
		imagetest.Tar(w, "etc/ld.so.conf", imagetest.Entry{Data: "include *a*\ninclude ld.so.conf.d/*\n/d0\n"})
		for i := range times {
			imagetest.Tar(w, fmt.Sprint("etc/ld.so.conf.d/a", i), imagetest.Entry{Data: fmt.Sprint("include *a*", i, "*\n/", dir, i, "\n")})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			imagetest.Tar(w, fmt.Sprint(dir, ".wh.", i), imagetest.Entry{})
		}
	},
	func(w *tar.Writer, times int, dir string) {
		for i := range times {
			for _, bin := range []string{"bin", "usr/bin", "sbin", "usr/sbin", "usr/local/bin"} { // scripts for scripts
				imagetest.Tar(w, fmt.Sprint(bin, "/run", i), imagetest.Entry{Data: fmt.Sprint("#!/usr/bin/env run", i+1, "\n"), Mode: 0o755})
			}
			imagetest.Tar(w, fmt.Sprint("bin/l", i), imagetest.Entry{Symlink: "/" + dir})
		}
		imagetest.Tar(w, "usr/bin/env", imagetest.File(imagetest.ELF{}.Bytes()))
		imagetest.Tar(w, "bin/run", imagetest.Entry{Symlink: "run0"})
	},
	func(w *tar.Writer, times int, dir string) {
		imagetest.Tar(w, "usr/local/cuda/compat/"+dir+"libcuda.so.550.54.15", imagetest.Entry{Data: "x"})
		for i := range times {
			imagetest.Tar(w, fmt.Sprint("usr/local/c", i), imagetest.Entry{Symlink: fmt.Sprint("c", i+1)})
		}
	},
}

// TestWorkOfManyLayers judges 1,000 layers, as many as a manifest may have.
func TestWorkOfManyLayers(t *testing.T) {
	t.Parallel()
	for kind := range workKinds {
		var archives [][]byte
		size := 0
		for range 1000 {
			archive := workLayers([]byte{byte(kind), 3, 3})[0]
			archives, size = append(archives, archive), size+len(archive)
		}
		steps, err := work(archives...)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("kind %d: %d steps, %.2f a byte", kind, steps, float64(steps)/float64(size))
		if steps > stepsOfNone+stepsPerByte*size {
			t.Errorf("kind %d: %d steps for %d bytes, want at most %d a byte", kind, steps, size, stepsPerByte)
		}
	}
}
