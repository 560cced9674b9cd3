// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFill(t *testing.T) {
	t.Parallel()
	s := scope{
		"github":  map[string]any{"event_name": "push", "token": "T"},
		"env":     map[string]any{"REGISTRY": "ghcr.io", "BUILD": `{"push":true,"to":"ghcr.io/acme/cuda"}`},
		"secrets": map[string]any{}, "matrix": map[string]any{"emulated": true, "n": 2.0},
		"needs": map[string]any{"a-b": map[string]any{"result": "success"}},
	}
	for text, want := range map[string]any{
		"plain": "plain", "${{ github.event_name }}-${{ matrix.n }}": "push-2", "${{ matrix.emulated }}": true,
		"${{ secrets.PASSWORD || (env.REGISTRY == 'ghcr.io' && github.token || '') }}": "T",
		"${{ secrets.PASSWORD || (env.REGISTRY == 'quay.io' && github.token || '') }}": "",
		"${{ fromJSON(env.BUILD).to }}": "ghcr.io/acme/cuda", "${{ !fromJSON(env.BUILD).push }}": false,
		"${{ needs.a-b.result == 'SUCCESS' }}": true, "${{ needs['a-b'].result != 'success' }}": false,
		"${{ startsWith(github.event_name, 'PU') }}": true, "${{ 'it''s' }}": "it's", "${{ matrix.none == '' }}": true,
		"${{ fromJSON('[1, \"x\"]') }}": []any{1.0, "x"},
	} {
		got, err := s.fill(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"${{ unknown.x }}", "${{ hashFiles('x') }}", "${{ (github.token }}", "${{ github.token 'x' }}"} {
		if got, err := s.fill(text); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
}

// TestHolds: a condition that asks for no status asks for success too.
func TestHolds(t *testing.T) {
	t.Parallel()
	s := scope{"github": map[string]any{"event_name": "push"}}
	for _, tc := range []struct {
		condition     string
		success, want bool
	}{
		{"", true, true},
		{"", false, false},
		{"github.event_name != 'pull_request'", true, true},
		{"github.event_name != 'pull_request'", false, false},
		{"${{ github.event_name == 'pull_request' }}", true, false},
		{"always()", false, true},
		{"failure() && github.event_name == 'push'", false, true},
		{"!cancelled() && success()", false, false},
	} {
		if got, err := s.holds(tc.condition, tc.success); err != nil || got != tc.want {
			t.Errorf("%q after success %t: %t, %v, want %t", tc.condition, tc.success, got, err, tc.want)
		}
	}
}

func TestAssignments(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/output"
	write(t, file, "a=b=c\nlong<<END\none\ntwo=<<\nEND\nlast=\n")
	got := map[string]string{}
	if err := readAssignments(file, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "b=c", "long": "one\ntwo=<<", "last": ""}, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	write(t, file, "two\nlines")
	if err := readAssignments(file, got); err == nil || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("a line without a name: %v", err)
	}
}
