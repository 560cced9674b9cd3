// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/samples"
)

// testLibraries builds every sample for three releases of CUDA and starts each without a
// driver: as it is, without one of its libraries, and with those of the release before. Of the
// older two nothing stays on disk, where all three would want 40 GB.
func testLibraries(t *testing.T, f fixture) {
	var older map[string]library
	for _, cuda := range []string{"11.2", "11.8", "12.4"} {
		t.Run(cuda, func(t *testing.T) {
			own := f
			own.out = f.scratch(t, "images-of-libraries")
			if cuda != "12.4" { // of which the engine has most by now
				own.state = f.scratch(t, "state-of-libraries")
			}
			doc, r := own.build(t, "--group", "libraries", "--only", cuda+"-*")
			if r.code != 0 {
				t.Fatalf("matrix: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
			}
			for _, c := range doc.Cells {
				t.Logf("%-28s %8.1f MB %6.1f s", c.ID, float64(c.SizeBytes)/1e6, c.BuildSeconds)
			}
			older = own.startAll(t, doc.Cells, older)
		})
	}
}

// scratch is a folder beside the images that is gone after the test.
func (f fixture) scratch(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(f.out), name)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startAll starts the samples of a release, and returns its libraries.
func (f fixture) startAll(t *testing.T, release []record.Cell, older map[string]library) map[string]library {
	dir := f.derived(t)
	want := map[string]gpu.Result{}
	var now map[string]library
	for _, c := range release {
		want[c.ID] = gpu.Waived
		sample := sampleOf(c)
		if len(sample.Libraries) == 0 {
			continue
		}
		img := readImage(t, filepath.Join(f.out, "images"), c.Digest)
		if now == nil {
			now = librariesOf(t, img)
		}
		for what, layers := range broken(sample.Libraries, older, now) {
			tag := c.ID + "-" + what
			derive(t, filepath.Join(dir, "images"), tag, img, layers)
			want[tag] = gpu.Failed
		}
	}
	startDry(t, f.program, dir, want)
	return now
}

// derived is a folder with the images, for those that are made of them.
func (f fixture) derived(t *testing.T) string {
	t.Helper()
	dir := f.scratch(t, "derived")
	const copied = `mkdir "$1"; cp -lr "$0/blobs" "$1"; cp "$0/index.json" "$0/oci-layout" "$1"` // blobs never change
	if r := run(t, "sh", "-euc", copied, filepath.Join(f.out, "images"), filepath.Join(dir, "images")); r.code != 0 {
		t.Fatal(r.stderr)
	}
	return dir
}

// sampleOf is the sample of a cell such as 12.4-nbody-debian13.
func sampleOf(c record.Cell) samples.Sample {
	s, _ := samples.Lookup(strings.Split(c.ID, "-")[1])
	return s
}

// library is one of CUDA's as an image has it: a file, and the links to it.
type library struct {
	dir, file string
	links     []string
	data      []byte
}

// librariesOf reads those that samples are linked to from the layer of runtime, below the
// one of the program.
func librariesOf(t *testing.T, img v1.Image) map[string]library {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[len(layers)-2].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	all := map[string]library{}
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		for _, linked := range s.Libraries {
			all[linked] = library{}
		}
	}
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		dir, file := path.Split(h.Name)
		name, _, _ := strings.Cut(strings.TrimPrefix(file, "lib"), ".so.")
		l, linked := all[name]
		switch {
		case !linked || path.Base(dir) == "stubs":
			continue
		case h.Typeflag == tar.TypeSymlink:
			l.links = append(l.links, file)
		case h.Typeflag == tar.TypeReg:
			l.dir, l.file = dir, file
			if l.data, err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = l
	}
}

// broken are layers for an image by what is wrong with it then: it lacks a library, or all are
// those of the older release, by their names there. Where these are not the names that the
// program looks for, there is another that has links of such names, too.
func broken(linked []string, older, now map[string]library) map[string][]v1.Layer {
	images := map[string][]v1.Layer{}
	files, links := map[string]imagetest.Entry{}, map[string]imagetest.Entry{}
	for _, name := range linked {
		images["without-"+name] = layers(now[name].hidden())
		maps.Copy(files, now[name].hidden())
	}
	if len(older) == 0 {
		return images
	}
	for _, name := range linked {
		o := older[name]
		o.add(files, o.file, imagetest.File(o.data))
		for _, link := range o.links {
			o.add(files, link, imagetest.Entry{Symlink: o.file})
		}
		for _, link := range now[name].links {
			if !slices.Contains(o.links, link) {
				o.add(links, link, imagetest.Entry{Symlink: o.file})
			}
		}
	}
	images["older"] = layers(files)
	if len(links) > 0 {
		images["older-linked"] = append(images["older"], layers(links)...)
	}
	return images
}

// layers is one.
func layers(files map[string]imagetest.Entry) []v1.Layer {
	return []v1.Layer{imagetest.Layer(imagetest.Plain, imagetest.Files(files))}
}

const whiteout = ".wh."

// hidden are entries that take the library out of an image.
func (l library) hidden() map[string]imagetest.Entry {
	files := map[string]imagetest.Entry{}
	for _, name := range append(l.links, l.file) {
		files[l.dir+whiteout+name] = imagetest.Entry{}
	}
	return files
}

// add puts an entry beside the library, and no whiteout of it.
func (l library) add(files map[string]imagetest.Entry, name string, e imagetest.Entry) {
	delete(files, l.dir+whiteout+name)
	files[l.dir+name] = e
}

// derive adds an image with more layers to a folder of images.
func derive(t *testing.T, dir, tag string, img v1.Image, layers []v1.Layer) {
	t.Helper()
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})
	if err := folder.AppendImage(img, name); err != nil {
		t.Fatal(err)
	}
}

// startDry starts images in a folder without a driver. Each must end as is wanted, and as was
// predicted.
func startDry(t *testing.T, program, dir string, want map[string]gpu.Result) {
	t.Helper()
	args := []string{"gpu", "--dry", "--json", "--state-dir", filepath.Join(dir, "state")}
	for _, tag := range slices.Sorted(maps.Keys(want)) {
		args = append(args, "oci:"+filepath.Join(dir, "images")+":"+tag)
	}
	r := run(t, program, args...)
	var doc struct{ Rows []gpu.Row }
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || len(doc.Rows) != len(want) {
		t.Fatalf("gpu --dry: exit %d, %d rows, want %d: %v\n%s", r.code, len(doc.Rows), len(want), err, r.stderr)
	}
	for _, row := range doc.Rows {
		tag := row.Image[strings.LastIndex(row.Image, ":")+1:]
		t.Logf("%-40s %-8s %-6s %.1f s  %s; %s", tag, row.Prediction.Result, row.Result, row.Seconds.Create+row.Seconds.Start+row.Seconds.Run, row.Prediction.Why, row.Reason)
		if row.Prediction.Result != want[tag] || row.Result != want[tag] || row.Agrees == nil || !*row.Agrees {
			t.Errorf("%s: predicted %s, ended with %s, want %s", tag, row.Prediction.Result, row.Result, want[tag])
		}
	}
}
