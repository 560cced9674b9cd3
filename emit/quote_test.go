// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// odd are texts that a shell or a Dockerfile would like to make something else of.
var odd = []string{
	"plain", "", "two words", `it's`, `"quoted"`, `back\slash`, "$HOME ${HOME} $(id) `id`", "${{ secrets.X }} %{if true}", "TEXT", "a\nTEXT\nb", "a\nTEXT\nTEXT_\nb",
	"# no comment", "a \\", "9-0=9.0.176-1", "brand=tesla,driver>=418,driver<419 cuda>=10.2", "<<'TEXT'", "%s %%", "a\n\nb", "é",
}

// TestAssign: a shell finds each text in its variable, as it is.
func TestAssign(t *testing.T) {
	t.Parallel()
	for _, want := range odd {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script([]variable{{"V", want}}, `printf '%s' "$V"`)).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("the shell says %q, %v, want %q", out, err, want)
		}
	}
}

// TestQuote: BuildKit's parser finds each value of ENV and LABEL as it is.
func TestQuote(t *testing.T) {
	t.Parallel()
	for _, want := range odd {
		if strings.Contains(want, "\n") { // no value of a recipe or a matrix has two lines
			continue
		}
		env := stage(t, "ENV V="+quote(want)).Commands[0].(*instructions.EnvCommand)
		label := stage(t, "LABEL com.example/v="+quote(want)).Commands[0].(*instructions.LabelCommand)
		for _, word := range []string{env.Env[0].Value, label.Labels[0].Value} {
			got, _, err := shell.NewLex('\\').ProcessWord(word, noEnv{})
			if err != nil || got != want {
				t.Errorf("ENV or LABEL has %q, %v, want %q", got, err, want)
			}
		}
	}
}

// TestHeredoc: BuildKit's parser finds each text as it is, but for a last line's end.
func TestHeredoc(t *testing.T) {
	t.Parallel()
	for _, want := range odd {
		files := stage(t, "COPY "+heredoc("TEXT", "/file", want)).Commands[0].(*instructions.CopyCommand).SourceContents
		if len(files) != 1 || files[0].Data != want+"\n" || files[0].Expand {
			t.Errorf("COPY has %+v, want %q", files, want)
		}
	}
}

func stage(t *testing.T, line string) instructions.Stage {
	t.Helper()
	file, err := parser.Parse(strings.NewReader("FROM scratch\n" + line + "\n"))
	if err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	return stages[0]
}

// noEnv knows no variable.
type noEnv struct{}

func (noEnv) Get(string) (string, bool) { return "", false }
func (noEnv) Keys() []string            { return nil }
