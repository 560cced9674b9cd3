// SPDX-License-Identifier: Apache-2.0

package base

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/upstream"
)

func TestSuites(t *testing.T) {
	t.Parallel()
	const list = "deb http://own.example/debian trixie main contrib\n\n# none\ndeb [signed-by=/x] http://security.example/debian-security trixie-security main\n"
	for address, want := range map[string][]upstream.Suite{
		"": {
			{URL: "http://own.example/debian/dists/trixie", Components: []string{"main", "contrib"}},
			{URL: "http://security.example/debian-security/dists/trixie-security", Components: []string{"main"}},
		},
		"http://mirror.example/at": {
			{URL: "http://mirror.example/at/debian/dists/trixie", Components: []string{"main", "contrib"}},
			{URL: "http://mirror.example/at/debian-security/dists/trixie-security", Components: []string{"main"}},
		},
		"http://mirror.example/archive/{archive}/20260101T000000Z": {
			{URL: "http://mirror.example/archive/debian/20260101T000000Z/dists/trixie", Components: []string{"main", "contrib"}, ByDate: true},
			{URL: "http://mirror.example/archive/debian-security/20260101T000000Z/dists/trixie-security", Components: []string{"main"}, ByDate: true},
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
