// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/spec"
)

func withImage(image string) []byte {
	return fmt.Appendf(nil, "version: 1\nimage: %q\ngroups:\n  default:\n    - {os: [debian13], cuda: [\"12.4\"], flavors: [base]}\n", image)
}

// TestImage: a repository may be in a registry; its tags are what
// go-containerregistry takes apart the same way.
func TestImage(t *testing.T) {
	t.Parallel()
	inSchema := schematest.Compile(t, matrix.Schema(catalog(t)))
	for _, image := range []string{
		"cuda", "acme/cuda", "a__b/c-d--e/f.g", "ghcr.io/acme/cuda", "registry:5000/team/cuda", "localhost/xy", "localhost:5000/xy", "127.0.0.1/xy",
		"10.0.0.1:80/x/y", "[::1]:5000/xy", "[2001:db8::1]/xy", "Registry.Example.COM/xy", "REGISTRY:5000/xy", "xn--dmin-moa0i.example:443/xy",
	} {
		if err := inSchema(yamlToJSON(withImage(image))); err != nil {
			t.Errorf("schema: %s: %v", image, err)
		}
		m, err := matrix.Parse("f", withImage(image), catalog(t))
		if err != nil {
			t.Errorf("%s: %v", image, err)
			continue
		}
		cells, _ := m.Expand("default", nil)
		ours, err := name.NewTag(cells[0].Tags[0])
		if err != nil || ours.TagStr() != cells[0].ID || !strings.HasSuffix(ours.Context().Name(), image[strings.Index(image, "/")+1:]) {
			t.Errorf("go-containerregistry reads %s as %v, %v", cells[0].Tags[0], ours, err)
		}
	}
}

// TestImageRefuses: what is no name of a repository is told with what it has too much, and
// what was probably meant.
func TestImageRefuses(t *testing.T) {
	t.Parallel()
	const form, tags = "lower-case letters", "? every image gets a tag of its own"
	digest := "@sha256:" + strings.Repeat("a", 64)
	inSchema := schematest.Compile(t, matrix.Schema(catalog(t)))
	for image, want := range map[string][2]string{
		"cuda:12.4":                          {": it has a tag", `did you mean "cuda"` + tags},
		"cuda:12":                            {": it has a tag", `did you mean "cuda"` + tags},
		"registry:5000/team/cuda:latest":     {": it has a tag", `did you mean "registry:5000/team/cuda"` + tags},
		"cuda:":                              {": it has a tag", `did you mean "cuda"` + tags},
		"cuda" + digest:                      {": it has a digest", `did you mean "cuda"` + tags},
		"registry:5000/cuda:1" + digest:      {": it has a digest", `did you mean "registry:5000/cuda"` + tags},
		"registry:5000":                      {": it is that of a registry alone, or has a tag", `did you mean "registry:5000/cuda"?`},
		"[::1]:80/":                          {": it is that of a registry alone, or has a tag", `did you mean "[::1]:80/cuda"?`},
		"registry:5000/Team/CUDA":            {": its path has upper-case letters", `did you mean "registry:5000/team/cuda"?`},
		"Registry:5000/Team":                 {": its path has upper-case letters", `did you mean "Registry:5000/team"?`},
		"Acme/cuda":                          {": its path has upper-case letters", `did you mean "acme/cuda"?`},
		"registry:5000/team/":                {": it has an empty part", `did you mean "registry:5000/team"?`},
		"ghcr.io//acme/cuda":                 {": it has an empty part", `did you mean "ghcr.io/acme/cuda"?`},
		"https://registry:5000/team/cuda":    {": it has a scheme", `did you mean "registry:5000/team/cuda"?`},
		"docker://ghcr.io/acme/cuda:12/":     {": it has a scheme", `did you mean "ghcr.io/acme/cuda"?`},
		"http://ghcr.io/acme/cuda/":          {": it has a scheme", `did you mean "ghcr.io/acme/cuda"?`},
		" cuda ":                             {": it has blanks", `did you mean "cuda"?`},
		"registry:5000/my cuda":              {": it has blanks", `did you mean "registry:5000/mycuda"?`},
		"":                                   {"", form},
		"reg_istry:5000/cuda":                {"", form},
		"registry:port/cuda":                 {"", form},
		"[::g]:5000/cuda":                    {"", form},
		"a/b:5000/cuda":                      {"", form},
		"user:password@registry/cuda":        {"", form},
		"ünicode":                            {"", form},
		"host.x/" + strings.Repeat("a", 250): {"", "255 characters at most"},
	} {
		if inSchema(yamlToJSON(withImage(image))) == nil {
			t.Errorf("the schema takes %q", image)
		}
		_, err := matrix.Parse("f", withImage(image), catalog(t))
		var problems spec.Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Errorf("%q: %v, want one problem", image, err)
			continue
		}
		shown := strings.Replace(image, "user:password@", "***@", 1)
		message := fmt.Sprintf("f:2:8: image: %q is not a repository name%s", shown, want[0])
		if diff := cmp.Diff(message, problems[0].Error()); diff != "" || !strings.HasPrefix(problems[0].Hint, want[1]) {
			t.Errorf("%s\n%s, want %s", diff, problems[0].Hint, want[1])
		}
	}
}
