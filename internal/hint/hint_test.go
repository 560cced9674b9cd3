// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cudabuild/cudabuild/internal/hint"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	inner, misused, silent := hint.New("inner", "do this"), hint.Usage("misused", "write that"), hint.New("silent", "")
	for name, test := range map[string]struct {
		err  error
		hint string
		code int
	}{
		"none":         {nil, "", 3},
		"another's":    {errors.New("x"), "", 3},
		"itself":       {inner, "do this", 3},
		"wrapped":      {fmt.Errorf("a: %w", fmt.Errorf("b: %w", inner)), "do this", 3},
		"joined":       {errors.Join(errors.New("x"), silent, misused, inner), "write that", 2},
		"two verbs":    {fmt.Errorf("%w: %w", silent, inner), "do this", 3},
		"without word": {fmt.Errorf("a: %w", silent), "", 3},
		"usage":        {fmt.Errorf("a: %w", misused), "write that", 2},
	} {
		if got, code := hint.Of(test.err), hint.Code(test.err, 3); got != test.hint || code != test.code {
			t.Errorf("%s: hint %q, code %d, want %q, %d", name, got, code, test.hint, test.code)
		}
	}
	if !errors.Is(fmt.Errorf("a: %w", misused), misused) {
		t.Error("an error is not itself")
	}
}
