// SPDX-License-Identifier: Apache-2.0

package recall

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

func TestStubsAreCollected(t *testing.T) {
	t.Parallel()
	c := newCollector()
	archive := imagetest.Files(files{"usr/lib/stubs/liba.so": {Data: "a"}, "usr/lib/stubs/README": {Data: "b"}, "usr/lib/liba.so": {Data: "c"}})
	if _, err := c.Write(archive); err != nil {
		t.Fatal(err)
	}
	if found := c.close(); len(found) != 1 || found["usr/lib/stubs/liba.so"].Data != "a" {
		t.Errorf("found %v, want the one stub", found)
	}
}

// TestHarmless also has what is no stub of the driver and lies in no folder of stubs, to
// see that a case that passes is told.
func TestHarmless(t *testing.T) {
	t.Parallel()
	const at = "usr/lib/x86_64-linux-gnu/"
	cuda := imagetest.ELF{SOName: "libcuda.so.1", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable"}, Exec: 200}
	cublas := imagetest.File(imagetest.ELF{SOName: "libcublas.so.12", Exec: 100}.Bytes())
	if passed := harmless(t.Context(), files{at + "stubs/libcuda.so": imagetest.File(cuda.Bytes()), at + "stubs/libcublas.so": cublas}); len(passed) > 0 {
		t.Errorf("stubs: passed %q, want none", passed)
	}
	if passed := harmless(t.Context(), files{at + "libcublas.so": cublas}); len(passed) != 1 || !strings.Contains(passed[0], "libcublas") {
		t.Errorf("no stub: passed %q, want it named", passed)
	}
	if passed := harmless(t.Context(), files{}); len(passed) != 1 {
		t.Errorf("nothing: passed %q, want that said", passed)
	}
}
