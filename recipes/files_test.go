// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/recipes"
)

// TestFiles: whoever has the files of a recipe can make it again.
func TestFiles(t *testing.T) {
	t.Parallel()
	all := load(t)
	for _, test := range []struct{ os, cuda, want string }{
		{"debian13", "12.4", "cuda/12.4-debian13.yaml manager/apt.yaml os/debian13.yaml"},
		{"ubuntu16.04", "9.0", "era/9.0.yaml manager/apt-nvidia.yaml os/ubuntu16.04.yaml repository/nvidia.yaml toolkit/9.0.yaml"},
		{"rockylinux8", "11.8.0", "era/11.0.yaml era/11.3.yaml manager/dnf.yaml manager/yum.yaml os/rockylinux8.yaml repository/nvidia.yaml toolkit/11.8.0.yaml"},
	} {
		r, _ := all.Recipe(test.os, test.cuda)
		var names []string
		for _, f := range r.Files() {
			names = append(names, f.Name)
			if len(f.Digest) != len("sha256:")+64 {
				t.Errorf("digest of %s is %q", f.Name, f.Digest)
			}
		}
		if diff := cmp.Diff(test.want, strings.Join(names, " ")); diff != "" {
			t.Errorf("files of %s on %s (-want +got):\n%s", test.cuda, test.os, diff)
		}
	}
	embedded, _ := all.Recipe("debian13", "12.4")
	changed, _ := load(t, dir(t, map[string]string{"manager/apt.yaml": "install: 'true'\n"})).Recipe("debian13", "12.4")
	var kept, added []recipes.File
	for _, f := range changed.Files() {
		if slices.Contains(embedded.Files(), f) {
			kept = append(kept, f)
		} else {
			added = append(added, f)
		}
	}
	if !slices.Equal(kept, embedded.Files()) || len(added) != 1 || added[0].Name != "manager/apt.yaml" {
		t.Errorf("where a folder changes one file there are %v, and %v of it, want all of %v and that file", kept, added, embedded.Files())
	}
}
