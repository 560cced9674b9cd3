// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
)

// folder returns where a record goes, and the empty images that it is of.
func folder(t *testing.T) (path string, images *image.Store) {
	t.Helper()
	dir := t.TempDir()
	images, err := image.OpenStore(filepath.Join(dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = images.Close() })
	return filepath.Join(dir, "run.json"), images
}

// TestMerge: a run of some cells leaves the record of the others alone, and the
// totals are those of all.
func TestMerge(t *testing.T) {
	t.Parallel()
	path, images := folder(t)
	cell := func(id string, status record.Status) record.Cell { return record.Cell{ID: id, Status: status} }
	for _, cells := range [][]record.Cell{
		{cell("a", record.Passed), cell("b", record.Failed)},
		{cell("b", record.Passed)},
		{{ID: "c", Status: record.Cancelled, Reason: "not <started>: the run & all ended first"}},
	} {
		r := &record.Run{Version: 1, Inputs: []record.Input{}, Cells: cells}
		if err := r.Merge(t.Context(), path, images); err != nil {
			t.Fatal(err)
		}
	}
	got, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, c := range got.Cells {
		states = append(states, c.ID+" "+string(c.Status)+" "+c.Reason)
	}
	want := []string{"a passed ", "b passed ", "c cancelled not <started>: the run & all ended first"}
	if !slices.Equal(states, want) || got.Totals.Passed != 2 || got.Totals.Cancelled != 1 {
		t.Errorf("cells = %q, totals %+v, want %q", states, got.Totals, want)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "not <started>: the run & all ended first") {
		t.Errorf("run.json is not for people to read: %s, %v", text, err)
	}
}
