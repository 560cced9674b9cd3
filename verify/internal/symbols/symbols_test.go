// SPDX-License-Identifier: Apache-2.0

package symbols_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/symbols"
)

// table is one in words: "=f", "=f@V" (former) and "=f@@V" are definitions, the rest is asked for, "~f" lazily.
func table(words ...string) *symbols.Table {
	t := &symbols.Table{}
	for _, w := range words {
		definition, defined := strings.CutPrefix(w, "=")
		symbol, lazy := strings.CutPrefix(definition, "~")
		name, version, _ := strings.Cut(symbol, "@")
		if defined {
			t.Define([]byte(name), strings.TrimPrefix(version, "@"), version != "" && version[0] != '@')
		} else {
			t.Want([]byte(name), version, lazy)
		}
	}
	return t
}

func TestLacking(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		tables []*symbols.Table
		want   []symbols.Lack
	}{
		{"nothing", nil, nil},
		{"defined elsewhere, and by itself", []*symbols.Table{table("f", "g", "=g"), table("=f")}, nil},
		{"nowhere", []*symbols.Table{table("=f"), table("f", "~g@V", "h")}, []symbols.Lack{{File: 1, Name: "g", Version: "V", Lazy: true}, {File: 1, Name: "h"}}},
		{"a definition without a version answers to all", []*symbols.Table{table("f@V", "=f")}, nil},
		{"default version", []*symbols.Table{table("f", "f@V", "f@W", "=f@@V")}, []symbols.Lack{{Name: "f", Version: "W"}}},
		{"former version", []*symbols.Table{table("f", "f@V", "=f@V")}, []symbols.Lack{{Name: "f"}}},
		{"versions that promise", []*symbols.Table{table("f@GLIBC_2.2.5", "g@GLIBC_PRIVATE", "h@GLIBCXX_3.4")}, []symbols.Lack{{Name: "g", Version: "GLIBC_PRIVATE"}}},
		{"promised, and asked for without a version", []*symbols.Table{table("f", "=f@@GLIBC_2.2.5")}, nil},
		{"odd names are not judged", []*symbols.Table{table("", "a b", "\xff", "~\n")}, nil},
	} {
		if diff := cmp.Diff(tc.want, symbols.Lacking(tc.tables)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// FuzzRead asserts that what is read, and no more than the bytes account for, is written the same.
func FuzzRead(f *testing.F) {
	f.Add(symbols.Append(nil, []*symbols.Table{table("f", "=g@@V", "~h@W"), table()}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, rest, ok := symbols.Read(data)
		if !ok {
			return
		}
		size := 0
		for _, table := range tables {
			size += table.Weight() - (&symbols.Table{}).Weight()
		}
		if size > len(data) || len(symbols.Lacking(tables)) > len(data) {
			t.Fatalf("%d bytes of tables in %d bytes", size, len(data))
		}
		again, left, ok := symbols.Read(symbols.Append(nil, tables))
		if !ok || len(left) > 0 || !bytes.HasSuffix(data, rest) {
			t.Fatalf("written anew: ok %t, %d bytes left", ok, len(left))
		}
		if diff := cmp.Diff(symbols.Lacking(tables), symbols.Lacking(again)); diff != "" {
			t.Error(diff)
		}
	})
}
