// SPDX-License-Identifier: Apache-2.0

// Package tree is the files of images as a container sees them, for comparing two: layers on top of each other, with what
// they hide, links, and which packages own what. A [Reader] reads the two, [Compare] goes through what differs.
//
// It promises that a layer is read once however many images have it, as a stream, and that nothing but names, attributes and
// sums stays in memory. Content is known by a sum that is keyed anew in each process: nobody can make two contents alike
// beforehand. It does not check digests of blobs, as no verdict follows from it.
package tree

import (
	"archive/tar"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
)

// Node is what stands at one path. Two are the same to a container if all but Layer is equal.
type Node struct {
	Type byte // of package archive/tar: TypeReg, TypeDir, TypeSymlink, TypeChar, TypeBlock, TypeFifo
	Mode int64
	UID  int
	GID  int
	Time [2]int64 // of the last change: seconds since 1970, and nanoseconds
	Size int64
	Sum  uint64 // of a file's content, to be compared within one Reader
	// Undated is of etc/shadow: the sum without the days on which passwords changed, which is when the image was made. Else 0.
	Undated uint64
	Target  string // of a symbolic link
	// Link is the first path of the same file, of hard links but for that one. [Compare] sets it.
	Link   string
	Device [2]int64
	// Attributes are the extended ones, "name=value" each, sorted and joined; "" if there are none.
	Attributes string
	Layer      int // the one that it comes from, from the bottom
}

// Tree is the files of one image.
type Tree struct {
	root    *folder
	top     int      // the layer that is being put on
	weight  int      // of all nodes that were made, in bytes
	links   int      // files with hard links
	wrong   error    // it is too large
	records []placed // of packages, as far as a container sees them
	// Damaged are the records of packages that could not be read; nil if all could.
	Damaged []Damage
}

// folder is a node with what is in it; of a file there is nothing in it.
type folder struct {
	Node

	in   map[string]*folder
	file int // the same number for all hard links of a file, 0 if there are none
}

// Bounds on what is kept of one layer, and of one image: a blob of some kB can ask for folders without end.
const (
	weight    = 256     // of a node, of a package or of a file that it lists, in bytes, beside names and attributes
	maxWeight = 1 << 30 // 3 million files with paths of 100 bytes
)

// Bounds on what is followed for one path. Linux has that of links, and one that much greater for names, which a layer of many
// entries can make hours of.
const (
	maxHops  = 40   // symbolic links
	maxNames = 4096 // names on the way, those in links too
)

func newTree() *Tree {
	return &Tree{root: &folder{Node: Node{Type: tar.TypeDir, Mode: 0o755}}}
}

// lookup returns what stands at a path and its path without links in it. A link at the path itself is followed if that ends in
// a slash. With create, folders that are missing are made.
func (t *Tree) lookup(p string, create bool) (clean string, at *folder) {
	names, hops, passed := strings.Split(p, "/"), 0, 0
	trail, along := []string{}, []*folder{t.root} // the folders along it, the root first
	for len(names) > 0 {
		name, dir := names[0], along[len(along)-1]
		names = names[1:]
		if passed++; passed > maxNames {
			return "", nil
		}
		switch name {
		case "", ".":
			continue
		case "..":
			up := max(0, len(trail)-1)
			trail, along = trail[:up], along[:up+1]
			continue
		}
		next := dir.in[name]
		if next == nil && create && dir.Type == tar.TypeDir {
			next = t.put(dir, strings.Join(trail, "/"), name, Node{Type: tar.TypeDir, Mode: 0o755, Layer: t.top})
		}
		if next == nil {
			return "", nil
		}
		if next.Type != tar.TypeSymlink || len(names) == 0 {
			trail, along = append(trail, name), append(along, next)
			continue
		}
		if hops++; hops > maxHops {
			return "", nil
		}
		if path.IsAbs(next.Target) {
			trail, along = trail[:0], along[:1]
		}
		names = slices.Concat(strings.Split(next.Target, "/"), names)
	}
	return strings.Join(trail, "/"), along[len(along)-1]
}

// put makes a node in a folder whose path is dir; nil, with t.wrong, if the tree has no room for it.
func (t *Tree) put(in *folder, dir, name string, n Node) *folder {
	length := len(dir) + 1 + len(name)
	t.weight += weight + length + len(n.Attributes)
	switch {
	case length > archive.MaxName:
		t.wrong = cmp.Or(t.wrong, fmt.Errorf("a path of more than %d bytes", archive.MaxName))
	case t.weight > maxWeight:
		t.wrong = cmp.Or(t.wrong, fmt.Errorf("its files and folders take more than %d MiB of memory", maxWeight>>20))
	}
	if t.wrong != nil {
		return nil
	}
	if in.in == nil {
		in.in = map[string]*folder{}
	}
	at := &folder{Node: n}
	in.in[name] = at
	return at
}

// stack puts a layer on top, with an index: first what it hides below, then what it has. An error says that the tree is too large.
func (t *Tree) stack(s *sheet, index int) error {
	t.top = index
	for _, h := range s.hides {
		if h.inside {
			if _, at := t.lookup(h.path+"/", false); at != nil {
				at.in = nil
			}
			continue
		}
		dir, base := path.Split(h.path)
		if _, at := t.lookup(dir, false); at != nil {
			delete(at.in, base)
		}
	}
	for _, e := range s.entries {
		if t.place(e); t.wrong != nil {
			return t.wrong
		}
	}
	last := map[string]int{} // of two of one path in a layer the later one is seen
	for i, r := range s.records {
		last[r.path] = i
	}
	for i, r := range s.records {
		if last[r.path] == i {
			t.records = append(t.records, placed{&s.records[i], index})
		}
	}
	return nil
}

func (t *Tree) place(e entry) {
	n, file := e.Node, 0
	if e.link != "" {
		_, to := t.lookup(e.link, false)
		if to == nil {
			return // no container runtime would unpack it
		}
		if to.file == 0 {
			t.links++
			to.file = t.links
		}
		n, file = to.Node, to.file
	}
	n.Layer = t.top
	if e.path == "" {
		t.root.Node = n
		return
	}
	dir, base := path.Split(e.path)
	dir, at := t.lookup(dir, true)
	if at == nil {
		return
	}
	if was := at.in[base]; was != nil && was.Type == tar.TypeDir && n.Type == tar.TypeDir {
		was.Node = n
		return
	}
	if is := t.put(at, dir, base, n); is != nil {
		is.file = file
	}
}

// Compare calls each for every path at which two trees of one Reader differ, sorted; nil is a side that has
// nothing there. What is below a folder that one side lacks is named too.
func Compare(old, now *Tree, each func(path string, old, now *Node)) {
	compare("", old.root, now.root, [2]map[int]string{{}, {}}, each)
}

// compare has in first the first path of each file with hard links, of both sides.
func compare(at string, a, b *folder, first [2]map[int]string, each func(string, *Node, *Node)) {
	for i, f := range []*folder{a, b} {
		if f == nil || f.file == 0 {
			continue
		}
		if f.Link = first[i][f.file]; f.Link == "" {
			first[i][f.file] = at
		}
	}
	if x, y := a.node(), b.node(); x == nil || y == nil || !x.Same(y) {
		each(at, x, y)
	}
	var names []string
	for _, f := range []*folder{a, b} {
		if f != nil {
			for name := range f.in {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		compare(strings.TrimPrefix(at+"/"+name, "/"), a.child(name), b.child(name), first, each)
	}
}

func (f *folder) node() *Node {
	if f == nil {
		return nil
	}
	return &f.Node
}

func (f *folder) child(name string) *folder {
	if f == nil {
		return nil
	}
	return f.in[name]
}

// Same reports whether two nodes are the same to a container.
func (n Node) Same(other *Node) bool {
	o := *other
	o.Layer = n.Layer
	return n == o
}
