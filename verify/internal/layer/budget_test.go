// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	r := room(200)
	if !r.spend(100) || r.keep(50) || r.over() || !r.keep(30) || r != 6 {
		t.Errorf("%d are left", r)
	}
	if r.spend(7) || !r.over() || r.spend(1) || r.keep(0) {
		t.Errorf("after too much %d are left", r)
	}
}

// TestArchivesShareABudget: what one archive in a layer takes, the others lack.
func TestArchivesShareABudget(t *testing.T) {
	t.Parallel()
	six := map[string]imagetest.Entry{}
	for _, name := range strings.Split("abcdef", "") {
		six[name] = imagetest.Entry{Data: name}
	}
	inner := imagetest.File(imagetest.Files(six))
	for count, whole := range map[int]bool{1: true, 2: false} {
		outer := map[string]imagetest.Entry{}
		for i := range count {
			outer[string(rune('x'+i))+".tar"] = inner
		}
		f, err := Walk(bytes.NewReader(imagetest.Files(outer)), Options{MaxEntries: 10, Nested: true}, 0, "")
		if err != nil || f.Complete() != whole {
			t.Errorf("%d archives: %v, complete %t: %v", count, err, f.Complete(), f.Hits)
		}
	}
}

// TestArchivesEndNoLayer: an archive with too many entries does not hide what is behind it, nor
// does it pass.
func TestArchivesEndNoLayer(t *testing.T) {
	t.Parallel()
	many := map[string]imagetest.Entry{}
	for i := range 11 {
		many[string(rune('a'+i))] = imagetest.Entry{Data: "x"}
	}
	f, err := Walk(bytes.NewReader(imagetest.Files(map[string]imagetest.Entry{
		"a/x.tar": imagetest.File(imagetest.Files(many)), "usr/lib/libcuda.so.550.54.14": imagetest.File(imagetest.ELF{SOName: "libcuda.so.1", Exec: 300 << 10}.Bytes()),
	})), Options{MaxEntries: 10}, 0, "")
	found := slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Rule == rules.DriverLibrary })
	if err != nil || !found || f.Complete() {
		t.Errorf("%v, the driver found %t, complete %t: %v", err, found, f.Complete(), f.Hits)
	}
}
