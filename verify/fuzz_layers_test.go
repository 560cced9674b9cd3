// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/tar"
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// FuzzLayers builds layers of real archives from a short program, and compares the
// findings with those of a file system that is made the plain way: a map, into
// which the layers are put one after the other.
func FuzzLayers(f *testing.F) {
	for _, program := range []string{"", "\x00", "\x00\xff\x05", "\x01\xff\x13\xff\x02", "\x00\x10\xff\x30\x41\xff\x22", "\x04\x14\xff\x24\x34\xff\x44\x54\x64"} {
		f.Add([]byte(program))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		var layers [][]byte
		model := newModel()
		for _, ops := range bytes.Split(program, []byte{0xff}) {
			if len(layers) == maxProgram {
				break
			}
			layers = append(layers, model.layer(ops[:min(len(ops), 2*maxProgram)]))
		}
		findings, err := verify.JudgeArchives(layers...)
		if err != nil {
			t.Fatal(err)
		}
		model.check(t, findings)
	})
}

// maxProgram is how many layers a program makes at most, and half of the entries of each:
// enough for a name to come, go and come back in several ways, and little to read.
const maxProgram = 5

// fuzzNames are the names that a program uses: a driver's file, its directories, and others.
var fuzzNames = []string{
	"usr/lib/libcuda.so.550.54.15", "usr/lib/libnvidia-ml.so.1", "usr/lib/other", "usr/lib", "usr", "opt/libcuda.so.1", "opt", "etc/x",
}

// fuzzEntries are the pieces of archives that operations stand for, by kind and name:
// to make them takes longer than to read them.
var fuzzEntries = func() (pieces [5]map[string][]byte) {
	for kind := range pieces {
		pieces[kind] = map[string][]byte{}
		for _, name := range fuzzNames {
			var piece bytes.Buffer
			w := tar.NewWriter(&piece)
			dir, base := path.Split(name)
			switch kind {
			case 0:
				imagetest.Tar(w, name, imagetest.Entry{Data: "content"})
			case 1:
				imagetest.Tar(w, dir+".wh."+base, imagetest.Entry{})
			case 2:
				imagetest.Tar(w, name+"/.wh..wh..opq", imagetest.Entry{})
			case 3:
				imagetest.Tar(w, name, imagetest.Entry{Dir: true})
			case 4:
				imagetest.Tar(w, "./"+dir+"//"+base, imagetest.Entry{Symlink: "/nowhere-at-all"})
			}
			if err := w.Flush(); err != nil {
				panic(err)
			}
			pieces[kind][name] = piece.Bytes()
		}
	}
	return pieces
}()

// model is what a container would see, and which driver files were ever there.
type model struct {
	visible map[string]int // path of an entry that is no directory -> its layer
	added   map[leak]int   // driver file -> layer that hides it, -1 if none
	layers  int
}

type leak struct {
	path  string
	layer int
}

func newModel() *model { return &model{visible: map[string]int{}, added: map[leak]int{}} }

// layer makes the archive of one layer and applies it. The low three bits of an
// operation are the name, the others what to do with it.
func (m *model) layer(ops []byte) []byte {
	var archive []byte
	type entry struct {
		name string
		kind byte
	}
	var own []entry
	for _, op := range ops {
		name, kind := fuzzNames[op&7], op>>3%5
		own = append(own, entry{name, kind})
		archive = append(archive, fuzzEntries[kind][name]...)
	}
	archive = append(archive, make([]byte, 1024)...)
	// What a layer hides, it hides of the layers below, wherever it says so.
	for _, e := range own {
		for p, at := range m.visible {
			inside := strings.HasPrefix(p, e.name+"/")
			if at < m.layers && (p == e.name && e.kind != 2 || inside && e.kind != 3) {
				delete(m.visible, p)
				if _, ok := m.added[leak{p, at}]; ok {
					m.added[leak{p, at}] = m.layers
				}
			}
		}
	}
	for _, e := range own {
		if e.kind == 0 || e.kind == 4 {
			m.visible[e.name] = m.layers
		}
		if e.kind == 0 && strings.Contains(e.name, ".so") {
			if _, ok := m.added[leak{e.name, m.layers}]; !ok {
				m.added[leak{e.name, m.layers}] = -1
			}
		}
	}
	m.layers++
	return archive
}

// check wants each driver file that was ever added among the findings, hidden by
// the layer that hides it, and no other driver library.
func (m *model) check(t *testing.T, findings []verify.Finding) {
	t.Helper()
	got := map[leak]int{}
	for _, f := range findings {
		if f.Rule != "driver-library" {
			continue
		}
		at := leak{f.Path, f.Layer.Index}
		got[at] = -1
		if f.DeletedIn != nil {
			got[at] = *f.DeletedIn
		}
	}
	for at, hidden := range m.added {
		if have, ok := got[at]; !ok || have != hidden {
			t.Errorf("%s of layer %d: found %t, hidden by %d, want hidden by %d", at.path, at.layer, ok, have, hidden)
		}
	}
	for at := range got {
		if _, ok := m.added[at]; !ok {
			t.Errorf("%s of layer %d is a finding and was never added", at.path, at.layer)
		}
	}
}
