// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// Root bootstraps a Debian with a real apt and a real dnf, once for each dir, and
// returns it as a layer. mirror is where Debian's packages come from, "" for Debian's
// own. It needs root.
func Root(t testing.TB, dir, mirror string) v1.Layer {
	t.Helper()
	file := filepath.Join(dir, "stand-in-root.tar.gz")
	if _, err := os.Stat(file); err != nil {
		args := []string{
			"--variant=minbase", "--format=tar", "--quiet", "--components=main", "--include=dnf,rpm",
			"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
			"bookworm", file + ".new",
		}
		if mirror != "" {
			args = append(args, mirror+"/debian")
		}
		put(t, file+".log", tool(t, dir, []string{"TMPDIR=" + dir}, "mmdebstrap", args...))
		tool(t, dir, nil, "gzip", "--fast", "--no-name", "--suffix", ".gz", file+".new")
		if err := os.Rename(file+".new.gz", file); err != nil {
			t.Fatal(err)
		}
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// files make one Debian stand in for every OS: it asks no repository but those of a
// recipe, its dnf is its yum too, and it says what it is.
func files(title string) map[string]imagetest.Entry {
	return map[string]imagetest.Entry{
		"etc/apt/sources.list":      {Data: ""},
		"etc/dnf/vars/releasever":   {Data: "9\n"},
		"etc/os-release":            {Data: "ID=stand-in\nPRETTY_NAME=\"stand-in for " + title + "\"\n"},
		"etc/rpm/macros.stand-in":   {Data: "%_dbpath /var/lib/rpm\n"}, // Debian's rpm has it at home
		"etc/yum.repos.d/base.repo": {Data: "[base]\nname=stand-in\nmirrorlist=http://mirrorlist.invalid/\n#baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/\nenabled=0\n"},
		"usr/bin/yum":               {Symlink: "dnf"},
		"var/lib/rpm":               {Dir: true},
	}
}

// Push puts an image of two layers, the root and what makes it stand in for an OS,
// into a registry.
func Push(t testing.TB, ref, title string, root v1.Layer) {
	t.Helper()
	above := imagetest.Layer(imagetest.Gzip, imagetest.Files(files(title)))
	img, err := mutate.Append(empty.Image,
		mutate.Addendum{Layer: root, History: v1.History{CreatedBy: "mmdebstrap bookworm # a stand-in"}},
		mutate.Addendum{History: v1.History{CreatedBy: "CMD bash", EmptyLayer: true}},
		mutate.Addendum{Layer: above, History: v1.History{CreatedBy: "stand-in for " + title}})
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Created = "linux", "amd64", v1.Time{Time: time.Now()}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(ref)
	if err == nil {
		err = remote.Write(parsed, img, remote.WithContext(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
}
