// SPDX-License-Identifier: Apache-2.0

package dynelf_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

var wanted = map[string]bool{"cuInit": true, "other": true}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, sections := range []bool{false, true} {
		for _, last := range []bool{false, true} {
			for _, gnu := range []bool{false, true} {
				data := imagetest.ELF{
					SOName: "libcuda.so.1", Needed: []string{"libc.so.6", "libm.so.6"}, Exports: []string{"cuInit", "x"},
					Imports: []string{"other"}, Exec: 5000, Sections: sections, TablesLast: last, GNUHash: gnu,
				}.Bytes()
				got, err := dynelf.Read(dynelf.Whole(data), wanted)
				want := dynelf.Info{
					Machine: 62, SOName: "libcuda.so.1", Needed: []string{"libc.so.6", "libm.so.6"},
					Exports: 2, Found: map[string]bool{"cuInit": true}, ExecBytes: 5000,
				}
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("sections %t, tables last %t, GNU hash %t: %v (-want +got):\n%s", sections, last, gnu, err, diff)
				}
			}
		}
	}
}

// TestReadParts cuts the middle out of a file: what lies in the parts is found,
// what does not is an error.
func TestReadParts(t *testing.T) {
	t.Parallel()
	data := imagetest.ELF{SOName: "x", Exports: []string{"cuInit"}, Exec: 9000, TablesLast: true}.Bytes()
	size := uint64(len(data))
	off, n, ok := dynelf.DynamicRange(data[:300], size)
	if !ok || off+n != size {
		t.Errorf("DynamicRange = %d, %d, %t, want the last bytes of %d", off, n, ok, size)
	}
	parts := []dynelf.Part{{Data: data[:300]}, {Off: 9000, Data: data[9000:]}}
	if got, err := dynelf.Read(dynelf.File{Size: size, Parts: parts}, wanted); err != nil || !got.Found["cuInit"] {
		t.Errorf("with both parts: %+v, %v", got, err)
	}
	parts[1] = dynelf.Part{Off: off, Data: data[off:]}
	if _, err := dynelf.Read(dynelf.File{Size: size, Parts: parts}, wanted); !errors.Is(err, dynelf.ErrNotHeld) {
		t.Errorf("without the tables: %v, want ErrNotHeld", err)
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

// FuzzELF asserts: a value or one of the three errors, and nothing larger than the
// file accounts for.
func FuzzELF(f *testing.F) {
	for _, gnu := range []bool{false, true} {
		f.Add(imagetest.ELF{SOName: "a", Needed: []string{"b"}, Exports: []string{"cuInit"}, Exec: 64, GNUHash: gnu}.Bytes(), uint16(200))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		whole := dynelf.Whole(data)
		held := min(int(cut), len(data))
		parts := dynelf.File{Size: uint64(len(data)), Parts: []dynelf.Part{{Data: data[:held]}}}
		for _, file := range []dynelf.File{whole, parts} {
			info, err := dynelf.Read(file, wanted)
			switch {
			case err == nil:
				if info.Exports > len(data)/16 || len(info.SOName) > dynelf.MaxNameLen || len(info.Needed) > len(data)/8 {
					t.Errorf("Read of %d bytes = %+v", len(data), info)
				}
			case !errors.Is(err, dynelf.ErrNotDynamic) && !errors.Is(err, dynelf.ErrMalformed) && !errors.Is(err, dynelf.ErrNotHeld):
				t.Errorf("Read: %v is none of the documented errors", err)
			case info.Found != nil:
				t.Errorf("Read = %+v and %v", info, err)
			}
			if off, n, ok := dynelf.DynamicRange(data[:held], uint64(len(data))); ok && off+n > uint64(len(data)) {
				t.Errorf("DynamicRange = %d, %d of %d bytes", off, n, len(data))
			}
		}
	})
}
