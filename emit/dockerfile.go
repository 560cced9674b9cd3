// SPDX-License-Identifier: Apache-2.0

package emit

import (
	_ "embed"
	"strings"
	"text/template"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
)

//go:embed dockerfile.tmpl
var dockerfileText string

var dockerfile = template.Must(template.New("Dockerfile").Funcs(template.FuncMap{
	"heredoc": heredoc, "join": strings.Join, "lower": strings.ToLower, "quote": quote,
	"outputDir": func() string { return plan.OutputDir },
}).Parse(dockerfileText))

// Dockerfile returns a Dockerfile with one stage for each of the cells, the last one's
// last, and the stages that these are made from. The cells are of one OS and CUDA
// release and not empty; an error means that they have no recipe, or that their
// OS has no public image to start from.
func Dockerfile(cells []matrix.Cell) (string, error) {
	p, err := newPage(cells)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = dockerfile.Execute(&text, p)
	return text.String(), err
}

// Stage is the name of a cell's stage in the Dockerfile of its family.
func Stage(c matrix.Cell) string { return "image-" + strings.ToLower(string(c.Flavor)+c.Sample) }
