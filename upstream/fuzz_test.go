// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"io"
	"testing"
)

// FuzzState: what a signed file names lies below it and has a sum, and it has a date.
func FuzzState(f *testing.F) {
	f.Add([]byte("Date: Mon, 30 Nov 2026 10:00:00 +0000\nSHA256:\n 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef 12 ./Packages.gz\n"))
	f.Add([]byte(`<repomd><revision>9</revision><data type="primary"><checksum type="sha256">0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef</checksum><location href="repodata/x.xml.gz"/><timestamp>8.5</timestamp><size>3</size></data></repomd>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func(*Index) ([]file, error){
			func(state *Index) (all []file, err error) {
				named, err := parseRelease(data, state)
				for _, f := range named {
					all = append(all, f)
				}
				return all, err
			},
			func(state *Index) ([]file, error) {
				list, err := parseRepomd(data, state)
				return []file{list}, err
			},
		} {
			var state Index
			all, err := parse(&state)
			if err != nil {
				continue
			}
			if state.Date.IsZero() {
				t.Error("no date")
			}
			for _, f := range all {
				if !f.valid() {
					t.Errorf("%+v", f)
				}
			}
		}
	})
}

// FuzzDecode: a text without compression is itself, and no text is longer than it may be.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("Package: a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for ending := range decoders {
			r, err := decode("x"+ending, data)
			if err != nil {
				continue
			}
			const most = 1 << 20
			r.(*bounded).left = most
			text, err := io.ReadAll(r)
			if len(text) > most || len(text) == most && err == nil {
				t.Errorf("%s: %d bytes, %v", ending, len(text), err)
			}
			if (ending == "" || ending == ".xml") && len(data) < most && !bytes.Equal(text, data) {
				t.Errorf("%s: %q of %q", ending, text, data)
			}
		}
	})
}
