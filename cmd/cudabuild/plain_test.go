// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
)

// TestForeignWords: whatever the command, a terminal gets no escape out of words that
// are not ours.
func TestForeignWords(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\x1b]0;owned\a\u009b1m\u202e\r"
	for name, show := range map[string]func(w *bytes.Buffer) error{
		"errors": func(w *bytes.Buffer) error {
			conclude(t.Context(), &exitError{code: 3, err: errors.New(evil), hint: evil}, w)
			return nil
		},
		"host": func(w *bytes.Buffer) error {
			return printHost(w, gpu.Host{OS: evil, Driver: evil, Problems: []string{evil}, GPUs: []gpu.GPU{{Name: evil}}}, false)
		},
		"host --json": func(w *bytes.Buffer) error {
			return printHost(w, gpu.Host{OS: evil, Driver: evil, Problems: []string{evil}, GPUs: []gpu.GPU{{Name: evil}}}, true)
		},
		"gpu": func(w *bytes.Buffer) error {
			rows := []gpu.Row{{Image: evil, Cell: evil, Sample: evil, Reason: evil, Prediction: gpu.Prediction{Verdict: evil, Why: evil}}}
			worse := []gpu.Regression{{Row: gpu.Row{Cell: evil, Sample: evil, Test: evil}, Why: evil}}
			return observed{host: gpu.Host{OS: evil}, rows: rows, worse: worse, left: []leftOut{{Test: evil, Image: evil, Why: evil}}, figures: []gpu.Compared{{Figure: evil}}}.show(w, false)
		},
		"explain": func(w *bytes.Buffer) error {
			e := &cellReasons{Cell: matrix.Cell{ID: evil, Tags: []string{evil}}, Root: rootReasons{OS: evil, Image: evil, Changes: []change{{evil, evil}}}, Layers: []layerReasons{{Env: map[string]string{evil: evil}, Files: []string{evil}}}}
			_, err := plain.To(w).Write(e.page())
			return err
		},
	} {
		var w bytes.Buffer
		if err := show(&w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.ContainsAny(w.String(), "\x1b\a\r\u009b\u202e") || !strings.Contains(w.String(), `x\u001b[2J`) {
			t.Errorf("%s prints %q", name, &w)
		}
	}
}
