// SPDX-License-Identifier: Apache-2.0

package base

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSuites(t *testing.T) {
	t.Parallel()
	const list = "deb http://own.example/debian trixie main contrib\n\n# none\ndeb [signed-by=/x] http://security.example/debian-security trixie-security main\n"
	for address, want := range map[string][]Suite{
		"": {
			{"http://own.example/debian/dists/trixie", []string{"main", "contrib"}, false},
			{"http://security.example/debian-security/dists/trixie-security", []string{"main"}, false},
		},
		"http://mirror.example/at": {
			{"http://mirror.example/at/debian/dists/trixie", []string{"main", "contrib"}, false},
			{"http://mirror.example/at/debian-security/dists/trixie-security", []string{"main"}, false},
		},
		"http://mirror.example/archive/{archive}/20260101T000000Z": {
			{"http://mirror.example/archive/debian/20260101T000000Z/dists/trixie", []string{"main", "contrib"}, true},
			{"http://mirror.example/archive/debian-security/20260101T000000Z/dists/trixie-security", []string{"main"}, true},
		},
	} {
		m, err := parseMirror(address)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.suites(list)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", address, diff)
		}
	}
}
