// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// TestObserve: rows go to the cell of their image, whichever of its platforms; a later run
// keeps them while the image is the same, and what is of no cell is handed back.
func TestObserve(t *testing.T) {
	t.Parallel()
	path, images := folder(t)
	host := gpu.Host{Driver: "580.159.04"}
	if _, err := record.Observe(path, host, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Observe without a record = %v, want ErrNotExist", err)
	}
	cells := func(digest string) *record.Run {
		return &record.Run{Version: 1, Inputs: []record.Input{}, Cells: []record.Cell{
			{ID: "a", Digest: digest, Rows: []record.Row{}},
			{ID: "b", Digest: "index", Images: []verify.Report{{Digest: "amd64"}, {Digest: "arm64"}}, Rows: []record.Row{}},
		}}
	}
	merge := func(r *record.Run) {
		t.Helper()
		if err := r.Merge(t.Context(), path, images); err != nil {
			t.Fatal(err)
		}
	}
	rows := func() map[string][]string {
		t.Helper()
		r, err := record.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]string{}
		for _, c := range r.Cells {
			for _, row := range c.Rows {
				all[c.ID] = append(all[c.ID], row.Digest+" on "+row.Host.Driver)
			}
		}
		return all
	}
	merge(cells("one"))
	strange, err := record.Observe(path, host, []gpu.Row{{Digest: "one"}, {Digest: "arm64"}, {Digest: "other"}})
	if err != nil || len(strange) != 1 || strange[0].Digest != "other" {
		t.Errorf("Observe = %v, %v, want the row of another image", strange, err)
	}
	want := map[string][]string{"a": {"one on 580.159.04"}, "b": {"arm64 on 580.159.04"}}
	for _, digest := range []string{"one", "two", "one"} { // what was built since is another image
		merge(cells(digest))
		if digest == "two" {
			delete(want, "a")
		}
		if diff := cmp.Diff(want, rows()); diff != "" {
			t.Errorf("rows after a run that made %q (-want +got):\n%s", digest, diff)
		}
	}
}

// TestObserveAtOnce: programs that write at the same time lose no row, and a cell keeps
// the newest hundred of each test and way to share a GPU.
func TestObserveAtOnce(t *testing.T) {
	t.Parallel()
	path, images := folder(t)
	r := &record.Run{Version: 1, Inputs: []record.Input{}, Cells: []record.Cell{{ID: "a", Digest: "one"}, {ID: "b", Digest: "two"}}}
	if err := r.Merge(t.Context(), path, images); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := record.Observe(path, gpu.Host{}, repeat("one", 12)); err != nil {
				t.Error(err)
			}
			if _, err := record.Observe(path, gpu.Host{}, repeat("two", 3)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if _, err := record.Observe(path, gpu.Host{}, []gpu.Row{{Digest: "one", Test: "sha256:1"}, {Digest: "one", Sharing: &gpu.Sharing{By: gpu.ByMPS}}}); err != nil {
		t.Error(err)
	}
	if _, err := record.Observe(path, gpu.Host{}, repeat("one", 100)); err != nil {
		t.Error(err)
	}
	got, err := record.Read(path)
	if err != nil || len(got.Cells[0].Rows) != 102 || len(got.Cells[1].Rows) != 30 {
		t.Errorf("rows = %d and %d, %v, want 102 and 30", len(got.Cells[0].Rows), len(got.Cells[1].Rows), err)
	}
}

func repeat(digest string, n int) []gpu.Row {
	rows := make([]gpu.Row, n)
	for i := range rows {
		rows[i].Digest = digest
	}
	return rows
}
