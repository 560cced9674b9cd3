// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"
	"path"
	"strings"

	"github.com/containerd/platforms"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// Dockerfile writes the steps of every image of an OS and a CUDA release as a
// Dockerfile with one stage an image: base, runtime, devel, and each sample under
// its name in lower case. It expects two named contexts, root (the bootstrapped
// root) and index (its package lists), and the samples' sources in the context.
func Dockerfile(catalog *recipes.Catalog, os, cuda, platform string, epoch int64) (string, error) {
	c, err := newCompiler(catalog, matrix.Cell{ID: cuda + "-" + os, OS: os, CUDA: cuda}, platform, Base{Epoch: epoch})
	if err != nil {
		return "", err
	}
	var d strings.Builder
	below := "root"
	for _, flavor := range recipes.Flavors() {
		fmt.Fprintf(&d, "FROM %s AS %s\n", below, flavor)
		c.runLine(&d, c.manager.Mounts, c.exports(flavor)+c.manager.Install+seal)
		c.cell.Flavor = flavor
		for _, variable := range c.env() {
			name, value, _ := strings.Cut(variable, "=")
			fmt.Fprintf(&d, "ENV %s=%q\n", name, value)
		}
		fmt.Fprintf(&d, "CMD [\"bash\"]\n\n")
		below = string(flavor)
	}
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		fmt.Fprintf(&d, "FROM devel AS %s-build\nWORKDIR /run/cudabuild/out\nCOPY %s /run/cudabuild/src/\n", strings.ToLower(name), s.File)
		fmt.Fprintf(&d, "RUN --mount=type=tmpfs,target=/tmp %s\n\n", c.nvcc(s))
		fmt.Fprintf(&d, "FROM base AS %s\n", strings.ToLower(name))
		fmt.Fprintf(&d, "COPY --from=%s-build /run/cudabuild/out/%s /usr/local/bin/\n", strings.ToLower(name), name)
		fmt.Fprintf(&d, "CMD [\"%s\"]\n\n", strings.Join(s.Cmd, `", "`))
	}
	return d.String(), nil
}

// exports sets what an install script reads.
func (c *compiler) exports(flavor recipes.Flavor) string {
	text := fmt.Sprintf("export EPOCH=%s PACKAGES='%s'\n", c.epoch(), strings.Join(c.release.Layers[flavor].Packages, " "))
	if flavor == recipes.Base && c.guard != "" {
		text += "export GUARD='" + strings.ReplaceAll(c.guard, "'", `'\''`) + "'\n"
	}
	return text
}

func (c *compiler) runLine(d *strings.Builder, mounts []recipes.Mount, script string) {
	d.WriteString("RUN --mount=type=tmpfs,target=/run")
	for _, m := range mounts {
		switch m.Kind {
		case recipes.IndexMount:
			fmt.Fprintf(d, " \\\n  --mount=type=bind,from=index,target=%s", m.Path)
		case recipes.CacheMount:
			id := path.Join("cudabuild", c.os.Name, platforms.Format(c.platform), m.Path)
			fmt.Fprintf(d, " \\\n  --mount=type=cache,sharing=locked,id=%s,target=%s", id, m.Path)
		case recipes.TmpfsMount:
			fmt.Fprintf(d, " \\\n  --mount=type=tmpfs,target=%s", m.Path)
		}
	}
	fmt.Fprintf(d, " <<'STEP'\nset -eu\n%sSTEP\n", script)
}
