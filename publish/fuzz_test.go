// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/publish"
)

const fuzzedPlan = `{"version":1,"to":"ghcr.io/acme/cuda","run":"4711.1","compression":"zstd","cells":[{"id":"12.4-base-debian13","digest":"sha256:a",` +
	`"staging":"staging-4711.1-12.4-base-debian13","uploads":[{"digest":"sha256:b","size":3,"how":"mount","from":"ghcr.io/acme/old"}],` +
	`"tags":[{"name":"latest","from":null,"to":"sha256:a","move":"new","why":""}],"gates":[{"kind":"verify","want":"warn","state":"met","why":"pass"}]}],"totals":{"cells":1}}`

// FuzzPlan holds that what is read as a plan can be compared, is itself, and stages under
// names of its run alone.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(fuzzedPlan))
	f.Add([]byte(`{"version":1,"to":"b","run":"a","cells":[{"id":"x","staging":"latest"}]}`))
	f.Add([]byte(`{"version":1,"to":"b","run":"a","cells":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := publish.ParsePlan(data)
		if (plan == nil) != (err != nil) {
			t.Fatalf("ParsePlan = %v, %v", plan, err)
		}
		if err != nil {
			return
		}
		checkPlan(t, plan)
		if err := plan.Compare(plan); err != nil {
			t.Errorf("Compare with itself: %v", err)
		}
		if again, err := publish.ParsePlan(encode(t, plan)); err != nil || cmp.Diff(plan, again) != "" {
			t.Errorf("printed and read again (-before +after), %v:\n%s", err, cmp.Diff(plan, again))
		}
	})
}

func checkPlan(t *testing.T, plan *publish.Plan) {
	t.Helper()
	if publish.CheckRunID(plan.Run) != nil || plan.To == "" {
		t.Errorf("run %q to %q", plan.Run, plan.To)
	}
	for _, c := range plan.Cells {
		if !strings.HasPrefix(c.Staging, "staging-"+plan.Run+"-") {
			t.Errorf("run %s stages %s under %q", plan.Run, c.ID, c.Staging)
		}
	}
}

func encode(t *testing.T, document any) []byte {
	t.Helper()
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzJournal holds that what is read as a journal is one of a plan, wherever its last line
// was cut off, and is itself.
func FuzzJournal(f *testing.F) {
	lines := []string{
		`{"at":"2026-11-29T20:00:00Z","what":"plan","plan":` + fuzzedPlan + `}`,
		`{"at":"2026-11-29T20:00:01.5Z","what":"moving","cell":"12.4-base-debian13","digest":"sha256:a","tag":"latest","from":"sha256:c"}`,
		`{"at":"2026-11-29T20:00:02+14:00","what":"done"}`,
	}
	for n := range lines {
		f.Add([]byte(strings.Join(lines[:n+1], "\n")+"\n"), uint(n))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint) {
		j, err := publish.ParseJournal("4711.1", bytes.NewReader(data))
		if (len(j.Entries) == 0) != (err != nil) {
			t.Fatalf("ParseJournal = %v, %v", j, err)
		}
		if err != nil {
			return
		}
		checkPlan(t, j.Plan())
		_ = j.Ended()
		var printed []byte
		for _, e := range j.Entries {
			e.At = time.Time{} // time reads zones that it does not print
			printed = append(append(printed, encode(t, e)...), '\n')
		}
		again, err := publish.ParseJournal(j.Run, bytes.NewReader(printed))
		if err != nil || !slices.Equal(kinds(j), kinds(again)) || cmp.Diff(j.Plan(), again.Plan()) != "" {
			t.Errorf("printed and read again: %v, %v, want %v", err, kinds(again), kinds(j))
		}
		end := bytes.LastIndexByte(printed[:len(printed)-1], '\n') + 1 // of the line before the last
		torn, err := publish.ParseJournal(j.Run, bytes.NewReader(printed[:end+int(cut%uint(len(printed)-end))]))
		if len(j.Entries) > 1 && (err != nil || len(torn.Entries) != len(j.Entries)-1) {
			t.Errorf("cut off in its last line: %v, %d lines of %d", err, len(torn.Entries), len(j.Entries))
		}
	})
}

// kinds are what the lines of a journal tell.
func kinds(j publish.Journal) (all []string) {
	for _, e := range j.Entries {
		all = append(all, e.What+" "+e.Cell+" "+e.Tag+" "+e.Digest)
	}
	return all
}
