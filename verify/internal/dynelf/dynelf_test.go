// SPDX-License-Identifier: Apache-2.0

package dynelf_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/symbols"
)

var unexported = cmp.AllowUnexported(symbols.Table{})

var wanted = map[string]bool{"cuInit": true, "other": true}

func TestRead(t *testing.T) {
	t.Parallel()
	defines := &symbols.Table{}
	for _, name := range []string{"cuInit", "x"} {
		defines.Define([]byte(name), "", false)
	}
	for _, sections := range []bool{false, true} {
		for _, last := range []bool{false, true} {
			for _, gnu := range []bool{false, true} {
				data := imagetest.ELF{
					Interp: "/lib64/ld.so", SOName: "libcuda.so.1", Needed: []string{"libc.so.6", "libm.so.6"}, Exports: []string{"cuInit", "x"},
					RunPath: "$ORIGIN/../lib", VersionNeeds: map[string][]string{"libc.so.6": {"GLIBC_2.4", "GLIBC_2.34"}, "libm.so.6": {"GLIBC_2.29"}},
					VersionDefs: []string{"CUDA_1", "CUDA_2"}, Imports: []string{"other"}, Exec: 5000, Sections: sections, TablesLast: last, GNUHash: gnu,
				}.Bytes()
				got, err := dynelf.Read(dynelf.Whole(data), wanted)
				want := dynelf.Info{
					Machine: 62, Class: 2, Data: 1, Interp: "/lib64/ld.so",
					SOName: "libcuda.so.1", Needed: []string{"libc.so.6", "libm.so.6"}, RunPath: "$ORIGIN/../lib",
					VersionNeeds: []dynelf.VersionNeed{{Lib: "libc.so.6", Versions: []string{"GLIBC_2.4", "GLIBC_2.34"}}, {Lib: "libm.so.6", Versions: []string{"GLIBC_2.29"}}},
					VersionDefs:  []string{"CUDA_1", "CUDA_2"}, Exports: 2, Found: map[string]bool{"cuInit": true}, ExecBytes: 5000, Symbols: defines,
				}
				if diff := cmp.Diff(want, got, unexported); err != nil || diff != "" {
					t.Errorf("sections %t, tables last %t, GNU hash %t: %v (-want +got):\n%s", sections, last, gnu, err, diff)
				}
			}
		}
	}
}

func TestSearchPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("/opt/a/long/directory:", 100)
	for name, tc := range map[string]struct {
		elf  imagetest.ELF
		want [2]string
	}{
		"none":           {imagetest.ELF{}, [2]string{}},
		"RPATH":          {imagetest.ELF{RPath: "/a:/b"}, [2]string{"/a:/b", ""}},
		"RUNPATH":        {imagetest.ELF{RunPath: long}, [2]string{"", long}},
		"RUNPATH counts": {imagetest.ELF{RPath: "/a", RunPath: "/b"}, [2]string{"", "/b"}},
	} {
		got, err := dynelf.Read(dynelf.Whole(tc.elf.Bytes()), nil)
		if err != nil || got.RPath != tc.want[0] || got.RunPath != tc.want[1] {
			t.Errorf("%s: RPATH %q, RUNPATH %q, %v, want %q", name, got.RPath, got.RunPath, err, tc.want)
		}
	}
}

// TestReadParts cuts the middle out of a file: what lies in the parts is found,
// what does not is an error.
func TestReadParts(t *testing.T) {
	t.Parallel()
	data := imagetest.ELF{SOName: "x", Exports: []string{"cuInit"}, Exec: 9000, TablesLast: true}.Bytes()
	size := uint64(len(data))
	held := func(n int) dynelf.File { return dynelf.File{Size: size, Parts: []dynelf.Part{{Data: data[:n]}}} }
	if lead, ok := dynelf.Lead(held(100)); !ok || lead != (dynelf.Range{Off: 64, N: 4 * 56}) {
		t.Errorf("Lead = %v, %t, want the program headers", lead, ok)
	}
	lead, ok := dynelf.Lead(held(300))
	if !ok || lead.Off+lead.N != size {
		t.Errorf("Lead = %v, %t, want the last bytes of %d", lead, ok, size)
	}
	if got := dynelf.Tables(held(300), size); len(got) != 1 || got[0] != lead {
		t.Errorf("Tables without a dynamic section = %v, want %v", got, lead)
	}
	parts := []dynelf.Part{{Data: data[:300]}, {Off: 9000, Data: data[9000:]}}
	if got, err := dynelf.Read(dynelf.File{Size: size, Parts: parts}, wanted); err != nil || !got.Found["cuInit"] {
		t.Errorf("with both parts: %+v, %v", got, err)
	}
	parts[1] = dynelf.Part{Off: lead.Off, Data: data[lead.Off:]}
	if _, err := dynelf.Read(dynelf.File{Size: size, Parts: parts}, wanted); !errors.Is(err, dynelf.ErrNotHeld) {
		t.Errorf("without the tables: %v, want ErrNotHeld", err)
	}
}

// TestTables holds that of a file with its tables in the middle the headers, the
// dynamic section and what Tables asks for are enough, and less is an error.
func TestTables(t *testing.T) {
	t.Parallel()
	data := append(imagetest.ELF{
		Interp: "/lib64/ld.so", SOName: "x", Exports: []string{"cuInit"}, Exec: 9000, TablesLast: true,
		VersionNeeds: map[string][]string{"libc.so.6": {"GLIBC_2.4"}}, VersionDefs: []string{"X_1"},
	}.Bytes(), make([]byte, 9000)...)
	size := uint64(len(data))
	known := []dynelf.Part{{Data: data[:300]}}
	lead, _ := dynelf.Lead(dynelf.File{Size: size, Parts: known})
	known = append(known, dynelf.Part{Off: lead.Off, Data: data[lead.Off : lead.Off+lead.N]})
	want, err := dynelf.Read(dynelf.Whole(data), wanted)
	if err != nil {
		t.Fatal(err)
	}
	whole := dynelf.Tables(dynelf.File{Size: size, Parts: known}, size)
	held := func(ranges []dynelf.Range) dynelf.File {
		f := dynelf.File{Size: size, Parts: slices.Clone(known)}
		for _, r := range ranges {
			f.Parts = append(f.Parts, dynelf.Part{Off: r.Off, Data: data[r.Off : r.Off+r.N]})
		}
		return f
	}
	got, err := dynelf.Read(held(whole), wanted)
	if diff := cmp.Diff(want, got, unexported); err != nil || diff != "" {
		t.Errorf("with %v: %v (-want +got):\n%s", whole, err, diff)
	}
	missed := 0
	for i, r := range whole {
		for at := r.Off; at < r.Off+r.N; at++ {
			without := append(slices.Delete(slices.Clone(whole), i, i+1), dynelf.Range{Off: r.Off, N: at - r.Off}, dynelf.Range{Off: at + 1, N: r.Off + r.N - at - 1})
			got, err := dynelf.Read(held(without), wanted)
			if diff := cmp.Diff(want, got, unexported); err == nil && diff != "" || err != nil && !errors.Is(err, dynelf.ErrNotHeld) {
				t.Errorf("without byte %d: %v (-want +got):\n%s", at, err, diff)
			}
			if err != nil {
				missed++
			}
		}
	}
	if missed < 150 {
		t.Errorf("%d bytes were missed, want those of all tables", missed)
	}
	for _, budget := range []uint64{0, 1, 50, 200} {
		sum := uint64(0)
		for _, r := range dynelf.Tables(held(nil), budget) {
			sum += r.N
		}
		if sum != budget {
			t.Errorf("Tables asks for %d bytes, want the budget of %d", sum, budget)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	good := imagetest.ELF{SOName: "x", Exports: []string{"cuInit"}}.Bytes()
	change := func(at int, b byte) []byte {
		data := append([]byte(nil), good...)
		data[at] = b
		return data
	}
	for name, tc := range map[string]struct {
		data []byte
		want error
	}{
		"empty":                    {nil, dynelf.ErrNotDynamic},
		"text":                     {make([]byte, 100), dynelf.ErrNotDynamic},
		"object file":              {change(16, 1), dynelf.ErrNotDynamic},
		"tiny program headers":     {change(54, 1), dynelf.ErrMalformed},
		"program headers past end": {change(33, 255), dynelf.ErrMalformed},
		"no dynamic section":       {change(64+2*56, 9), dynelf.ErrNotDynamic},
		"debug file":               {change(64+2*56+17, 255), dynelf.ErrNotDynamic},
	} {
		if _, err := dynelf.Read(dynelf.Whole(tc.data), wanted); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// TestReadBelievesNoSize changes what the dynamic linker does not look at: the library
// is the same to it.
func TestReadBelievesNoSize(t *testing.T) {
	t.Parallel()
	good := imagetest.ELF{SOName: "x", Exports: []string{"other", "cuInit"}}.Bytes()
	dynamic := 64 + 2*56
	for name, change := range map[string]func([]byte){
		"size of the dynamic section":    func(b []byte) { binary.LittleEndian.PutUint64(b[dynamic+32:], 16) },
		"no size of the dynamic section": func(b []byte) { binary.LittleEndian.PutUint64(b[dynamic+32:], 0) },
		"size of the string table":       func(b []byte) { binary.LittleEndian.PutUint64(entry(b, 10)[8:], 1) },
		"no size of the string table":    func(b []byte) { binary.LittleEndian.PutUint64(entry(b, 10), 0x6ffffeff) },
		"length of the hash chains": func(b []byte) {
			table := binary.LittleEndian.Uint64(entry(b, 4)[8:]) - 0x10000
			binary.LittleEndian.PutUint32(b[table+4:], 1)
		},
	} {
		data := slices.Clone(good)
		change(data)
		got, err := dynelf.Read(dynelf.Whole(data), wanted)
		if err != nil || !got.Found["cuInit"] || !got.Found["other"] || got.SOName != "x" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestReadOverlap: a segment over another would show the dynamic linker other tables.
func TestReadOverlap(t *testing.T) {
	t.Parallel()
	data := imagetest.ELF{SOName: "x", Exports: []string{"cuInit"}, Exec: 5000}.Bytes()
	first, second := data[64:120], data[120:176]
	copy(second[16:24], first[16:24]) // the address
	if _, err := dynelf.Read(dynelf.Whole(data), wanted); !errors.Is(err, dynelf.ErrMalformed) {
		t.Errorf("Read = %v, want ErrMalformed", err)
	}
}

// entry is the entry of that tag in the dynamic section.
func entry(b []byte, tag uint64) []byte {
	for at := binary.LittleEndian.Uint64(b[64+2*56+8:]); ; at += 16 {
		if binary.LittleEndian.Uint64(b[at:]) == tag {
			return b[at:]
		}
	}
}

// FuzzELF asserts: a value or one of the three errors, and nothing larger than the
// file accounts for.
func FuzzELF(f *testing.F) {
	for _, gnu := range []bool{false, true} {
		f.Add(imagetest.ELF{SOName: "a", Needed: []string{"b"}, Exports: []string{"cuInit"}, Exec: 64, GNUHash: gnu}.Bytes(), uint16(200))
		f.Add(imagetest.ELF{
			Interp: "/i", SOName: "a", RPath: "/r", VersionNeeds: map[string][]string{"b": {"V1", "V2"}, "c": {"V3"}}, VersionDefs: []string{"D1"}, GNUHash: gnu,
		}.Bytes(), uint16(300))
		f.Add(imagetest.ELF{
			Interp: "/i", SOName: "a", Needed: []string{"b"}, Exports: []string{"cuInit"}, Exec: 400, TablesLast: true, GNUHash: gnu,
			VersionNeeds: map[string][]string{"b": {"V1"}}, VersionDefs: []string{"D1"},
		}.Bytes(), uint16(300))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		whole := dynelf.Whole(data)
		held := min(int(cut), len(data))
		parts := dynelf.File{Size: uint64(len(data)), Parts: []dynelf.Part{{Data: data[:held]}}}
		for _, file := range []dynelf.File{whole, parts} {
			info, err := dynelf.Read(file, wanted)
			switch {
			case err == nil:
				versions := len(info.VersionDefs)
				for _, n := range info.VersionNeeds {
					versions += 1 + len(n.Versions)
				}
				if versions > 2*4096 || len(info.RPath)+len(info.RunPath)+len(info.Interp) > 2*len(data) {
					t.Errorf("Read of %d bytes has %d versions, paths %q, %q, %q", len(data), versions, info.RPath, info.RunPath, info.Interp)
				}
				if info.Exports > len(data)/16 || len(info.SOName) > dynelf.MaxNameLen || len(info.Needed) > len(data)/8 {
					t.Errorf("Read of %d bytes = %+v", len(data), info)
				}
			case !errors.Is(err, dynelf.ErrNotDynamic) && !errors.Is(err, dynelf.ErrMalformed) && !errors.Is(err, dynelf.ErrNotHeld):
				t.Errorf("Read: %v is none of the documented errors", err)
			case info.Found != nil:
				t.Errorf("Read = %+v and %v", info, err)
			}
		}
		for range 2 {
			if lead, ok := dynelf.Lead(parts); ok {
				parts.Parts = append(parts.Parts, dynelf.Part{Off: lead.Off, Data: data[lead.Off : lead.Off+lead.N]})
			}
		}
		checkParts(t, data, parts)
	})
}

// checkParts asserts that a file of which parts are held, and one of which also what
// Tables asks for is held, says what the whole file says, or is an error.
func checkParts(t *testing.T, data []byte, file dynelf.File) {
	want, wantErr := dynelf.Read(dynelf.Whole(data), wanted)
	const budget = 1000
	for _, tables := range [][]dynelf.Range{nil, dynelf.Tables(file, budget)} {
		var end, sum uint64
		for _, r := range tables {
			sum += r.N
			if r.Off < end || r.Off+r.N < r.Off || r.Off+r.N > file.Size || sum > budget {
				t.Fatalf("Tables asks for %v of %d bytes", tables, file.Size)
			}
			end = r.Off + r.N
			file.Parts = append(file.Parts, dynelf.Part{Off: r.Off, Data: data[r.Off:end]})
		}
		got, err := dynelf.Read(file, wanted)
		if diff := cmp.Diff(want, got, unexported); err == nil && (wantErr != nil || diff != "") {
			t.Errorf("with %v held: %v (-whole +parts):\n%s", tables, wantErr, diff)
		}
	}
}
