// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestExplainFollowsFolders asks for a file by a path through links.
func TestExplainFollowsFolders(t *testing.T) {
	t.Parallel()
	lib := leaked
	for _, tc := range []struct {
		name    string
		layers  []files
		ask     string
		real    string
		visible bool
	}{
		{"merged folders", []files{{"lib": {Symlink: "usr/lib"}, "usr/lib/libcuda.so.1": lib}}, "/lib/libcuda.so.1", "usr/lib/libcuda.so.1", true},
		{"several, across layers", []files{{"usr/lib/x/libcuda.so.1": lib}, {"lib": {Symlink: "/usr/lib"}}, {"usr/lib/here": {Symlink: "x"}}}, "lib/here/libcuda.so.1", "usr/lib/x/libcuda.so.1", true},
		{"deleted where it lies", []files{{"lib": {Symlink: "usr/lib"}, "usr/lib/libcuda.so.1": lib}, {"usr/lib/.wh.libcuda.so.1": {}}}, "lib/libcuda.so.1", "usr/lib/libcuda.so.1", false},
		{"no link", []files{{"usr/lib/libcuda.so.1": lib}}, "usr/lib/libcuda.so.1", "usr/lib/libcuda.so.1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var blobs []*imagetest.Blob
			for _, f := range tc.layers {
				blobs = append(blobs, layer(f))
			}
			e, err := verify.New(verify.Options{}).Explain(t.Context(), "x", imagetest.New(blobs...), tc.ask)
			if err != nil {
				t.Fatal(err)
			}
			entries := 0
			for _, l := range e.Layers {
				entries += len(l.Entries)
			}
			if e.Visible != tc.visible || e.Real != tc.real || entries == 0 {
				t.Errorf("explanation %+v, want visible %v at %s", e, tc.visible, tc.real)
			}
		})
	}
}

// TestExplainOfUnreadLayers: what was not read may hold the path, and only the
// registry is asked.
func TestExplainOfUnreadLayers(t *testing.T) {
	t.Parallel()
	broken := layer(files{"usr/lib/libcuda.so.1": leaked})
	broken.Data = broken.Data[:len(broken.Data)/2]
	foreign := foreignLayer(t)
	for name, l := range map[string]*imagetest.Blob{"broken": broken, "foreign": foreign} {
		e, err := verify.New(verify.Options{}).Explain(t.Context(), "x", imagetest.New(layer(files{"etc/passwd": {Data: "x"}}), l), "no/such")
		if err != nil || e.Unread == "" || !strings.Contains(e.Unread, "layer 1") {
			t.Errorf("%s: %+v, %v, want that layer 1 was not read", name, e, err)
		}
	}
}

// foreignLayer has its content at a URL, and fails the test if anybody asks for it.
func foreignLayer(t *testing.T) *imagetest.Blob {
	t.Helper()
	l := layer(files{"usr/lib/x": {Data: "x"}})
	l.URLs = []string{"https://example.com/blob"}
	l.Opened = func() { t.Error("the content of a foreign layer was asked for") }
	return l
}

// TestExplainNames: the answer names the links that were followed, and what a layer has
// under their names.
func TestExplainNames(t *testing.T) {
	t.Parallel()
	usr := files{"lib": {Symlink: "usr/lib"}, "lib64": {Symlink: "lib"}, "usr/lib/gnu/x": {Data: "x"}}
	for _, tc := range []struct {
		name    string
		layers  []files
		ask     string
		links   []string // "path target"
		entries []string // "layer name"
		visible bool
	}{
		{"no link", []files{usr}, "usr/lib/gnu/x", nil, []string{"0 usr/lib/gnu/x"}, true},
		{"one", []files{usr}, "/lib/gnu/x", []string{"lib usr/lib"}, []string{"0 usr/lib/gnu/x"}, true},
		{"one after another", []files{usr}, "/lib64/gnu/x", []string{"lib64 lib", "lib usr/lib"}, []string{"0 usr/lib/gnu/x"}, true},
		{"of different layers", []files{usr, {"opt/l": {Symlink: "/lib64/gnu"}}}, "opt/l/x", []string{"opt/l /lib64/gnu", "lib64 lib", "lib usr/lib"}, []string{"0 usr/lib/gnu/x"}, true},
		{"under the link's name", []files{usr, {"lib/gnu/x": {Data: "y"}}}, "/lib/gnu/x", []string{"lib usr/lib"}, []string{"0 usr/lib/gnu/x", "1 lib/gnu/x"}, true},
		{"only under the link's name", []files{usr, {"lib/gnu/new": {Data: "y"}}}, "/lib/gnu/new", []string{"lib usr/lib"}, []string{"1 lib/gnu/new"}, true},
		{"under a name that was not asked for", []files{usr, {"lib/gnu/new": {Data: "y"}}}, "/lib64/gnu/new", []string{"lib64 lib", "lib usr/lib"}, []string{"1 lib/gnu/new"}, true},
		{"under a folder that is a link later", []files{{"lib/gnu/x": {Data: "x"}}, {".wh.lib": {}}, usr}, "lib/gnu/x", []string{"lib usr/lib"}, []string{"0 lib/gnu/x", "2 usr/lib/gnu/x"}, true},
		{"under a folder that is a link later, and gone", []files{{"lib/gnu/old": {Data: "x"}}, {".wh.lib": {}}, usr}, "lib/gnu/old", []string{"lib usr/lib"}, []string{"0 lib/gnu/old"}, false},
		{"under a folder that a link replaces", []files{{"lib/gnu/old": {Data: "x"}}, usr}, "lib/gnu/old", []string{"lib usr/lib"}, []string{"0 lib/gnu/old"}, false},
		{"the link itself", []files{usr}, "/lib64", nil, []string{"0 lib64"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var blobs []*imagetest.Blob
			var opened atomic.Int32
			for _, f := range tc.layers {
				blob := layer(f)
				blob.Opened = func() { opened.Add(1) }
				blobs = append(blobs, blob)
			}
			e, err := verify.New(verify.Options{}).Explain(t.Context(), "x", imagetest.New(blobs...), tc.ask)
			if err != nil {
				t.Fatal(err)
			}
			var links, entries []string
			for _, l := range e.Links {
				links = append(links, l.Path+" "+l.Target)
			}
			for _, l := range e.Layers {
				for _, entry := range l.Entries {
					entries = append(entries, fmt.Sprint(l.Layer.Index, " ", entry.Path))
				}
			}
			if !slices.Equal(links, tc.links) || !slices.Equal(entries, tc.entries) || e.Visible != tc.visible {
				t.Errorf("links %q, entries %q, visible %v, want %q, %q, %v", links, entries, e.Visible, tc.links, tc.entries, tc.visible)
			}
			if int(opened.Load()) != len(blobs) {
				t.Errorf("%d blobs were opened %d times, want once each", len(blobs), opened.Load())
			}
		})
	}
}
