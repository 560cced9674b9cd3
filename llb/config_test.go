// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// TestOwnNames: a matrix can set no label that cudabuild sets itself, and of its variables
// none that the image has. Each name is a problem of its own.
func TestOwnNames(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		var own []string
		for name := range img.Config.Config.Labels {
			own = append(own, "labels: {"+name+": x}")
		}
		for _, set := range img.Config.Config.Env {
			name, _, _ := strings.Cut(set, "=")
			own = append(own, "env: {"+name+": x}")
		}
		for _, one := range own {
			if _, err := matrix.Parse("matrix.yaml", fmt.Appendf(nil, "%s\ncells: [{only: %s, %s}]\n", everything, cell.ID, one), c); err == nil {
				t.Errorf("a matrix may set %s of %s", one, cell.ID)
			}
		}
	})
}

// TestConfigOfMatrix: what a matrix adds is in the configuration of the cells that it names,
// to the letter, and changes nothing else: no op, and no other cell.
func TestConfigOfMatrix(t *testing.T) {
	t.Parallel()
	const value = `5$ ${HOME} \ "`
	c := catalog(t)
	m, err := matrix.Parse("matrix.yaml", []byte(everything+`
cells: [{only: "12.4-runtime-*", labels: {com.example.team: gpu}, env: {ACME: '`+value+`'}}]
`), c)
	if err != nil {
		t.Fatal(err)
	}
	plain, compiler := cells(t, c), &llb.Compiler{}
	with, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, cell := range with {
		got, want := compile(t.Context(), t, compiler, cell), compile(t.Context(), t, compiler, plain[i])
		if cell.ID == "12.4-runtime-debian13" {
			want.Config.Config.Labels["com.example.team"] = "gpu"
			want.Config.Config.Env = append([]string{"ACME=" + value}, want.Config.Config.Env...)
		}
		if encode(t, got.Config) != encode(t, want.Config) || !slices.EqualFunc(got.Definition.Def, want.Definition.Def, slices.Equal) {
			t.Errorf("%s: %s, want %s, and the same ops", cell.ID, encode(t, got.Config), encode(t, want.Config))
		}
	}
}
