// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/gpu/container"
)

// TestCommand holds docker's rules: arguments replace the command, another entrypoint
// the command too.
func TestCommand(t *testing.T) {
	t.Parallel()
	none, other := "", "other"
	type list = []string
	cases := map[string]struct {
		entrypoint, cmd, args list
		with                  *string
		want                  list
	}{
		"command":                     {cmd: list{"a", "b"}, want: list{"a", "b"}},
		"arguments":                   {cmd: list{"a", "b"}, args: list{"c"}, want: list{"c"}},
		"entrypoint":                  {entrypoint: list{"e"}, want: list{"e"}},
		"entrypoint and command":      {entrypoint: list{"e", "f"}, cmd: list{"a"}, want: list{"e", "f", "a"}},
		"entrypoint and arguments":    {entrypoint: list{"e", "f"}, cmd: list{"a"}, args: list{"c"}, want: list{"e", "f", "c"}},
		"another entrypoint":          {entrypoint: list{"e"}, cmd: list{"a"}, with: &other, want: list{"other"}},
		"another one with arguments":  {entrypoint: list{"e"}, cmd: list{"a"}, with: &other, args: list{"c"}, want: list{"other", "c"}},
		"no entrypoint":               {entrypoint: list{"e"}, cmd: list{"a"}, with: &none},
		"no entrypoint but arguments": {entrypoint: list{"e"}, cmd: list{"a"}, with: &none, args: list{"c"}, want: list{"c"}},
		"nothing":                     {},
	}
	for name, test := range cases {
		r := Request{Args: test.args, Entrypoint: test.with}
		got, err := r.command(v1.Config{Entrypoint: test.entrypoint, Cmd: test.cmd})
		if diff := cmp.Diff(test.want, got); diff != "" || errors.Is(err, ErrNoCommand) != (test.want == nil) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		image, with []string
		terminal    bool
		want        []string
	}{
		"nothing":       {want: []string{container.DefaultPath}},
		"terminal":      {terminal: true, want: []string{container.DefaultPath, "TERM=xterm"}},
		"image's":       {image: []string{"PATH=/bin", "A=1"}, want: []string{"PATH=/bin", "A=1"}},
		"user's":        {image: []string{"A=1", "B=2"}, with: []string{"A=3", "C=a=b"}, want: []string{container.DefaultPath, "A=3", "B=2", "C=a=b"}},
		"user's of two": {with: []string{"A=1", "A=2"}, want: []string{container.DefaultPath, "A=2"}},
		"taken away":    {image: []string{"A=1", "B="}, with: []string{"A"}, want: []string{container.DefaultPath, "B="}},
		"another TERM":  {with: []string{"TERM=vt100"}, terminal: true, want: []string{container.DefaultPath, "TERM=vt100"}},
	}
	for name, test := range cases {
		r := Request{Env: test.with, Open: container.Open{Terminal: test.terminal}}
		if diff := cmp.Diff(test.want, r.environment(test.image)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestEnvironmentOfManyNames: every name costs the same, so that an image with many
// does not keep the program busy for minutes.
func TestEnvironmentOfManyNames(t *testing.T) {
	t.Parallel()
	var image []string
	for i := range 500_000 {
		image = append(image, fmt.Sprintf("NAME%d=%d", i, i))
	}
	r := Request{Env: []string{"NAME7=x", "NAME8"}}
	got := r.environment(image)
	if len(got) != len(image) || got[8] != "NAME7=x" || got[9] != "NAME9=9" {
		t.Errorf("%d variables, %v", len(got), got[:10])
	}
}
