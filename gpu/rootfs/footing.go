// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
)

// What is in the folder of a layer.
const (
	filesDir    = "root"
	footingFile = "footing.json"
)

// errLeans means that an overlay would show something else than what a layer makes when
// it is applied to those below it, or that the disk takes no whiteouts of overlayfs.
var errLeans = errors.New("a layer cannot be told from those below it")

// footing is what a layer counts on in those below it. An overlay shows the layer as it
// is meant if that holds.
type footing struct {
	// Parents are folders that have something in them, and that the layer does not make.
	// Below, they are not there or as archive.Apply makes them: links and others' folders
	// would be covered.
	Parents []string
	// Hides are folders that something is taken out of. Below, they are there: in folders
	// of one layer only, overlayfs lists whiteouts by name.
	Hides []string
}

// unpack makes the folder of a layer.
func unpack(ctx context.Context, dir string, layer layer, room *room) error {
	files := filepath.Join(dir, filesDir)
	if err := errors.Join(os.Mkdir(dir, 0o700), mkdir(files)); err != nil {
		return err
	}
	t := tracker{kinds: map[string]kind{}, full: map[string]bool{}, opaque: map[string]bool{}, hides: map[string]bool{}}
	if err := apply(ctx, files, layer, room, t.admit, archive.WithConvertWhiteout(whiteOut)); err != nil {
		return err
	}
	data, err := json.Marshal(t.footing)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, footingFile), data, 0o600)
}

// whiteOut makes a whiteout one of overlayfs.
func whiteOut(h *tar.Header, name string) (isFile bool, err error) {
	if isFile, err = archive.OverlayConvertWhiteout(h, name); err != nil {
		err = fmt.Errorf("%w: %w", errLeans, err)
	}
	return isFile, err
}

// intact reports whether the folder of a layer is as unpack has left it, as far as can be seen at once.
func intact(dir string) bool {
	_, err := readFooting(dir)
	return err == nil && isThere(filepath.Join(dir, filesDir))
}

func readFooting(dir string) (f footing, err error) {
	data, err := os.ReadFile(filepath.Join(dir, footingFile))
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(data, &f)
}

// check returns errLeans if the folders of layers, the uppermost first, make no stack.
func check(ctx context.Context, layers []string) error {
	root := rootOf(layers)
	for i, dir := range layers {
		f, err := readFooting(dir)
		if err == nil {
			err = f.on(ctx, root[i+1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f footing) on(ctx context.Context, below Root) error {
	slices.Sort(f.Parents)
	gone := map[string]bool{} // of which what is in them is gone, too
	for _, name := range f.Parents {
		if gone[path.Dir(name)] {
			gone[name] = true
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		_, info, err := below.find(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone[name] = true
		case err != nil:
			return err
		case !plain(info):
			return fmt.Errorf("%w: %s", errLeans, name)
		}
	}
	for _, name := range f.Hides {
		if _, info, err := below.find(name); err != nil || !info.IsDir() {
			return fmt.Errorf("%w: %s", errLeans, name)
		}
	}
	return nil
}

// tracker finds the footing of a layer whose entries it sees in order.
type tracker struct {
	footing

	kinds        map[string]kind
	full, opaque map[string]bool // folders
	hides        map[string]bool
}

// kind is what a layer has by a name.
type kind int

const (
	implied kind = iota + 1 // a folder because something is in it
	folder                  // one that the layer makes
	file                    // or a link
	whiteout
)

// admit is admit, and fails where layers that are unpacked apart would differ from those
// that are not, whatever is below.
func (t *tracker) admit(h *tar.Header) (bool, error) {
	ok, err := admit(h)
	if ok && err == nil && !t.see(h) {
		err = fmt.Errorf("%w: %s", errLeans, h.Name)
	}
	return ok, err
}

const (
	hiding = ".wh." // image-spec, layer.md
	opaque = ".wh..wh..opq"
)

// Bounds of a layer that is kept by itself: folders in folders, and folders that it counts on.
const (
	maxDepth   = 100
	maxFooting = 50_000
)

func (t *tracker) see(h *tar.Header) bool {
	name := path.Clean("/" + h.Name)
	if name == "/" {
		return true
	}
	if strings.Count(name, "/") > maxDepth || len(t.Parents)+len(t.Hides) > maxFooting {
		return false
	}
	dir, base := path.Dir(name), path.Base(name)
	if !t.enter(dir) {
		return false
	}
	is := file
	switch {
	case base == opaque:
		t.opaque[dir] = true
		return dir != "/" && !t.full[dir]
	case strings.HasPrefix(base, hiding):
		name, is = path.Join(dir, base[len(hiding):]), whiteout
		if !t.hide(dir) {
			return false
		}
	case h.Typeflag == tar.TypeDir:
		is = folder
	case h.Typeflag == tar.TypeLink && t.kinds[path.Clean("/"+h.Linkname)] != file:
		return false
	}
	was := t.kinds[name]
	t.kinds[name], t.full[dir] = is, true
	return was == 0 || was >= file && is == file || was <= folder && is == folder
}

// enter sees that something is in a folder. It may be no link.
func (t *tracker) enter(dir string) bool {
	for ; dir != "/"; dir = path.Dir(dir) {
		switch t.kinds[dir] {
		case folder, implied:
			return true
		case file, whiteout:
			return false
		}
		t.kinds[dir], t.full[path.Dir(dir)] = implied, true
		t.Parents = append(t.Parents, dir)
	}
	return true
}

// hide sees that something is hidden in a folder. Below must be another part of it.
func (t *tracker) hide(dir string) bool {
	for p := dir; p != "/"; p = path.Dir(p) {
		if t.opaque[p] {
			return false
		}
	}
	if dir != "/" && !t.hides[dir] {
		t.hides[dir] = true
		t.Hides = append(t.Hides, dir)
	}
	return true
}
