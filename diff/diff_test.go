// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

type files = map[string]imagetest.Entry

func text(s string) imagetest.Entry { return imagetest.Entry{Data: s} }

// layer is the archive of a layer whose entries have that time, with the step that made it.
type layer struct {
	step  string
	when  int64
	files files
}

// made is an image of such layers.
func made(t *testing.T, enc imagetest.Encoding, change func(*v1.ConfigFile), layers ...layer) v1.Image {
	t.Helper()
	var blobs []*imagetest.Blob
	for _, l := range layers {
		blobs = append(blobs, imagetest.Layer(enc, dated(t, imagetest.Files(l.files), l.when)))
	}
	img := imagetest.New(blobs...)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.History = nil // of imagetest
	for i, l := range layers {
		h := v1.History{CreatedBy: l.step}
		if i > 0 {
			h.Comment = "cudabuild"
		}
		config.History = append(config.History, h)
	}
	if change != nil {
		change(config)
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func dated(t *testing.T, archive []byte, when int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, r := tar.NewWriter(&buf), tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		h.ModTime = time.Unix(when, 0)
		err = w.WriteHeader(h)
		if err == nil {
			_, err = buf.ReadFrom(r)
		}
		if err == nil {
			_, err = buf.Write(make([]byte, (512-h.Size%512)%512))
		}
		if err != nil {
			t.Fatal(err)
		}
		w = tar.NewWriter(&buf)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func status(version string) imagetest.Entry {
	return text("Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n")
}

var (
	root  = files{"bin/bash": text("5.2"), "etc/hosts": text("hosts"), "etc/shadow": text("root:*:1:0:::::\n"), "var/lib/dpkg/status": status("5.2"), "var/lib/dpkg/info/bash.list": text("/bin\n/bin/bash\n")}
	above = files{"opt/a": text("a")}
)

func with(base files, name string, e imagetest.Entry) files {
	all := files{}
	for k, v := range base {
		all[k] = v
	}
	all[name] = e
	return all
}

// TestCauses has a change of each kind and wants its one cause.
func TestCauses(t *testing.T) {
	t.Parallel()
	steps := func(a, b files) []layer { return []layer{{"bootstrap", 1, a}, {"install a", 1, b}} }
	created := func(c *v1.ConfigFile) { c.Created = v1.Time{Time: time.Unix(1e9, 0)} }
	newer := with(with(root, "bin/bash", text("5.3")), "var/lib/dpkg/status", status("5.3"))
	notes := func(source, plan, tool, root string) *record.Made {
		parts := []record.Part{
			{Kind: record.SourcePart, Name: "nbody.cu", Digest: source},
			{Kind: record.RecipePart, Name: "cuda/x.yaml", Digest: plan},
			{Kind: record.RootPart, Digest: root},
			{Kind: record.ListsPart, Digest: "lists"},
		}
		return &record.Made{Sample: "nbody", Plan: plan, Tools: map[string]string{"runc": tool}, Parts: parts}
	}
	of := func(kind string, day int64) *record.Made { // made from lists, or a repository, of a day
		m := notes("1", "1", "1", "1")
		m.Parts = append(m.Parts, record.Part{Kind: kind, Name: "x", Date: time.Unix(day, 0)})
		return m
	}
	for _, c := range []struct {
		name             string
		layers           []layer
		enc              imagetest.Encoding
		config           func(*v1.ConfigFile)
		oldMade, newMade *record.Made
		want             string // causes, "kind what place"
	}{
		{name: "nothing", layers: steps(root, above)},
		{name: "a package", layers: steps(newer, above), want: "package bash 5.2 -> 5.3 "},
		{name: "a file", layers: steps(with(root, "etc/hosts", text("other")), above), want: "file /etc/hosts content "},
		{name: "a file of a package that is as it was", layers: steps(with(root, "bin/bash", text("by hand")), above), want: "file /bin/bash content "},
		{name: "a mode", layers: steps(with(root, "etc/hosts", imagetest.Entry{Data: "hosts", Mode: 0o600}), above), want: "mode /etc/hosts 0644 -> 0600 "},
		{name: "an owner", layers: steps(with(root, "etc/hosts", imagetest.Entry{Data: "hosts", UID: 5}), above), want: "mode /etc/hosts 0:0 -> 5:0 "},
		{name: "a variable", layers: steps(root, above), config: func(c *v1.ConfigFile) { c.Config.Env = append(c.Config.Env, "A=b") }, want: "environment env A "},
		{name: "a step", layers: []layer{{"bootstrap", 1, root}, {"install a b", 1, with(above, "opt/b", text("b"))}}, want: "recipe install a: +b "},
		{name: "a step more", layers: append(steps(root, above), layer{"install c", 1, files{"opt/c": text("c")}}), want: "recipe new step: install c "},
		{name: "dates", layers: []layer{{"bootstrap", 2, root}, {"install a", 2, above}}, config: created, want: "date created 0001-01-01T00:00:00Z -> 2001-09-09T01:46:40Z "},
		{name: "days in shadow", layers: steps(with(root, "etc/shadow", text("root:*:2:0:::::\n")), above), config: created, want: "date created 0001-01-01T00:00:00Z -> 2001-09-09T01:46:40Z "},
		{name: "a password in shadow", layers: steps(with(root, "etc/shadow", text("root::1:0:::::\n")), above), want: "file /etc/shadow content "},
		{name: "times alone", layers: []layer{{"bootstrap", 2, root}, {"install a", 1, above}}, want: "unexplained times of files alone "},
		{name: "compression", layers: steps(root, above), enc: imagetest.Gzip, want: "tool compression zstd -> gzip "},
		{name: "a source", layers: steps(root, with(above, "bin/nbody", text("x"))), oldMade: notes("1", "1", "1", "1"), newMade: notes("2", "1", "1", "1"), want: "source nbody.cu samples/nbody"},
		{name: "a recipe", layers: steps(root, with(above, "opt/a", text("b"))), oldMade: notes("1", "1", "1", "1"), newMade: notes("1", "2", "1", "1"), want: "recipe it asks for something else recipes/cuda/x.yaml"},
		{name: "a tool", layers: steps(root, with(above, "opt/a", text("b"))), oldMade: notes("1", "1", "1", "1"), newMade: notes("1", "1", "2", "1"), want: "tool runc 1 -> 2 "},
		{name: "a tool that made another layer", layers: steps(with(root, "etc/hosts", text("other")), above), oldMade: notes("1", "1", "1", "1"), newMade: notes("1", "1", "2", "1"), want: "file /etc/hosts content "},
		{name: "a root, by digest", layers: steps(with(root, "etc/hosts", text("other")), above), oldMade: notes("1", "1", "1", "sha256:a"), newMade: notes("1", "1", "1", "sha256:b"), want: "base another root a -> b "},
		{name: "a step without a layer", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			c.History = append(c.History, v1.History{CreatedBy: "RUN true", EmptyLayer: true})
		}, want: "recipe new step: RUN true "},
		{name: "a variable, as the history says too", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			c.Config.Env = append(c.Config.Env, "A=b")
			c.History = append(c.History, v1.History{CreatedBy: "ENV A=b", EmptyLayer: true})
		}, want: "environment env A "},
		{name: "the date of a step", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			c.History[0].Created = v1.Time{Time: time.Unix(0, 0)}
		}, want: "date date of a step 0001-01-01T00:00:00Z -> 1970-01-01T00:00:00Z "},
		{name: "dates of steps", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			for i := range c.History {
				c.History[i].Created = v1.Time{Time: time.Unix(int64(i), 0)}
			}
		}, want: "date date of a step 0001-01-01T00:00:00Z -> 1970-01-01T00:00:00Z ; date date of a step 0001-01-01T00:00:00Z -> 1970-01-01T00:00:01Z "},
		{name: "the label of the root, and another date", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			c.Created = v1.Time{Time: time.Unix(1e9, 0)}
			c.Config.Labels = map[string]string{"org.opencontainers.image.base.digest": "sha256:b"}
		}, want: "date created 0001-01-01T00:00:00Z -> 2001-09-09T01:46:40Z ; base another root  -> b "},
		{name: "the label of the root, and another step that made it", layers: []layer{{"bootstrap x", 1, root}, {"install a", 1, above}}, config: func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{"org.opencontainers.image.base.digest": "sha256:b"}
		}, want: "recipe bootstrap x: +x "},
		{name: "a file, and another layer in another compression", layers: steps(root, with(above, "opt/a", text("b"))), enc: imagetest.Gzip, want: "file /opt/a content ; tool compression zstd -> gzip "},
		{name: "the label of the date", layers: steps(root, above), config: func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{"org.opencontainers.image.created": "today"}
		}, want: "date label org.opencontainers.image.created -> today "},
		{name: "spaces of a step", layers: []layer{{"bootstrap", 1, root}, {"install  a", 1, above}}, want: "recipe other spaces: install a "},
		{name: "layers", layers: []layer{{"bootstrap", 1, root}, {"install a", 1, files{}}, {"install a", 1, above}}, want: "unexplained the same files, layers are cut otherwise "},
		{name: "layers and compression", layers: []layer{{"bootstrap", 1, root}, {"install a", 1, files{}}, {"install a", 1, above}}, enc: imagetest.Plain, want: "tool compression zstd -> none "},
		{name: "a root", layers: steps(with(root, "etc/hosts", text("other")), above), oldMade: notes("1", "1", "1", "1"), newMade: notes("1", "1", "1", "2"), want: "base another root  -> "},
		{name: "a repository of another day", layers: []layer{{"bootstrap", 1, root}, {"install a", 2, above}}, oldMade: of("repository", 1), newMade: of("repository", 2), want: "date x of 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z "},
		{name: "lists of another day", layers: []layer{{"bootstrap", 1, root}, {"install a", 2, above}}, oldMade: of("lists", 1), newMade: of("lists", 2), want: "date package lists of 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z "},
		{name: "made of the same", layers: steps(root, with(above, "opt/a", text("b"))), oldMade: notes("1", "1", "1", "1"), newMade: notes("1", "1", "1", "1"), want: "unexplained made of the same parts by the same tools "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.enc == "" {
				c.enc = imagetest.Zstd
			}
			r, err := diff.Images(t.Context(), alone(diff.Version{Image: made(t, imagetest.Zstd, nil, steps(root, above)...), Made: c.oldMade}),
				alone(diff.Version{Image: made(t, c.enc, c.config, c.layers...), Made: c.newMade}))
			if err != nil {
				t.Fatal(err)
			}
			if got := said(r); got != c.want {
				t.Errorf("causes %q, want %q", got, c.want)
			}
			if same := c.want == ""; r.Same() != same {
				t.Errorf("Same() = %v, want %v", r.Same(), same)
			}
		})
	}
}

func has(packages ...string) imagetest.Entry { // "bash 5.2"
	var all string
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		all += "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n"
	}
	return text(all)
}

func listed(name string, paths ...string) imagetest.Entry {
	return text("/.\n" + strings.Join(paths, "\n") + "\n")
}

// TestCauseOfEach has images with two causes at once, and wants that of each file and package.
func TestCauseOfEach(t *testing.T) {
	t.Parallel()
	const info, database = "var/lib/dpkg/info/", "var/lib/dpkg/status"
	base := files{"bin/bash": text("5.2"), "bin/apt": text("1"), database: has("bash 5.2", "apt 1"), info + "bash.list": listed("bash", "/bin", "/bin/bash"), info + "apt.list": listed("apt", "/bin", "/bin/apt")}
	newer := with(with(base, "bin/bash", text("5.3")), database, has("bash 5.3", "apt 1"))
	newApt := with(with(base, "bin/apt", text("2")), database, has("bash 5.2", "apt 2"))
	installed := func(name, version string, more ...string) files { // a layer that installs a package
		return files{"opt/" + name: text(version), database: has(append(more, name+" "+version)...), info + name + ".list": listed(name, "/opt", "/opt/"+name)}
	}
	wheel := func(version string) files {
		return files{"usr/lib/python3/dist-packages/bash-1.dist-info/METADATA": text("Metadata-Version: 2.1\nName: bash\nVersion: " + version + "\n")}
	}
	const packages = "usr/lib/python3/dist-packages/"
	installedWheel := func(version string) files {
		info := packages + "foo_bar-" + version + ".dist-info/"
		return files{
			info + "METADATA": text("Metadata-Version: 2.1\nName: Foo.Bar\nVersion: " + version + "\n"), packages + "foo_bar/a.py": text(version), "usr/bin/foo": text(version),
			info + "RECORD": text("foo_bar/a.py,sha256=x,1\n../../../bin/foo,,\nfoo_bar-" + version + ".dist-info/METADATA,,\nfoo_bar-" + version + ".dist-info/RECORD,,\n"),
		}
	}
	const foo = "package Foo.Bar 1 -> 2"
	const bash, apt = "package bash 5.2 -> 5.3", "package apt 1 -> 2"
	for _, c := range []struct {
		name     string
		old, now []layer
		why      string            // of the image
		want     map[string]string // by path, or "NAME" of a package: cause
	}{
		{
			name: "a package, and a step that writes caches and logs",
			old:  []layer{{"root", 1, base}, {"RUN make A", 1, files{"var/cache/app/data": text("A"), "var/log/apt/x": text("A")}}},
			now:  []layer{{"root", 1, newer}, {"RUN make B", 1, files{"var/cache/app/data": text("B"), "var/log/apt/x": text("B"), "var/log/backdoor": text("x")}}},
			want: map[string]string{"bash": bash, "bin/bash": bash, database: bash, "var/cache/app/data": "recipe RUN make: +B -A", "var/log/apt/x": "recipe RUN make: +B -A", "var/log/backdoor": "recipe RUN make: +B -A"},
		},
		{
			name: "a package, and files by hand that look like those of others",
			old:  []layer{{"root", 1, with(base, info+"apt.postinst", text("1"))}, {"x", 1, files{"opt/x": text("x")}}},
			now:  []layer{{"root", 1, with(newer, info+"apt.postinst", text("2"))}, {"x", 1, files{"opt/x": text("x"), "var/log/my.log": text("x")}}},
			want: map[string]string{"bash": bash, "bin/bash": bash, database: bash, info + "apt.postinst": "file /var/lib/dpkg/info/apt.postinst content", "var/log/my.log": "file /var/log/my.log added"},
		},
		{
			name: "a wheel, and a file of dpkg's package of that name",
			old:  []layer{{"root", 1, base}, {"pip", 1, wheel("1")}},
			now:  []layer{{"root", 1, with(base, "bin/bash", text("by hand"))}, {"pip", 1, wheel("2")}},
			want: map[string]string{"bash": "package bash 1 -> 2", "bin/bash": "file /bin/bash content", "usr/lib/python3/dist-packages/bash-1.dist-info/METADATA": "package bash 1 -> 2"},
		},
		{
			name: "a wheel of another version, and a file beside it",
			old:  []layer{{"root", 1, base}, {"pip", 1, installedWheel("1")}},
			now:  []layer{{"root", 1, base}, {"pip", 1, with(installedWheel("2"), packages+"other.py", text("x"))}},
			want: map[string]string{
				"Foo.Bar": foo, packages + "foo_bar/a.py": foo, packages + "foo_bar-1.dist-info/RECORD": foo, packages + "foo_bar-2.dist-info/METADATA": foo,
				"usr/bin/foo": foo, packages + "other.py": "file /" + packages + "other.py added",
			},
		},
		{
			name: "a package whose file another one has diverted",
			old:  []layer{{"root", 1, with(with(base, "bin/bash.real", text("5.2")), "var/lib/dpkg/diversions", text("/bin/bash\n/bin/bash.real\nwrapper\n"))}},
			now:  []layer{{"root", 1, with(with(with(newer, "bin/bash.real", text("5.3")), "bin/bash", text("by hand")), "var/lib/dpkg/diversions", text("/bin/bash\n/bin/bash.real\nwrapper\n"))}},
			want: map[string]string{"bash": bash, "bin/bash.real": bash, "bin/bash": "file /bin/bash content"},
		},
		{
			name: "a hard link that was a copy",
			old:  []layer{{"root", 1, with(base, "bin/rbash", text("5.2"))}},
			now:  []layer{{"root", 1, with(base, "bin/rbash", imagetest.Entry{Link: "bin/bash"})}},
			want: map[string]string{"bin/rbash": "file /bin/rbash hard link"},
		},
		{
			name: "names that are no text",
			old:  []layer{{"root", 1, with(base, "opt/a\xff", text("x"))}},
			now:  []layer{{"root", 1, with(base, "opt/a\xfe", text("x"))}},
			want: map[string]string{`opt/a\xff`: `file /opt/a\xff removed`, `opt/a\xfe`: `file /opt/a\xfe added`},
		},
		{
			name: "a package of the root, and a new step whose command is called so",
			old:  []layer{{"root", 1, base}},
			now:  []layer{{"root", 1, newApt}, {"RUN apt install -y hello", 1, installed("hello", "3", "bash 5.2", "apt 2")}},
			want: map[string]string{"apt": apt, "bin/apt": apt, "hello": "recipe new step: RUN apt install -y hello", "opt/hello": "recipe new step: RUN apt install -y hello", info + "hello.list": "recipe new step: RUN apt install -y hello"},
		},
		{
			name: "the version of a package in a step, and one that moved with it",
			old:  []layer{{"root", 1, base}, {"apt install hello=3", 1, installed("hello", "3", "bash 5.2", "apt 1")}},
			now:  []layer{{"root", 1, newer}, {"apt install hello=4", 1, installed("hello", "4", "bash 5.3", "apt 1")}},
			want: map[string]string{"bash": bash, "bin/bash": bash, "hello": "recipe apt install: +hello=4 -hello=3", "opt/hello": "recipe apt install: +hello=4 -hello=3"},
		},
		{
			name: "a package, and a step that asks for another one whose name goes on",
			old:  []layer{{"root", 1, files{}}, {"RUN apt install x", 1, installed("hello", "3", "x 1")}},
			now:  []layer{{"root", 1, files{}}, {"RUN apt install x hello-dev1", 1, installed("hello", "4", "x 1")}},
			want: map[string]string{"hello": "package hello 3 -> 4"},
		},
		{
			name: "a version as rpm writes it",
			old:  []layer{{"root", 1, files{}}, {"RUN dnf install hello-3-1.el9", 1, installed("hello", "3")}},
			now:  []layer{{"root", 1, files{}}, {"RUN dnf install hello-4-1.el9", 1, installed("hello", "4")}},
			want: map[string]string{"hello": "recipe RUN dnf: +hello-4-1.el9 -hello-3-1.el9"},
		},
		{
			name: "a version as pip writes it, in quotes",
			old:  []layer{{"root", 1, files{}}, {"pip install 'bash[x]>=1'", 1, wheel("1")}},
			now:  []layer{{"root", 1, files{}}, {"pip install 'bash[x]>=2'", 1, wheel("2")}},
			want: map[string]string{"bash": "recipe pip install: +'bash[x]>=2' -'bash[x]>=1'"},
		},
		{
			name: "a file in a hidden folder, and the time of another one",
			old:  []layer{{"root", 1, files{".cache": {Dir: true, Mode: 0o755}, "cache": {Dir: true, Mode: 0o755}, "z/a": text("")}}, {"x", 1, files{"cache": {Dir: true, Mode: 0o755}}}},
			now:  []layer{{"root", 2, files{".cache": {Dir: true, Mode: 0o755}, ".cache/a": text("x"), "cache": {Dir: true, Mode: 0o755}, "z/a": text("")}}, {"x", 3, files{"cache": {Dir: true, Mode: 0o755}}}},
			want: map[string]string{".cache": "file /.cache/a added", "cache": "unexplained times of files alone"},
		},
		{
			name: "another root and other steps",
			old:  []layer{{"mmdebstrap x", 1, base}, {"apt install hello", 1, installed("hello", "3", "bash 5.2", "apt 1")}},
			now:  []layer{{"ADD root.tar /", 1, files{"sbin/init": text("i"), database: has("busybox 1")}}, {"COPY app /app", 1, files{"app": text("a")}}},
			want: map[string]string{"bash": "recipe step is gone: mmdebstrap x", "bin/bash": "recipe step is gone: mmdebstrap x", "opt/hello": "recipe step is gone: apt install hello", "sbin/init": "recipe new step: ADD root.tar /", "app": "recipe new step: COPY app /app"},
		},
		{
			name: "a package, and a later step that writes over its file",
			old:  []layer{{"root", 1, base}},
			now:  []layer{{"root", 1, newer}, {"RUN patch", 1, files{"bin/bash": text("patched")}}},
			want: map[string]string{"bash": bash, database: bash, "bin/bash": "recipe new step: RUN patch"},
		},
		{
			name: "a package, and the mode of a folder that others have too",
			old:  []layer{{"root", 1, with(base, "bin", imagetest.Entry{Dir: true, Mode: 0o755})}},
			now:  []layer{{"root", 1, with(newer, "bin", imagetest.Entry{Dir: true, Mode: 0o711})}},
			want: map[string]string{"bash": bash, "bin": "mode /bin 0755 -> 0711", "bin/bash": bash},
		},
		{
			name: "a package that lost its record, and its file",
			old:  []layer{{"root", 1, base}},
			now:  []layer{{"root", 1, with(with(base, database, has("bash 5.2")), "bin/apt", text("by hand"))}},
			want: map[string]string{"apt": "package apt 1 -> none", "bin/apt": "file /bin/apt content", database: "package apt 1 -> none"},
		},
		{
			name: "a lost database, and a file",
			old:  []layer{{"root", 1, base}},
			now:  []layer{{"root", 1, with(with(base, database, text("")), "bin/apt", text("by hand"))}},
			why:  "packages are not known: the new side has no packages of dpkg",
			want: map[string]string{"bin/apt": "file /bin/apt content", database: "file /var/lib/dpkg/status content"},
		},
		{
			name: "a damaged database, and a file",
			old:  []layer{{"root", 1, base}},
			now:  []layer{{"root", 1, with(with(base, database, text("\x00\x01 no record")), "bin/apt", text("by hand"))}},
			why:  "packages are not known: ",
			want: map[string]string{"bin/apt": "file /bin/apt content", database: "file /var/lib/dpkg/status content"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := diff.Images(t.Context(), alone(diff.Version{Image: made(t, imagetest.Plain, nil, c.old...)}), alone(diff.Version{Image: made(t, imagetest.Plain, nil, c.now...)}))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			why := func(name string, cause int) { got[name] = string(r.Causes[cause].Kind) + " " + r.Causes[cause].What }
			for _, p := range r.Images[0].Packages {
				why(p.Name, p.Cause)
			}
			for _, f := range r.Images[0].Files {
				why(f.Path, f.Cause)
			}
			for name, want := range c.want {
				if got[name] != want {
					t.Errorf("%s: %q, want %q", name, got[name], want)
				}
			}
			if why := r.Images[0].Why; c.why == "" && why != "" || !strings.HasPrefix(why, c.why) {
				t.Errorf("why %q, want %q", why, c.why)
			}
		})
	}
}

// TestWhere: a step that differs is told with the line that asks for it.
func TestWhere(t *testing.T) {
	t.Parallel()
	titled := func(step string) v1.Image {
		return made(t, imagetest.Zstd, func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{"org.opencontainers.image.title": "12.4-base-x"}
		}, layer{step, 1, files{"opt/" + step: text(step)}})
	}
	// Recipes that ask for the old step alone are not those of the new image.
	for step, want := range map[string]string{"install b": "recipe install b: +b -a recipes/12.4-base-x:7", "install a": "recipe install b: +b -a"} {
		where := func(cell string) map[string]string { return map[string]string{step: "recipes/" + cell + ":7"} }
		r, err := diff.Images(t.Context(), alone(diff.Version{Image: titled("install a"), Where: where}), alone(diff.Version{Image: titled("install b"), Where: where}))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(said(r)); got != want {
			t.Errorf("recipes that ask for %q: causes %q, want %q", step, got, want)
		}
	}
}

// alone is what a reference names that is of one image.
func alone(v diff.Version) diff.Reference { return diff.Reference{Images: []diff.Version{v}} }

func said(r *diff.Result) string {
	var all []string
	for _, c := range r.Causes {
		all = append(all, fmt.Sprintf("%s %s %s", c.Kind, strings.TrimSpace(c.What), c.Place))
	}
	return strings.Join(all, "; ")
}

// TestRunsOfTheSameDigests: what was judged, predicted and seen of an image is a change, too, as is a platform that is no longer
// there, and what has no digest is not the same.
func TestRunsOfTheSameDigests(t *testing.T) {
	t.Parallel()
	base := func() record.Cell {
		c := record.Cell{ID: "base", Status: record.Passed, Digest: "d", Images: []verify.Report{
			{Digest: "amd64", Platform: "linux/amd64", Verdict: verify.Pass}, {Digest: "arm64", Platform: "linux/arm64", Verdict: verify.Pass},
		}}
		c.Images[0].Portability.Predictions = []verify.DriverGPU{{Driver: "535.54.03", GPU: "sm_90"}}
		c.Rows = []record.Row{{Row: gpu.Row{Digest: "d", Sample: "nbody", Engine: "direct", Result: gpu.Passed}, Host: gpu.Host{Driver: "535.54.03"}}}
		return c
	}
	for name, tc := range map[string]struct {
		edit func(*record.Cell)
		want string
	}{
		"nothing":      {func(*record.Cell) {}, "2 the same"},
		"verdict":      {func(c *record.Cell) { c.Images[1].Verdict = verify.Fail }, "1 with the same digest and another verdict, tag, prediction or row, 1 the same"},
		"status":       {func(c *record.Cell) { c.Status = record.Failed }, "2 with the same digest and another verdict, tag, prediction or row"},
		"prediction":   {func(c *record.Cell) { c.Images[0].Portability.Predictions[0].Verdict = "no" }, "1 with the same digest and another verdict, tag, prediction or row, 1 the same"},
		"row is gone":  {func(c *record.Cell) { c.Rows = nil }, "2 with the same digest and another verdict, tag, prediction or row"},
		"row fails":    {func(c *record.Cell) { c.Rows[0].Result = gpu.Failed }, "2 with the same digest and another verdict, tag, prediction or row"},
		"other driver": {func(c *record.Cell) { c.Rows[0].Seen = &gpu.Seen{Driver: "550.54.14"} }, "2 with the same digest and another verdict, tag, prediction or row"},
		"tag":          {func(c *record.Cell) { c.Tags = []string{"cuda:x"} }, "2 with the same digest and another verdict, tag, prediction or row"},
		"list":         {func(c *record.Cell) { c.Digest = "e"; c.Rows[0].Digest = "e" }, "1 changed, 2 the same"},
		"row of another": {func(c *record.Cell) {
			c.Rows = append(c.Rows, c.Rows[0])
			c.Rows[1].Digest, c.Rows[1].Result = "x", gpu.Failed
		}, "2 the same"},
		"platform":        {func(c *record.Cell) { c.Images = c.Images[:1] }, "1 removed, 1 the same"},
		"was not built":   {func(c *record.Cell) { c.Images, c.Digest = nil, "" }, "2 not built now"},
		"has no digest":   {func(c *record.Cell) { c.Images[0].Digest = "" }, "1 not compared, 1 the same"},
		"another is made": {func(c *record.Cell) { c.Images[0].Digest = "other" }, "1 not compared, 1 the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := base()
			tc.edit(&now)
			run := func(c record.Cell) diff.Run {
				return diff.Run{Record: &record.Run{Cells: []record.Cell{c}}, Open: func(context.Context, string) (v1.Image, error) { return nil, errors.New("no such image") }}
			}
			r, err := diff.Runs(t.Context(), run(base()), run(now))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range r.Counts() {
				got = append(got, fmt.Sprintf("%d %s", c.N, c.What))
			}
			if all := strings.Join(got, ", "); all != tc.want || r.Same() != (tc.want == "2 the same") {
				t.Errorf("%s, same %v, want %s", all, r.Same(), tc.want)
			}
			back, err := diff.Runs(t.Context(), run(now), run(base()))
			if err != nil {
				t.Fatal(err)
			}
			other := map[diff.State]diff.State{diff.Added: diff.Removed, diff.Removed: diff.Added, diff.Built: diff.NotBuilt, diff.NotBuilt: diff.Built}
			for i, is := range back.Images {
				if want := cmp.Or(other[r.Images[i].State], r.Images[i].State); is.Platform != r.Images[i].Platform || is.State != want {
					t.Errorf("the other way round %s is %s, want %s %s", is.Platform, is.State, r.Images[i].Platform, want)
				}
			}
		})
	}
}

// TestRowsOfAPlatform: a row that says which configuration ran is of that platform alone.
func TestRowsOfAPlatform(t *testing.T) {
	t.Parallel()
	run := func(result gpu.Result) diff.Run {
		return diff.Run{Record: &record.Run{Cells: []record.Cell{{
			ID: "base", Status: record.Passed, Digest: "d",
			Images: []verify.Report{{Digest: "1", Config: "a", Platform: "linux/amd64"}, {Digest: "2", Config: "b", Platform: "linux/arm64"}},
			Rows:   []record.Row{{Row: gpu.Row{Digest: "d", Config: "b", Sample: "nbody", Result: result}, Host: gpu.Host{Driver: "535.54.03"}}},
		}}}}
	}
	r, err := diff.Runs(t.Context(), run(gpu.Passed), run(gpu.Failed))
	if err != nil {
		t.Fatal(err)
	}
	if amd64, arm64 := r.Images[0].Rows, r.Images[1].Rows; len(amd64) != 0 || len(arm64) != 1 {
		t.Errorf("rows %v of amd64 and %v of arm64, want one of arm64", amd64, arm64)
	}
}

// TestRuns compares two records: a cell more, one less, one whose image is there, one whose image is not, one as it was.
func TestRuns(t *testing.T) {
	t.Parallel()
	old, now := made(t, imagetest.Zstd, nil, layer{"bootstrap", 1, root}), made(t, imagetest.Zstd, nil, layer{"bootstrap", 1, with(root, "etc/hosts", text("x"))})
	images := map[string]v1.Image{}
	cell := func(id string, img v1.Image, verdict string, lists int64) record.Cell {
		d, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digest := d.String()
		if id == "gone-image" {
			digest = fmt.Sprint(lists)
		} else {
			images[digest] = img
		}
		part := record.Part{Kind: record.ListsPart, Digest: fmt.Sprint(lists), Date: time.Unix(lists, 0)}
		report := verify.Report{Digest: digest, Platform: "linux/amd64", Verdict: verify.Pass}
		report.Portability.Predictions = []verify.DriverGPU{{Driver: "535.54.03", GPU: "sm_90"}}
		report.Portability.Predictions[0].Verdict = "native"
		if verdict == "no" {
			report.Portability.Predictions[0].Verdict, report.Portability.Predictions[0].Why = "no", "too new"
		}
		return record.Cell{ID: id, Status: record.Passed, Digest: digest, Images: []verify.Report{report}, Made: []record.Made{{Digest: digest, Plan: "p", Parts: []record.Part{part}}}}
	}
	row := func(c record.Cell, result gpu.Result, standIn bool) record.Row {
		return record.Row{Row: gpu.Row{Digest: c.Digest, Sample: "nbody", Engine: "direct", Result: result, StandIn: standIn}, Host: gpu.Host{Driver: "535.54.03"}}
	}
	was := &record.Run{Cells: []record.Cell{cell("same", old, "", 1), cell("changed", old, "", 1), cell("gone-image", old, "", 1), cell("removed", old, "", 1)}}
	is := &record.Run{Cells: []record.Cell{cell("added", now, "", 1), cell("same", old, "", 1), cell("changed", now, "no", 1), cell("gone-image", now, "", 2)}}
	was.Cells = append(was.Cells, cell("no longer", old, "", 1))
	is.Cells = append(is.Cells, record.Cell{ID: "no longer", Status: record.Failed, Stage: record.StageBuild, Reason: "no such package"})
	was.Cells[1].Rows = []record.Row{row(was.Cells[1], gpu.Passed, false)}
	is.Cells[2].Rows = []record.Row{row(is.Cells[2], gpu.Failed, false), row(is.Cells[2], gpu.Passed, true)}
	open := func(_ context.Context, digest string) (v1.Image, error) {
		if img := images[digest]; img != nil {
			return img, nil
		}
		return nil, errors.New("no such image")
	}
	r, err := diff.Runs(t.Context(), diff.Run{Name: "old", Record: was, Open: open}, diff.Run{Name: "new", Record: is, Open: open})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range r.Images {
		line := fmt.Sprintf("%s %s %s", i.Cell, i.State, i.Why)
		for _, c := range i.Causes {
			line += fmt.Sprintf("; %s %s", r.Causes[c].Kind, r.Causes[c].What)
		}
		for _, p := range i.Predictions {
			line += fmt.Sprintf("; %s on %s %s -> %s: %s", p.Driver, p.GPU, p.Old, p.New, p.Why)
		}
		for _, c := range i.Rows {
			line += fmt.Sprintf("; %s %s -> %s", c.Test, c.Old, c.New)
		}
		got = append(got, line)
	}
	want := []string{
		"added added ", "same same ", "changed changed ; file /etc/hosts content; 535.54.03 on sm_90 native -> no: too new; nbody pass -> fail",
		"gone-image unread old image: no such image; new image: no such image; date package lists of 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z", "no longer not built no such package", "removed removed ",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !r.Unread() || r.Same() {
		t.Errorf("Unread() = %v, Same() = %v, want true, false", r.Unread(), r.Same())
	}
}

// TestLongStep: steps of many words that made many files are compared in a moment; word by word, file by file it would take minutes.
func TestLongStep(t *testing.T) {
	t.Parallel()
	long := func(word string) v1.Image {
		step, all := "RUN", files{}
		for i := range 200 {
			all[fmt.Sprint("f", i)] = text(word)
		}
		for i := range 10_000 {
			step += fmt.Sprintf(" %s%d", word, i)
		}
		return made(t, imagetest.Plain, nil, layer{step, 1, all})
	}
	old, now := long("a"), long("b")
	begun := time.Now()
	is := compared(t, old, now)
	if len(is.Causes) != 1 || time.Since(begun) > 10*time.Second {
		t.Errorf("%d causes after %s, want one in a moment", len(is.Causes), time.Since(begun))
	}
}
