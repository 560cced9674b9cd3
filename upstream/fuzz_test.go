// SPDX-License-Identifier: Apache-2.0

package upstream

import (
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

// FuzzDecode: what is no compressed list is an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for ending := range decoders {
			if r, err := decode("x"+ending, data); err == nil {
				_, _ = io.CopyN(io.Discard, r, 1<<20)
			}
		}
	})
}
