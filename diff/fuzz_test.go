// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// FuzzImages compares images of any content: each change has one cause, causes count the changes, an image is the same only by its
// digest, and the other way round the same files differ.
func FuzzImages(f *testing.F) {
	archive := func(all files) []byte { return imagetest.Files(all) }
	f.Add(archive(root), archive(with(root, "bin/bash", text("5.3"))), "install a", "install b", "A=1")
	f.Add(archive(root), archive(with(root, "var/lib/dpkg/status", status("5.3"))), "", "RUN x", "=")
	f.Add([]byte("no archive"), archive(above), "RUN apt install bash=5.2", "RUN apt install bash=5.3", "")
	f.Fuzz(func(t *testing.T, oldLayer, nowLayer []byte, oldStep, nowStep, env string) {
		image := func(data []byte, step, env string) v1.Image {
			img := imagetest.New(imagetest.Layer(imagetest.Plain, data))
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			config = config.DeepCopy()
			config.History = []v1.History{{CreatedBy: step}}
			config.Config.Env = []string{env}
			if img, err = mutate.ConfigFile(img, config); err != nil {
				t.Fatal(err)
			}
			return img
		}
		old, now := image(oldLayer, oldStep, ""), image(nowLayer, nowStep, env)
		there, back := compared(t, old, now), compared(t, now, old)
		if there.State != back.State || !slices.Equal(paths(there), paths(back)) {
			t.Errorf("%s of %q, the other way round %s of %q", there.State, paths(there), back.State, paths(back))
		}
	})
}

func compared(t *testing.T, old, now v1.Image) diff.Image {
	t.Helper()
	r, err := diff.Images(t.Context(), alone(diff.Version{Image: old}), alone(diff.Version{Image: now}))
	if err != nil || len(r.Images) != 1 {
		t.Fatalf("%+v, error %v, want one image", r, err)
	}
	is := r.Images[0]
	counts := make([]int, len(r.Causes))
	for _, p := range is.Packages {
		counts[p.Cause]++
	}
	for _, f := range is.Files {
		counts[f.Cause]++
	}
	for _, v := range is.Config {
		counts[v.Cause]++
	}
	for i, c := range r.Causes {
		if c.Changes != counts[i] || c.Kind == "" || c.What == "" {
			t.Errorf("cause %+v of %d changes", c, counts[i])
		}
	}
	same := is.OldDigest == is.NewDigest
	if (is.State == diff.Same) != same || (is.State == diff.Unread) && is.Why == "" || !same && len(is.Causes) == 0 && is.State != diff.Unread {
		t.Errorf("state %s (%s) with causes %v of %s -> %s", is.State, is.Why, is.Causes, is.OldDigest, is.NewDigest)
	}
	return is
}

func paths(i diff.Image) (all []string) {
	for _, f := range i.Files {
		all = append(all, f.Path)
	}
	return all
}
