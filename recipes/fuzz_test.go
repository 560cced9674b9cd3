// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"io/fs"
	"testing"
)

// FuzzDecode holds that a file is either taken or has problems that say something.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"cuda/12.4-debian13.yaml", "os/debian13.yaml", "manager/apt.yaml", "os/centos6.yaml", "era/11.0.yaml", "toolkit/11.8.0.yaml", "repository/nvidia.yaml"} {
		data, err := fs.ReadFile(embedded, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{"", "a: &a [*a]\n", "os: [", "? {a: b}\n: c\n", "<<: {cuda: x}\n", "layers: {base: &x {packages: *x}}\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, value := range []any{&Release{}, &OS{}, &Manager{}, &Source{}, &Era{}, &Toolkit{}} {
			var problems Problems
			taken := (&file{path: "f.yaml", problems: &problems}).decode(data, value)
			if taken != (len(problems) == 0) {
				t.Fatalf("decode = %v with problems %v", taken, problems)
			}
			for _, p := range problems {
				if p.Message == "" || p.File != "f.yaml" || p.Line < 0 || p.Column < 0 {
					t.Errorf("problem %+v", p)
				}
			}
		}
	})
}
