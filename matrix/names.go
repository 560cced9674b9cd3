// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// Bounds of what registries and runtimes take, in bytes.
const (
	maxName  = 255
	maxValue = 4096
)

// labelForm takes what Docker and Kubernetes write, too: com.example/team.
var labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`)

// Labels under org.opencontainers. are OCI's: those that users may set, and those that
// cudabuild sets, which package plan and llb do.
// Source: OCI image specification 1.1, "Pre-Defined Annotation Keys".
var (
	usersLabels = []string{
		"org.opencontainers.image.authors", "org.opencontainers.image.description", "org.opencontainers.image.documentation",
		"org.opencontainers.image.licenses", "org.opencontainers.image.revision", "org.opencontainers.image.source",
		"org.opencontainers.image.url", "org.opencontainers.image.vendor",
	}
	ownLabels = []string{
		"org.opencontainers.image.base.digest", "org.opencontainers.image.base.name", "org.opencontainers.image.created",
		"org.opencontainers.image.title", "org.opencontainers.image.version",
	}
)

// ownPrefix is of labels that nobody else has a word for.
const ownPrefix = "io.github.cudabuild."

func checkLabel(text, what string) (message, hint string) {
	switch {
	case len(text) > maxName || !labelForm.MatchString(text):
		return fmt.Sprintf("%s: %q is not the name of a label", what, text), fmt.Sprintf("letters, digits and . _ / -, a letter or digit at both ends, %d characters at most: com.example.team", maxName)
	case slices.Contains(ownLabels, text) || strings.HasPrefix(text, ownPrefix):
		return fmt.Sprintf("%s: cudabuild sets %s itself", what, text), "take it out; these are free: " + strings.Join(usersLabels, ", ")
	case strings.HasPrefix(text, "org.opencontainers.") && !slices.Contains(usersLabels, text):
		return fmt.Sprintf("%s: OCI has no %q, and keeps what begins like that for itself", what, text), suggest.Hint(text, usersLabels)
	}
	return "", ""
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// kept are variables that a matrix does not set, whatever the recipe says, and why.
var kept = []struct {
	names *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`^NVIDIA_`), "by it the runtime hook decides where a container starts, and which GPUs and driver libraries it gets"},
	{regexp.MustCompile(`^CUDA_`), "the driver reads such variables, or they say which release the image has"},
	{regexp.MustCompile(`^LD_`), "it decides whose libcuda programs load"},
	{regexp.MustCompile(`^PATH$`), "it is made of what the layers have"},
	{regexp.MustCompile(`^LIBRARY_PATH$`), "by it programs are linked to the stubs of the driver"},
}

// free are variables that only tools read which compile.
var free = []string{"CUDA_HOME", "CUDA_PATH"}

func checkVariable(text, what string) (message, hint string) {
	if len(text) > maxName || !variableForm.MatchString(text) {
		return fmt.Sprintf("%s: %q is not the name of a variable", what, text), fmt.Sprintf("letters, digits and _, no digit first, %d characters at most", maxName)
	}
	for _, k := range kept {
		if k.names.MatchString(text) && !slices.Contains(free, text) {
			return fmt.Sprintf("%s: %s is not the matrix's to set: %s", what, text, k.why), "give it to the container that needs it, or build an image of your own on ours: docs/flavors.md"
		}
	}
	return "", ""
}

// valueForm is one line without control characters.
var valueForm = regexp.MustCompile(`^[^\x00-\x1f\x7f-\x9f]*$`)

func checkValue(text, what string) (message, hint string) {
	switch {
	case len(text) > maxValue:
		return fmt.Sprintf("%s: it has %d bytes", what, len(text)), fmt.Sprintf("%d at most", maxValue)
	case strings.ContainsFunc(text, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }):
		return fmt.Sprintf("%s: %q has characters that cannot be seen", what, text), "one line, without tabs"
	}
	return "", ""
}

// configForms are those of the fields of config.
func configForms() map[string]spec.Form {
	return map[string]spec.Form{
		"label":    {Pattern: labelForm, Max: maxName, Check: checkLabel},
		"variable": {Pattern: variableForm, Max: maxName, Check: checkVariable},
		"value":    {Pattern: valueForm, Max: maxValue, Check: checkValue},
	}
}
