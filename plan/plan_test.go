// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

const file = `version: 1
image: cuda
defaults: {samples: [deviceQuery, nbody]}
groups:
  default:
    - {os: [debian12], cuda: ["11.8"]}
    - {os: [debian13], cuda: ["12.4"]}
`

func expand(t testing.TB, text string, only ...string) []matrix.Cell {
	t.Helper()
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Parse("matrix.yaml", []byte(text), catalog)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := m.Expand("default", only)
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func document(t testing.TB, cells []matrix.Cell) []byte {
	t.Helper()
	data, err := json.Marshal(plan.Document{Version: 1, Cells: cells, Problems: spec.Problems{}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCompare(t *testing.T) {
	t.Parallel()
	cells := expand(t, file)
	changed := strings.Replace(string(document(t, cells)), `"platforms":["linux/amd64"]`, `"platforms":["linux/arm64"],"colour":"red"`, 1)
	tests := map[string]struct {
		old  []byte
		want plan.Diff
	}{
		"the same": {document(t, cells), plan.Diff{Unchanged: 10}},
		"nothing":  {document(t, []matrix.Cell{}), plan.Diff{Added: ids(cells)}},
		"less":     {document(t, cells[3:]), plan.Diff{Added: ids(cells[:3]), Unchanged: 7}},
		"other": {document(t, expand(t, strings.Replace(file, `"11.8"`, `"11.8"], samples: [nbody`, 1))[2:4]), plan.Diff{
			Added: append(ids(cells[:2]), append(ids(cells[3:4]), ids(cells[5:])...)...), Unchanged: 2,
		}},
		"fields": {[]byte(changed), plan.Diff{Unchanged: 9, Changed: []plan.Change{{ID: cells[0].ID, Fields: []plan.Field{
			{Name: "colour", Old: "red"}, {Name: "platforms", Old: []any{"linux/arm64"}, New: []any{"linux/amd64"}},
		}}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, err := plan.Read(test.old)
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.Compare(old, cells)
			if err != nil {
				t.Fatal(err)
			}
			want := plan.Diff{
				Version: 1, Added: append([]string{}, test.want.Added...), Removed: append([]string{}, test.want.Removed...),
				Changed: append([]plan.Change{}, test.want.Changed...), Unchanged: test.want.Unchanged,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Compare (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareRemoved(t *testing.T) {
	t.Parallel()
	cells := expand(t, file)
	old, err := plan.Read(document(t, cells))
	if err != nil {
		t.Fatal(err)
	}
	got, err := plan.Compare(old, cells[8:])
	if diff := cmp.Diff(ids(cells[:8]), got.Removed); diff != "" || err != nil {
		t.Errorf("removed (-want +got): %v\n%s", err, diff)
	}
}

func ids(cells []matrix.Cell) []string {
	var all []string
	for _, c := range cells {
		all = append(all, c.ID)
	}
	return all
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		``:                          "unexpected end of JSON input",
		`[1]`:                       "json: cannot unmarshal array",
		`{}`:                        "version 0, want 1",
		`{"version":2,"cells":[]}`:  "version 2, want 1",
		`{"version":1,"images":[]}`: "it has no cells",
		`{"version":1,"cells":[{"id":"x","status":"passed"}]}`:                                  "cell 0 has no os",
		`{"version":1,"cells":[null]}`:                                                          "cell 0 has no id",
		`{"version":1,"cells":[],"problems":[{"file":"f"}]}`:                                    "it is that of an invalid matrix",
		`{"version":1,"cells":[{"id":"x","os":"o","cuda":"1"},{"id":"x","os":"o","cuda":"1"}]}`: `cell "x" is there twice`,
	}
	for data, want := range tests {
		if _, err := plan.Read([]byte(data)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Read(%s) = %v, want %s", data, err, want)
		}
	}
}

// FuzzOldPlan holds that whatever is read can be compared, and that every cell is counted.
func FuzzOldPlan(f *testing.F) {
	cells := expand(f, file)
	f.Add(document(f, cells))
	f.Add([]byte(`{"version":1,"cells":[{"id":"x","os":"o","cuda":"1","tags":{"a":[1,null]}}],"problems":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		old, err := plan.Read(data)
		if err != nil {
			return
		}
		d, err := plan.Compare(old, cells)
		if err != nil || len(d.Added)+len(d.Changed)+d.Unchanged != len(cells) {
			t.Errorf("Compare = %+v, %v, want all of %d cells", d, err, len(cells))
		}
		if _, err := json.Marshal(d); err != nil {
			t.Error(err)
		}
	})
}

func ExampleCompare() {
	old, err := plan.Read([]byte(`{"version":1,"cells":[{"id":"12.4-base-debian13","os":"debian13","cuda":"12.4"}]}`))
	if err != nil {
		panic(errors.Unwrap(err))
	}
	d, _ := plan.Compare(old, nil)
	fmt.Println("removed:", d.Removed)
	// Output:
	// removed: [12.4-base-debian13]
}
