// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/record"
)

// plant is a change that was put into an image, with the cause that is to be found.
type plant struct {
	name             string
	image            v1.Image
	oldMade, newMade *record.Made
	kind             diff.Kind
	what             string
}

// file is one entry of a layer.
type file struct {
	tar.Header

	data []byte
}

// opened is an image to change copies of.
type opened struct {
	t      *testing.T
	image  v1.Image
	config *v1.ConfigFile
	layers []v1.Layer
	files  [][]file // of each layer
}

func open(t *testing.T, img v1.Image) *opened {
	t.Helper()
	o := &opened{t: t, image: img}
	var err error
	if o.config, err = img.ConfigFile(); err != nil {
		t.Fatal(err)
	}
	if o.layers, err = img.Layers(); err != nil {
		t.Fatal(err)
	}
	for _, l := range o.layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		var all []file
		for in := tar.NewReader(r); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, file{*h, data})
		}
		_ = r.Close()
		o.files = append(o.files, all)
	}
	return o
}

// with returns the image with another layer i and another configuration; a function that is nil changes nothing.
func (o *opened) with(i int, layer func([]file) []file, config func(*v1.ConfigFile)) v1.Image {
	o.t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	var adds []mutate.Addendum
	for k, l := range o.layers {
		if k == i && layer != nil {
			l = pack(o.t, layer(slices.Clone(o.files[k])))
		}
		adds = append(adds, mutate.Addendum{Layer: l, History: o.config.History[k]})
	}
	img, err := mutate.Append(img, adds...)
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		o.t.Fatal(err)
	}
	changed := o.config.DeepCopy()
	changed.RootFS = c.RootFS
	if config != nil {
		config(changed)
	}
	if img, err = mutate.ConfigFile(img, changed); err != nil {
		o.t.Fatal(err)
	}
	return img
}

func pack(t *testing.T, files []file) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		f.Size = int64(len(f.data))
		err := w.WriteHeader(&f.Header)
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(b.Bytes(), types.OCIUncompressedLayer)
}

// edit returns what changes the entries at some paths.
func edit(change func(*file), paths ...string) func([]file) []file {
	return func(all []file) []file {
		for i := range all {
			if slices.Contains(paths, strings.Trim(strings.TrimPrefix(all[i].Name, "."), "/")) {
				change(&all[i])
			}
		}
		return all
	}
}

func appended(name, text string) func([]file) []file {
	return func(all []file) []file {
		return append(all, file{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatPAX}, []byte(text)})
	}
}

// last is the index of the layer that has a path, from the top.
func (o *opened) last(path string) (int, *file) {
	for i, all := range slices.Backward(o.files) {
		for k := range all {
			if strings.Trim(strings.TrimPrefix(all[k].Name, "."), "/") == path && all[k].Typeflag == tar.TypeReg {
				return i, &all[k]
			}
		}
	}
	o.t.Fatalf("no layer has %s", path)
	return 0, nil
}

// planted puts changes of each kind into copies of an image.
func planted(t *testing.T, img v1.Image) (all []plant) {
	t.Helper()
	o := open(t, img)
	add := func(kind diff.Kind, what, name string, img v1.Image) {
		all = append(all, plant{name: name, image: img, kind: kind, what: what})
	}
	o.packages(add)
	text := func(f *file) { f.data = append(bytes.Clone(f.data), "\n# planted\n"...) }
	for _, path := range []string{"etc/passwd", "etc/group", "etc/shadow"} {
		at, _ := o.last(path)
		add(diff.File, "/"+path+" content", "content of "+path, o.with(at, edit(text, path), nil))
	}
	for i := range o.layers {
		for _, path := range []string{"etc/planted", "usr/lib/planted.so"} {
			add(diff.File, "/"+path+" added", fmt.Sprintf("%s in layer %d", path, i), o.with(i, appended(path, "planted"), nil))
		}
	}
	add(diff.File, "/etc/shadow removed", "a whiteout", o.with(1, appended("etc/.wh.shadow", ""), nil))
	for _, path := range []string{"usr/bin/tar", "etc/passwd", "usr/bin/grep"} {
		at, _ := o.last(path)
		add(diff.Mode, "/"+path, "mode of "+path, o.with(at, edit(func(f *file) { f.Mode ^= 0o020 }, path), nil))
	}
	for _, path := range []string{"usr/bin/find", "usr/bin/sed"} {
		at, _ := o.last(path)
		add(diff.Mode, "/"+path, "owner of "+path, o.with(at, edit(func(f *file) { f.Uid = 1000 }, path), nil))
	}
	at, _ := o.last("usr/bin/grep")
	add(diff.Mode, "cap_net_raw", "a capability of usr/bin/grep", o.with(at, edit(func(f *file) {
		f.PAXRecords, f.Format = map[string]string{"SCHILY.xattr.planted": "cap_net_raw"}, tar.FormatPAX
	}, "usr/bin/grep"), nil))
	add(diff.File, "/usr/bin/planted added", "a link", o.with(1, func(all []file) []file {
		return append(all, file{tar.Header{Name: "usr/bin/planted", Typeflag: tar.TypeSymlink, Linkname: "grep", Mode: 0o777}, nil})
	}, nil))
	for name, change := range values {
		add(diff.Environment, name, "configuration: "+name, o.with(0, nil, change))
	}
	o.recipes(add)
	later := func(c *v1.ConfigFile) { c.Created.Time = c.Created.Add(24 * time.Hour) }
	for i := range o.layers {
		add(diff.Date, "created", fmt.Sprintf("times of layer %d", i), o.with(i, func(all []file) []file {
			for k := range all {
				all[k].ModTime = all[k].ModTime.Add(24 * time.Hour)
			}
			return all
		}, later))
		add(diff.Tool, "compression zstd -> none", fmt.Sprintf("layer %d as a plain tar", i), o.with(i, func(all []file) []file { return nil }, nil))
		all[len(all)-1].image = o.repacked(i)
	}
	add(diff.Date, "created", "the date alone", o.with(0, nil, later))
	o.source(&all)
	return all
}

// values are changes of the configuration, by the name that they are reported under.
var values = map[string]func(*v1.ConfigFile){
	"env PLANTED":                func(c *v1.ConfigFile) { c.Config.Env = append(slices.Clone(c.Config.Env), "PLANTED=1") },
	"env NVIDIA_VISIBLE_DEVICES": func(c *v1.ConfigFile) { c.Config.Env = setEnv(c.Config.Env, "NVIDIA_VISIBLE_DEVICES", "void") },
	"env CUDA_VERSION":           func(c *v1.ConfigFile) { c.Config.Env = setEnv(c.Config.Env, "CUDA_VERSION", "") },
	"label planted": func(c *v1.ConfigFile) {
		c.Config.Labels = maps.Clone(c.Config.Labels)
		c.Config.Labels["planted"] = "yes"
	},
	"user":       func(c *v1.ConfigFile) { c.Config.User = "nobody" },
	"cmd":        func(c *v1.ConfigFile) { c.Config.Cmd = []string{"planted"} },
	"entrypoint": func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/planted"} },
	"workdir":    func(c *v1.ConfigFile) { c.Config.WorkingDir = "/planted" },
}

// paragraph is the entry of a package in dpkg's database.
func paragraph(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)(?:^|\n)Package: ` + name + `\n.*?\n\n`)
}

// setEnv sets a variable, "" takes it out.
func setEnv(env []string, name, value string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if value != "" {
		env = append(env, name+"="+value)
	}
	return env
}

// packages gives packages newer versions, in the layer that has the database and their files, and takes some out.
func (o *opened) packages(add func(diff.Kind, string, string, v1.Image)) {
	const status = "var/lib/dpkg/status"
	top, db := o.last(status)
	for name, path := range map[string]string{
		"tar": "usr/bin/tar", "grep": "usr/bin/grep", "sed": "usr/bin/sed", "gzip": "usr/bin/gzip", "bash": "usr/bin/bash",
		"dash": "usr/bin/dash", "findutils": "usr/bin/find", "diffutils": "usr/bin/cmp", "debianutils": "usr/bin/which.debianutils", "hostname": "usr/bin/hostname",
	} {
		at := path
		if !o.has(path) {
			at = strings.TrimPrefix(path, "usr/")
		}
		program := o.find(at)
		if program == nil {
			o.t.Errorf("no layer has %s", path)
			continue
		}
		entry := regexp.MustCompile(`(?s)(\n?Package: ` + name + `\n.*?\nVersion: )([^\n]*)`)
		found := entry.FindSubmatch(db.data)
		if found == nil {
			o.t.Errorf("no package %s", name)
			continue
		}
		was, is := string(found[2]), string(found[2])+"+planted1"
		newer := entry.ReplaceAll(db.data, []byte("${1}"+is))
		image := o.with(top, func(all []file) []file {
			all = edit(func(f *file) { f.data = newer }, status)(all)
			f := *program
			f.data = append(bytes.Clone(f.data), 0)
			if top == 0 {
				return edit(func(old *file) { *old = f }, at)(all)
			}
			return append(all, f)
		}, nil)
		add(diff.Package, name+" "+was+" -> "+is, "newer "+name, image)
	}
	for name, path := range map[string]string{"sed": "sed", "hostname": "hostname"} {
		less := paragraph(name).ReplaceAll(db.data, []byte("\n"))
		add(diff.Package, name, "without "+name, o.with(top, func(all []file) []file {
			all = edit(func(f *file) { f.data = less }, status)(all)
			for _, gone := range []string{"usr/bin/.wh." + path, "bin/.wh." + path, "var/lib/dpkg/info/.wh." + name + ".list"} {
				if top > 0 {
					all = append(all, file{tar.Header{Name: gone, Typeflag: tar.TypeReg}, nil})
				}
			}
			return all
		}, nil))
	}
}

func (o *opened) has(path string) bool { return o.find(path) != nil }

func (o *opened) find(path string) *file {
	for _, all := range slices.Backward(o.files) {
		for k := range all {
			if strings.Trim(strings.TrimPrefix(all[k].Name, "."), "/") == path && all[k].Typeflag == tar.TypeReg {
				return &all[k]
			}
		}
	}
	return nil
}

// recipes gives steps another text, and their layers another file.
func (o *opened) recipes(add func(diff.Kind, string, string, v1.Image)) {
	for i := range o.layers {
		for _, word := range []string{"--planted", "planted=1.2"} {
			step := func(c *v1.ConfigFile) { c.History[i].CreatedBy += " " + word }
			add(diff.Recipe, "+"+word, fmt.Sprintf("step %d with %s", i, word), o.with(i, appended("opt/planted", word), step))
		}
		add(diff.Recipe, "+--only", fmt.Sprintf("step %d alone", i), o.with(0, nil, func(c *v1.ConfigFile) { c.History[i].CreatedBy += " --only" }))
	}
}

// repacked is the image with layer i as the same archive, not compressed.
func (o *opened) repacked(i int) v1.Image {
	r, err := o.layers[i].Uncompressed()
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		o.t.Fatal(err)
	}
	copied := *o
	copied.layers = slices.Clone(o.layers)
	copied.layers[i] = static.NewLayer(data, types.OCIUncompressedLayer)
	return copied.with(0, nil, nil)
}

// source stands for a sample whose source changed: a program in the top layer, and notes of two records that tell of its source.
func (o *opened) source(all *[]plant) {
	made := func(source, runc string) *record.Made {
		return &record.Made{Sample: "nbody", Plan: source, Tools: map[string]string{"runc": runc}, Parts: []record.Part{
			{Kind: record.SourcePart, Name: "nbody.cu", Digest: source}, {Kind: record.ListsPart, Digest: "lists"},
		}}
	}
	top := len(o.layers) - 1
	*all = append(*all,
		plant{"a sample's source", o.with(top, appended("usr/local/bin/nbody", "planted"), nil), made("sha256:1", "1"), made("sha256:2", "1"), diff.Source, "nbody.cu"},
		plant{"another runc", o.with(top, appended("etc/planted", "planted"), nil), made("sha256:1", "1"), made("sha256:1", "2"), diff.Tool, "runc 1 -> 2"})
}
