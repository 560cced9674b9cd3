// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet/observe"
)

// seen is a row that has everything.
func seen() observe.Seen {
	return observe.Seen{
		Version: 1, Args: []string{"deviceQuery", "<&>\u2028\x00"}, Started: time.Unix(1_796_000_000, 5).UTC(), Seconds: 1.5,
		ExitCode: 1, TimedOut: true, Problem: "none",
		Stdout:        observe.Output{Bytes: 1 << 30, Head: bytes.Repeat([]byte{0xff}, observe.MaxOutput/2), Tail: bytes.Repeat([]byte{0}, observe.MaxOutput/2)},
		Stderr:        observe.Output{Bytes: 3, Head: []byte("\r\n{"), Tail: []byte{}},
		LoadedLibcuda: "/usr/lib/libcuda.so.1", PTXJIT: true, DeviceNodes: []string{"/dev/nvidia0"}, Driver: "580.159.04",
		GPUs: []observe.GPU{{UUID: "GPU-1", Name: "NVIDIA H100", BusID: "0000:00:06.0"}}, VisibleDevices: "void",
	}
}

// written is what Write prints and what it leaves in the termination message.
func written(t testing.TB, s observe.Seen) (log, termination []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(file, []byte("longer than the message that will be there, which has a length and a checksum of 64 digits"), 0o666); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Write(&out, file); err != nil {
		t.Fatal(err)
	}
	termination, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), termination
}

func TestRead(t *testing.T) {
	t.Parallel()
	row, termination := written(t, seen())
	if len(row) > observe.MaxRow || bytes.Count(row, []byte("\n")) != 1 || len(termination) > 200 {
		t.Fatalf("a row of %d bytes in %d lines, a message of %d", len(row), bytes.Count(row, []byte("\n")), len(termination))
	}
	other := seen()
	other.ExitCode = 7
	another, _ := written(t, other)
	line := bytes.TrimSuffix(row, []byte("\n"))
	half := len(line) / 2
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name             string
		log, termination []byte
		err              error
	}{
		{"as it was written", row, termination, nil},
		{"without the end of the line", line, termination, nil},
		{"with another end", join(line, []byte("\r\n")), termination, nil},
		{"lines before and after", join([]byte("hello\r\n\n{\"version\":1}\n"), row, []byte("bye\n\n")), termination, nil},
		{"twice", join(row, row), termination, nil},
		{"twice in one line", join(line, line), termination, nil},
		{"read again from the start", join(row[:half], row), termination, nil},
		{"after a line without an end", join([]byte("hello "), row), termination, nil},
		{"broken into lines", join(line[:half], []byte("\r\n"), line[half:]), termination, nil},
		{"another row after it", join(row, another), termination, nil},
		{"no message", join([]byte("hello\n"), row, []byte("bye\n")), nil, nil},
		{"a message of somebody else", row, []byte("panic: {"), nil},
		{"another message", row, []byte(`{"bytes":3,"sha256":"abc"}`), nil},
		{"cut", row[:half], termination, observe.ErrCut},
		{"cut at the beginning", row[half:], termination, observe.ErrCut},
		{"one byte changed", join(row[:half], []byte{row[half] ^ 1}, row[half+1:]), termination, observe.ErrCut},
		{"a part is missing", join(row[:half], row[half+4:]), termination, observe.ErrCut},
		{"another row", another, termination, observe.ErrCut},
		{"nothing but the message", nil, termination, observe.ErrCut},
		{"nothing", nil, nil, observe.ErrNoRow},
		{"only others", []byte("hello\n{}\n[]\n1\nnull\n{\"version\":0}\n"), nil, observe.ErrNoRow},
		{"no message, cut", row[:half], nil, observe.ErrNoRow},
		{"no message, a part is missing", join(row[:half], row[half+4:]), nil, observe.ErrNoRow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := observe.Read(tc.log, tc.termination)
			if !errors.Is(err, tc.err) {
				t.Fatalf("Read: %v, want %v", err, tc.err)
			}
			want := seen()
			if err != nil {
				want = observe.Seen{}
			}
			want.Args = got.Args // JSON has no invalid text
			if !reflect.DeepEqual(want, got) {
				t.Errorf("Read (-want +got):\n%s", cmp.Diff(want, got))
			}
		})
	}
}

func TestReadNewer(t *testing.T) {
	t.Parallel()
	newer := seen()
	newer.Version = 2
	row, termination := written(t, newer)
	for _, message := range [][]byte{termination, nil} {
		if _, err := observe.Read(row, message); err == nil || !strings.Contains(err.Error(), "version 2") || errors.Is(err, observe.ErrCut) {
			t.Errorf("Read: %v, want one that names the version", err)
		}
	}
}

func TestWriteOutsideAPod(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "termination-log")
	if err := seen().Write(&out, file); err != nil || out.Len() == 0 {
		t.Errorf("Write: %v, %d bytes", err, out.Len())
	}
	if _, err := os.Stat(file); err == nil {
		t.Errorf("Write has made %s, which only a kubelet does", file)
	}
}

// FuzzRow: whatever stands around a row, it is found, and what has not the checksum of the
// message is no row.
func FuzzRow(f *testing.F) {
	small := seen()
	small.Stdout = observe.Output{Bytes: 2, Head: []byte("ok")}
	row, termination := written(f, small)
	want, err := observe.Read(row, termination)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("hello\r\n"), []byte("bye\n"), termination)
	f.Add(row[:40], []byte{}, []byte(`{"bytes":-1,"sha256":""}`))
	f.Add(row, row, []byte("null"))
	f.Add([]byte(`{"version":1,"stdout":{"bytes":-9,"head":null}}`), []byte("\r"), []byte(`{"bytes":1,"sha256":"`+strings.Repeat("0", 64)+`"}`))
	f.Fuzz(func(t *testing.T, before, after, message []byte) {
		if got, err := observe.Read(bytes.Join([][]byte{before, row, after}, nil), termination); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("the row is not found: %v", err)
		}
		got, err := observe.Read(append(bytes.Clone(before), after...), message)
		if err != nil {
			if got.Version != 0 {
				t.Errorf("an error, %v, and a row", err)
			}
			return
		}
		if got.Version != observe.Version || int64(len(got.Stdout.Head)+len(got.Stdout.Tail)) > got.Stdout.Bytes {
			t.Errorf("no row: %+v", got)
		}
	})
}
