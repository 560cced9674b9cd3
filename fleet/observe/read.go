// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Errors of Read.
var (
	// ErrNoRow says that neither log nor termination message tell of a row: the container has not
	// ended, or was killed.
	ErrNoRow = errors.New("the log has no row")
	// ErrCut says that a row was written and that the log has only a part of it, or has it damaged.
	ErrCut = errors.New("the row in the log is cut or damaged")
)

// sum is the termination message: length and checksum of the row, without the end of its line.
type sum struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func sumOf(line []byte) sum {
	digest := sha256.Sum256(line)
	return sum{Bytes: len(line), SHA256: hex.EncodeToString(digest[:])}
}

// MaxRow is more than a row has, in bytes.
const MaxRow = 1 << 20

// Write prints the row as one line and then leaves its length and checksum in the file
// terminationLog, if that is there: the kubelet makes it. The error is that of the line.
func (s Seen) Write(stdout io.Writer, terminationLog string) error {
	var row bytes.Buffer
	lines := json.NewEncoder(&row)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(s); err != nil {
		return err
	}
	if _, err := stdout.Write(row.Bytes()); err != nil {
		return err
	}
	message, err := json.Marshal(sumOf(bytes.TrimSuffix(row.Bytes(), []byte("\n"))))
	if err != nil {
		return err
	}
	file, err := os.OpenFile(terminationLog, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return nil //nolint:nilerr // outside a pod there is none, and the row is printed
	}
	_, _ = file.Write(message)
	_ = file.Close()
	return nil
}

// Read takes the row out of a container's log. The log may have anything before the row, have it
// twice, have its line joined to a part of it that was read before, or broken up; what is
// returned has the checksum of the termination message. Without such a message it is the last line that is a whole row.
//
// Errors are ErrNoRow, ErrCut, and that of a row that is newer than this program.
func Read(log, termination []byte) (Seen, error) {
	var want sum
	if err := json.Unmarshal(termination, &want); err != nil || len(want.SHA256) != 2*sha256.Size || want.Bytes <= 0 {
		return last(log)
	}
	for end := len(log); end > 0; {
		begin := bytes.LastIndexByte(log[:end-1], '\n') + 1
		if row, ok := want.ending(log[begin:end]); ok {
			return decode(row)
		}
		end = begin
	}
	if row, ok := want.ending(withoutEnds(log)); ok {
		return decode(row)
	}
	return Seen{}, fmt.Errorf("%w: %d bytes were written, the log has %d", ErrCut, want.Bytes, len(log))
}

// ending is the end of a line, if it is the row.
func (s sum) ending(line []byte) ([]byte, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) < s.Bytes {
		return nil, false
	}
	row := line[len(line)-s.Bytes:]
	return row, sumOf(row) == s
}

// withoutEnds joins lines. A row has no end of a line within it.
func withoutEnds(log []byte) []byte {
	return slices.DeleteFunc(bytes.Clone(log), func(b byte) bool { return b == '\r' || b == '\n' })
}

// last is the last line that is a whole row.
func last(log []byte) (Seen, error) {
	for end := len(log); end > 0; {
		begin := bytes.LastIndexByte(log[:end-1], '\n') + 1
		s, err := decode(bytes.TrimRight(log[begin:end], "\r\n"))
		if !errors.Is(err, ErrCut) {
			return s, err
		}
		end = begin
	}
	return Seen{}, ErrNoRow
}

// decode reads a row and looks whether its outputs are as long as they say.
func decode(row []byte) (s Seen, err error) {
	if err := json.Unmarshal(row, &s); err != nil {
		return Seen{}, fmt.Errorf("%w: %v", ErrCut, err)
	}
	if s.Version > Version {
		return Seen{}, fmt.Errorf("the row is of version %d, this program knows %d: use the cudabuild that made the observer", s.Version, Version)
	}
	if s.Version <= 0 || !whole(s.Stdout) || !whole(s.Stderr) {
		return Seen{}, ErrCut
	}
	return s, nil
}

// whole reports whether an output has all bytes that it should.
func whole(o Output) bool {
	if o.Bytes > MaxOutput {
		return len(o.Head) == MaxOutput/2 && len(o.Tail) == MaxOutput/2
	}
	return o.Bytes == int64(len(o.Head)) && len(o.Tail) == 0
}
