// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

func run(inputs []record.Input, cells ...record.Cell) *record.Run {
	r := &record.Run{Version: 1, Inputs: inputs, Cells: cells}
	r.Sum()
	return r
}

func TestOver(t *testing.T) {
	t.Parallel()
	cell := func(id string, status record.Status, digest string) record.Cell {
		return record.Cell{ID: id, Status: status, Digest: digest}
	}
	input := func(os, root string) record.Input { return record.Input{OS: os, Platform: "linux/amd64", Root: root} }
	full := run([]record.Input{input("debian12", "a"), input("debian13", "b")},
		cell("x", record.Passed, "1"), cell("y", record.Failed, "2"), cell("z", record.Passed, "3"))
	narrow := run([]record.Input{input("debian11", "d"), input("debian13", "c")},
		cell("w", record.Passed, "4"), cell("y", record.Passed, "5"))
	narrow.Totals.Seconds, narrow.Totals.SizeBytes = 7, 8
	narrow.Builders = []record.Builder{{Address: "tcp://now:1", State: record.BuilderUsed}}
	full.Builders = []record.Builder{{Address: "tcp://earlier:1", State: record.BuilderLost}}

	want := run([]record.Input{input("debian11", "d"), input("debian12", "a"), input("debian13", "c")},
		cell("x", record.Passed, "1"), cell("y", record.Passed, "5"), cell("z", record.Passed, "3"), cell("w", record.Passed, "4"))
	want.Totals.Seconds, want.Totals.SizeBytes, want.Builders = 7, 8, narrow.Builders
	if diff := cmp.Diff(want, narrow.Over(full)); diff != "" {
		t.Errorf("Over (-want +got):\n%s", diff)
	}
	if want.Totals.Passed != 4 || want.Totals.Failed != 0 {
		t.Errorf("totals = %+v, want 4 passed", want.Totals)
	}
	if diff := cmp.Diff(narrow, narrow.Over(nil)); diff != "" {
		t.Errorf("Over(nil) (-want +got):\n%s", diff)
	}
	if full.Cells[1].Digest != "2" {
		t.Error("the earlier record was changed")
	}
}

// TestOverMovesTags: a tag is that of one cell in the record, as in the index.
func TestOverMovesTags(t *testing.T) {
	t.Parallel()
	cell := func(id string, status record.Status, tags ...string) record.Cell {
		return record.Cell{ID: id, Status: status, Tags: tags}
	}
	earlier := run(nil, cell("x", record.Passed, "x", "latest", "stays"), cell("y", record.Passed, "y", "own"))
	now := run(nil, cell("y", record.Passed, "y", "own", "latest"), cell("z", record.Failed, "z", "stays"))
	want := []record.Cell{cell("x", record.Passed, "x", "stays"), now.Cells[0], now.Cells[1]}
	if diff := cmp.Diff(want, now.Over(earlier).Cells); diff != "" {
		t.Errorf("Over (-want +got):\n%s", diff)
	}
	if len(earlier.Cells[0].Tags) != 3 {
		t.Errorf("the earlier record was changed: %v", earlier.Cells)
	}
}

// TestOverKeepsBuilders: a run that finds an image unchanged does not forget who built it.
func TestOverKeepsBuilders(t *testing.T) {
	t.Parallel()
	earlier := run(nil, record.Cell{ID: "x", Digest: "1", Builders: []string{"tcp://a:1"}}, record.Cell{ID: "y", Digest: "2", Builders: []string{"tcp://a:1"}})
	now := run(nil, record.Cell{ID: "x", Digest: "1", Cached: true}, record.Cell{ID: "y", Digest: "2"})
	result := now.Over(earlier)
	if diff := cmp.Diff([]string{"tcp://a:1"}, result.Cells[0].Builders); diff != "" || result.Cells[1].Builders != nil {
		t.Errorf("unchanged (-want +got):\n%s; built here: %v", diff, result.Cells[1].Builders)
	}
}

// TestForget: what only the cells that go were made from goes too.
func TestForget(t *testing.T) {
	t.Parallel()
	path, images := folder(t)
	amd64 := []verify.Report{{Platform: "linux/amd64"}}
	input := func(os, platform string) record.Input { return record.Input{OS: os, Platform: platform} }
	run := &record.Run{Version: 1, Inputs: []record.Input{
		input("debian11", "linux/amd64"), input("debian12", "linux/amd64"), input("debian12", "linux/arm64"), input("ubuntu22.04", "linux/arm64"),
	}, Cells: []record.Cell{
		{ID: "11.2-base-debian11", Images: amd64}, {ID: "11.8-base-debian12", Images: amd64}, {ID: "11.8-base-ubuntu22.04"},
	}}
	if err := run.Merge(t.Context(), path, images); err != nil {
		t.Fatal(err)
	}
	if err := record.Forget(t.Context(), path, images, []string{"11.2-base-debian11"}); err != nil {
		t.Fatal(err)
	}
	left, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]record.Input{input("debian12", "linux/amd64"), input("ubuntu22.04", "linux/arm64")}, left.Inputs); diff != "" || len(left.Cells) != 2 {
		t.Errorf("inputs (-want +got):\n%s\ncells %v", diff, left.Cells)
	}
}
