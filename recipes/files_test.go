// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	changed, _ := load(t, dir(t, map[string]string{"manager/apt.yaml": "manager: apt\ninstall: 'true'\n"})).Recipe("debian13", "12.4")
	for i, f := range changed.Files() {
		if same := f == embedded.Files()[i]; same == (f.Name == "manager/apt.yaml") {
			t.Errorf("%+v, where one file was replaced, and it was %+v", f, embedded.Files()[i])
		}
	}
}
