// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/container"
)

// TestBounds: a program that forks, or takes memory, without end meets its own bound and
// not the host's. Without a word there is one for processes.
func TestBounds(t *testing.T) {
	const bomb = `i=0; while [ $i -lt 60 ]; do sleep 20 & i=$((i+1)); done; echo forked $i`
	const eat = `x=0123456789abcdef; while :; do x=$x$x; done`
	for name, test := range map[string]struct {
		script string
		bounds container.Bounds
		forked bool
		code   int
	}{
		"few processes":  {bomb, container.Bounds{Pids: 20}, false, 2},
		"any number":     {bomb, container.Bounds{Pids: -1}, true, 0},
		"by default":     {bomb, container.Bounds{}, true, 0},
		"little memory":  {eat, container.Bounds{Memory: 32 << 20}, false, 137},
		"enough of both": {bomb, container.Bounds{Memory: 1 << 30, Pids: 100}, true, 0},
	} {
		for _, engine := range container.Engines() {
			r, p := shell(t, test.script)
			p.Bounds, p.Engine = test.bounds, engine
			var out, said bytes.Buffer
			code, err := r.Attach(t.Context(), p, container.Streams{Out: &out, Err: &said})
			if err != nil || code != test.code || strings.Contains(out.String(), "forked 60") != test.forked {
				t.Errorf("%s, %s: %d, %v, %q, %q", engine, name, code, err, &out, &said)
			}
			empty(t, r)
		}
	}
}
