// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// bigELF is a file of 49 MiB of which the tables stand in front of the dynamic section
// and neither in the first nor in the last part. Their segment goes on to its end.
func bigELF(elf imagetest.ELF) []byte {
	elf.Exec, elf.TablesLast = 40<<20, true
	data := append(elf.Bytes(), make([]byte, 9<<20)...)
	segment := data[64:]
	size := uint64(len(data)) - binary.LittleEndian.Uint64(segment[8:])
	binary.LittleEndian.PutUint64(segment[32:], size)
	binary.LittleEndian.PutUint64(segment[40:], size)
	return data
}

// scattered is a file of 49 MiB that begins with its tables; its dynamic section stands in
// the middle, and its program headers behind that, where BOLT puts them.
func scattered(elf imagetest.ELF) []byte {
	const dynamicAt, headersAt, address = 41 << 20, 42 << 20, 1 << 41
	data := append(elf.Bytes(), make([]byte, 49<<20)...)
	le, headers := binary.LittleEndian, data[64:64+4*56]
	dynamic := headers[2*56 : 3*56]
	off, n := le.Uint64(dynamic[8:]), le.Uint64(dynamic[32:])
	copy(data[dynamicAt:], data[off:off+n])
	clear(data[off : off+n])
	le.PutUint64(dynamic[8:], dynamicAt)
	le.PutUint64(dynamic[16:], address)
	segment := headers[3*56:]
	copy(segment, dynamic)
	segment[0] = 1 // PT_LOAD
	copy(data[headersAt:], headers)
	clear(headers)
	le.PutUint64(data[32:], headersAt)
	return data
}

var bigCUDA = imagetest.ELF{SOName: "libx.so", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"}}

// between is a file of 51 MiB whose tables stand in its middle, in a segment that is neither
// written to nor the last: no tool puts them there.
func between(elf imagetest.ELF) []byte {
	data := append(bigELF(elf), make([]byte, 2<<20)...)
	le, last := binary.LittleEndian, data[64+3*56:]
	le.PutUint32(last, 1) // PT_LOAD
	le.PutUint32(last[4:], 4)
	le.PutUint64(last[8:], 50<<20)
	le.PutUint64(last[16:], 1<<41)
	le.PutUint64(last[32:], 1<<20)
	le.PutUint64(last[40:], 1<<20)
	return data
}

// counted counts how often a layer is read.
func counted(b *imagetest.Blob) *atomic.Int32 {
	var opened atomic.Int32
	b.Opened = func() { opened.Add(1) }
	return &opened
}

func TestTablesInTheMiddle(t *testing.T) {
	t.Parallel()
	driver := imagetest.File(bigELF(bigCUDA))
	gnu := bigCUDA
	gnu.GNUHash, gnu.VersionNeeds, gnu.Needed = true, map[string][]string{"libc.so.6": {"GLIBC_2.4"}}, []string{"libc.so.6"}
	other := imagetest.File(bigELF(imagetest.ELF{SOName: "libother.so", Exports: []string{"f"}}))
	claim := bigELF(bigCUDA)
	hash := bytes.Index(claim[40<<20:], []byte{1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0}) + 40<<20
	binary.LittleEndian.PutUint32(claim[hash:], 1<<28) // buckets
	const library = "usr/lib/libcuda.so.550.54.15"
	type files = map[string]imagetest.Entry
	for _, tc := range []struct {
		name   string
		files  files
		nested bool
		want   []brief
		by     string // how the first finding was told
	}{
		{"plain", files{library: driver}, false, []brief{{"driver-library", library, 0, -1}}, "file name, exports"},
		{"renamed", files{"a.so": other, "opt/helper.bin": driver, "opt/x": {Data: "x"}}, false, []brief{{"driver-library", "opt/helper.bin", 0, -1}}, "by exports"},
		{"GNU hash", files{"opt/helper.bin": imagetest.File(bigELF(gnu))}, false, []brief{{"driver-library", "opt/helper.bin", 0, -1}}, "by exports"},
		{"headers behind all", files{"opt/libcuda.so.1": imagetest.File(scattered(bigCUDA))}, false, []brief{{"stub-misplaced", "opt/libcuda.so.1", 0, -1}}, "file name, exports"},
		{"in an archive", files{"a.so": other, "x.tar": imagetest.File(imagetest.Files(files{"b.so": driver})), "y": imagetest.File(realLibrary("y.so"))}, true, []brief{{"driver-library", "x.tar!/b.so", 0, -1}}, "by exports"},
		{"tables of 1 GiB", files{"a.so": imagetest.File(claim), "b.so": driver}, false, []brief{{"unreadable", "a.so", 0, -1}, {"driver-library", "b.so", 0, -1}}, "hash table: table lies outside"},
		{"tables where none are", files{library: imagetest.File(between(bigCUDA))}, false, []brief{{"driver-library", library, 0, -1}, {"unreadable", library, 0, -1}}, "file name"},
		{"tables in front", files{library: imagetest.File(append(bigCUDA.Bytes(), make([]byte, 49<<20)...))}, false, []brief{{"stub-misplaced", library, 0, -1}}, "exports"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := imagetest.Layer(imagetest.Plain, imagetest.Files(tc.files))
			opened, dir := counted(b), t.TempDir()
			report, err := verify.New(verify.Options{Nested: tc.nested, TrustDigests: true, TempDir: dir}).Image(t.Context(), "x", imagetest.New(b))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, briefly(report.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, report.Findings)
			}
			if len(report.Findings) > 0 && !strings.Contains(report.Findings[0].Detail, tc.by) {
				t.Errorf("told by %q, want %q", report.Findings[0].Detail, tc.by)
			}
			if n, read := opened.Load(), report.Stats.BytesRead; n != 1 || read != int64(len(b.Data)) {
				t.Errorf("opened %d times, %d bytes read of %d, want once", n, read, len(b.Data))
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
				t.Errorf("the folder of what is held has %v, %v", names, err)
			}
		})
	}
}

// TestNoRoomForTables: where the middle of a file can't be held, what is in it stays unknown.
func TestNoRoomForTables(t *testing.T) {
	t.Parallel()
	b := imagetest.Layer(imagetest.Plain, imagetest.Files(entries{"a.so": imagetest.File(bigELF(bigCUDA))}))
	missing := filepath.Join(t.TempDir(), "missing")
	report, err := verify.New(verify.Options{TempDir: missing}).Image(t.Context(), "x", imagetest.New(b))
	if err != nil || report.Verdict != verify.Unknown || !strings.Contains(report.Findings[0].Detail, missing) {
		t.Errorf("Image = %+v, %v, want unknown for the folder", report.Findings, err)
	}
}
