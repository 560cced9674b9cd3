// SPDX-License-Identifier: Apache-2.0

package contents_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

type files = map[string]imagetest.Entry

const db = "var/lib/dpkg/status"

func status(version string) imagetest.Entry {
	return imagetest.Entry{Data: "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n"}
}

func layer(f files) *imagetest.Blob { return imagetest.Layer(imagetest.Gzip, imagetest.Files(f)) }

// with returns an image with another configuration.
func with(t *testing.T, img v1.Image, change func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	change(config)
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func read(t *testing.T, img v1.Image) contents.Image {
	t.Helper()
	got, err := contents.Read(t.Context(), verify.New(verify.Options{}), "x", img)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRead has all that an image says of itself.
func TestRead(t *testing.T) {
	t.Parallel()
	bottom, top := layer(files{db: status("5.1")}), layer(files{db: status("5.2"), "a": {Data: "x"}})
	img := with(t, imagetest.New(bottom, top), func(c *v1.ConfigFile) {
		c.History = []v1.History{{CreatedBy: "root"}, {CreatedBy: "ENV A=b", EmptyLayer: true}, {CreatedBy: "install"}}
		c.Config = v1.Config{Env: []string{"A=b", "PATH=/bin"}, Entrypoint: []string{"/e"}, Cmd: []string{"c", "d"}, User: "nobody", WorkingDir: "/w", Labels: map[string]string{"l": "v"}}
	})
	of := func(b *imagetest.Blob) contents.Layer {
		return contents.Layer{Digest: b.Want.String(), SizeBytes: int64(len(b.Data))}
	}
	want := contents.Image{
		Layers:   []contents.Layer{of(bottom), of(top)},
		History:  []contents.Step{{CreatedBy: "root"}, {CreatedBy: "ENV A=b", Layer: -1}, {CreatedBy: "install", Layer: 1}},
		Config:   contents.Config{Env: []string{"A=b", "PATH=/bin"}, Entrypoint: []string{"/e"}, Cmd: []string{"c", "d"}, User: "nobody", WorkingDir: "/w", Labels: map[string]string{"l": "v"}},
		Packages: []verify.Package{{Manager: "dpkg", Name: "bash", Version: "5.2", Arch: "amd64", Source: "bash", Layer: 1, Database: db}},
	}
	if diff := cmp.Diff(want, read(t, img)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHistory: only a history with an entry for each layer says which one it made.
func TestHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		empty []bool // of each entry
		want  []int
	}{
		"none":     {nil, nil},
		"each":     {[]bool{false, true, false, true}, []int{0, -1, 1, -1}},
		"squashed": {[]bool{false, false, false}, []int{-1, -1, -1}},
		"too few":  {[]bool{false}, []int{-1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img := with(t, imagetest.New(layer(files{"a": {}}), layer(files{"b": {}})), func(c *v1.ConfigFile) {
				c.History = nil
				for _, empty := range test.empty {
					c.History = append(c.History, v1.History{EmptyLayer: empty})
				}
			})
			var got []int
			for _, step := range read(t, img).History {
				got = append(got, step.Layer)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestUnlisted: packages of an image that cannot be understood are not "none"; the rest is there.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	broken := layer(files{db: status("5.1")})
	broken.Data = broken.Data[:len(broken.Data)-4]
	got := read(t, imagetest.New(layer(files{"a": {}}), broken))
	if got.Unlisted == "" || strings.HasPrefix(got.Unlisted, "x: ") || len(got.Packages) > 0 || got.Packages == nil || len(got.Layers) != 2 {
		t.Errorf("read %+v, want its layers, no packages, and why", got)
	}
	if got := read(t, imagetest.New(layer(files{"a": {}}))); got.Unlisted != "" || got.Packages == nil || got.Config.Env == nil {
		t.Errorf("an image without packages is %+v, want it listed, with lists that are not nil", got)
	}
}

// TestBounds: what others wrote into a configuration takes only so much of a page.
func TestBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 20<<10)
	got := read(t, with(t, imagetest.New(layer(files{"a": {}})), func(c *v1.ConfigFile) {
		c.History = make([]v1.History, 20_000)
		c.History[0].CreatedBy = long
		c.Config.Env, c.Config.Labels = []string{"A=" + long}, map[string]string{"l": long}
	}))
	if n := len(got.History); n != 10_000 {
		t.Errorf("%d steps, want 10000", n)
	}
	for _, text := range []string{got.History[0].CreatedBy, got.Config.Env[0], got.Config.Labels["l"]} {
		if len(text) > 16<<10+3 || !strings.HasSuffix(text, "ä...") {
			t.Errorf("a text of %d bytes ends in %q", len(text), text[len(text)-8:])
		}
	}
}

// TestUnreadable: what is no image, and an end that comes from outside, are errors.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	img := imagetest.New(layer(files{"a": {}}))
	short := with(t, img, func(c *v1.ConfigFile) { c.RootFS.DiffIDs = nil })
	if _, err := contents.Read(t.Context(), verify.New(verify.Options{}), "x", short); err == nil || !strings.Contains(err.Error(), "1 layers, the config 0") {
		t.Errorf("error %v, want that layers are missing", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := contents.Read(ctx, verify.New(verify.Options{}), "x", img); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
