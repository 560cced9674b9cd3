// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

const pacmanDB = "var/lib/pacman/local/"

func pacmanDesc(name, version string) imagetest.Entry {
	return imagetest.Entry{Data: "%NAME%\n" + name + "\n\n%VERSION%\n" + version + "\n\n%BASE%\nnvidia\n\n%PROVIDES%\nvulkan-driver\nlibcuda.so=1-64\n\n"}
}

// TestPacman finds packages in pacman's database: one folder a package.
func TestPacman(t *testing.T) {
	t.Parallel()
	const dir = pacmanDB + "nvidia-utils-580.95.05-1/"
	for name, tc := range map[string]struct {
		layers []entries
		want   []string // detail and layer in which it is deleted
	}{
		"installed":       {[]entries{{dir + "desc": pacmanDesc("nvidia-utils", "580.95.05-1")}}, []string{"package nvidia-utils 580.95.05-1"}},
		"of another name": {[]entries{{pacmanDB + "x-1-1/desc": pacmanDesc("opencl-nvidia", "1:580.95.05-1")}}, []string{"package opencl-nvidia 1:580.95.05-1"}},
		"no name in it":   {[]entries{{dir + "desc": {Data: "%DESC%\nNVIDIA drivers utilities\n"}}}, []string{"package nvidia-utils 580.95.05-1"}},
		"empty":           {[]entries{{dir + "desc": {}}}, []string{"package nvidia-utils 580.95.05-1"}},
		"both, once each": {[]entries{{dir + "desc": pacmanDesc("nvidia-utils", "580.95.05-1"), pacmanDB + "nvidia-open-580.95.05-3/desc": pacmanDesc("nvidia-open", "580.95.05-3")}}, []string{
			"package nvidia-open 580.95.05-3", "package nvidia-utils 580.95.05-1",
		}},
		"removed":       {[]entries{{dir + "desc": pacmanDesc("nvidia-utils", "580.95.05-1")}, {pacmanDB + ".wh.nvidia-utils-580.95.05-1": {}}}, []string{"package nvidia-utils 580.95.05-1, deleted"}},
		"another layer": {[]entries{{dir + "desc": pacmanDesc("nvidia-utils", "580.95.05-1")}, {dir + "desc": pacmanDesc("nvidia-utils", "580.95.05-1")}}, []string{"package nvidia-utils 580.95.05-1"}},
		"a mere user":   {[]entries{{pacmanDB + "cuda-toolkit-13.0.2-1/desc": {Data: "%NAME%\ncuda-toolkit\n\n%VERSION%\n13.0.2-1\n\n%DEPENDS%\nnvidia-utils\n\n%OPTDEPENDS%\nnvidia-open: driver\n"}}}, nil},
		"no database":   {[]entries{{"var/lib/pacman/sync/nvidia-utils-1-1/desc": pacmanDesc("nvidia-utils", "1-1"), pacmanDB + "ALPM_DB_VERSION": {Data: "9\n"}}}, nil},
	} {
		var layers []*imagetest.Blob
		for _, files := range tc.layers {
			layers = append(layers, layer(files))
		}
		var got []string
		for _, f := range judge(t, imagetest.New(layers...)).Findings {
			if f.DeletedIn != nil {
				f.Detail += ", deleted"
			}
			got = append(got, f.Detail)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
}

// TestPacmanOwners names the package of a leaked file.
func TestPacmanOwners(t *testing.T) {
	t.Parallel()
	list := imagetest.Entry{Data: "%FILES%\nusr/\nusr/lib/\nusr/lib/libcuda.so.580.95.05\nopt/has-dash-1/libnvidia-x.so.580.95.05\n\n%BACKUP%\netc/x.conf\tabc\n"}
	r := judge(t, imagetest.New(layer(entries{
		"usr/lib/libcuda.so.580.95.05": leaked, "opt/has-dash-1/libnvidia-x.so.580.95.05": {Data: "x"},
		pacmanDB + "an-evil-one-1:2.0-3/files": list,
	})))
	if len(r.Findings) != 2 {
		t.Fatalf("findings %+v, want two", r.Findings)
	}
	for _, f := range r.Findings {
		if !strings.HasSuffix(f.Detail, ", package an-evil-one 1:2.0-3") {
			t.Errorf("%s: %q, want its package", f.Path, f.Detail)
		}
	}
}
