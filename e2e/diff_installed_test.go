// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
)

// installed are the versions of an image's packages by name, as its own dpkg has them.
func installed(t *testing.T, ref string) map[string]string {
	t.Helper()
	sources, closer, err := image.Open(t.Context(), ref, image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	all := map[string]string{}
	for _, paragraph := range strings.Split(topmost(t, sources[0].Image, "var/lib/dpkg/status"), "\n\n") {
		fields := map[string]string{}
		for _, line := range strings.Split(paragraph, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, " ") {
				fields[name] = value
			}
		}
		if fields["Status"] == "install ok installed" || fields["Status"] == "hold ok installed" {
			all[fields["Package"]] = fields["Version"]
		}
	}
	return all
}

// topmost is a file of the highest layer that has it.
func topmost(t *testing.T, img v1.Image, path string) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Backward(layers) {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for in := tar.NewReader(r); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimPrefix(h.Name, "./") == path {
				data, err := io.ReadAll(in)
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
		}
	}
	t.Fatalf("no layer has %s", path)
	return ""
}

// moves are the packages that two sides do not have alike: "bash 5.2 -> none".
func moves(old, now map[string]string) map[string]bool {
	all := map[string]bool{}
	names := maps.Clone(old)
	maps.Copy(names, now)
	for name := range names {
		if old[name] != now[name] {
			all[fmt.Sprintf("%s %s -> %s", name, cmp.Or(old[name], "none"), cmp.Or(now[name], "none"))] = true
		}
	}
	return all
}
