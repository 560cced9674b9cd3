// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"text/template"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// dockerfile is what a careful person writes for the same images: the same packages,
// dpkg and nvcc flags, guard and environment, apt's caches in cache mounts, and each
// sample compiled in devel and placed on base, or on runtime if it needs libraries.
var dockerfile = template.Must(template.New("Dockerfile").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(`
{{- define "apt"}}RUN --mount=type=cache,sharing=locked,id={{.OS}}-archives,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id={{.OS}}-lists,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/log --mount=type=tmpfs,target=/tmp <<STEP
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update
{{- if .Guard}}
mkdir -p /tmp/guard/DEBIAN
cat >/tmp/guard/DEBIAN/control <<'CONTROL'
{{.Guard}}
CONTROL
dpkg-deb --root-owner-group --build /tmp/guard /tmp/guard.deb
dpkg --install /tmp/guard.deb
{{- end}}
apt-get install --yes --no-install-recommends -o APT::Keep-Downloaded-Packages=true -o DPkg::Options::=--force-unsafe-io {{.Packages}}
rm -f /var/cache/ldconfig/aux-cache
STEP
{{end -}}
FROM root AS base
{{template "apt" .Base}}ENV CUDA_VERSION={{.Version}} NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["bash"]

FROM base AS runtime
{{template "apt" .Runtime}}
FROM runtime AS devel
{{template "apt" .Devel}}ENV NVCC_PREPEND_FLAGS="-ccbin cuda-g++"
{{range .Samples}}
FROM devel AS {{lower .Name}}-build
COPY {{.File}} {{$.HeaderFile}} /src/
RUN --mount=type=tmpfs,target=/tmp nvcc -O3 -cudart static {{if .HasKernels}}-Wno-deprecated-gpu-targets {{range $.SASS}}-gencode arch=compute_{{.}},code=sm_{{.}} {{end}}-gencode arch=compute_{{$.PTX}},code=compute_{{$.PTX}}{{else}}-x c++{{end}} -Xlinker -s -o /{{.Name}} /src/{{.File}}{{range .Libraries}} -l{{.}}{{end}}

FROM {{if .Libraries}}runtime{{else}}base{{end}} AS {{lower .Name}}
COPY --from={{lower .Name}}-build /{{.Name}} /usr/local/bin/
CMD ["{{.Name}}"]
{{end}}`))

// step is one apt step of the Dockerfile.
type step struct{ OS, Packages, Guard string }

func writeDockerfile(catalog *recipes.Catalog, os, cuda string) (string, error) {
	o, _ := catalog.OS(os)
	r, _ := catalog.Find(os, cuda)
	guard, err := catalog.Manager(o).Guard(r)
	if err != nil {
		return "", err
	}
	layer := func(f recipes.Flavor, guard string) step {
		return step{OS: os, Packages: strings.Join(r.Layers[f].Packages, " "), Guard: guard}
	}
	var programs []samples.Sample
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		programs = append(programs, s)
	}
	var text strings.Builder
	err = dockerfile.Execute(&text, map[string]any{
		"Base": layer(recipes.Base, guard), "Runtime": layer(recipes.Runtime, ""), "Devel": layer(recipes.Devel, ""),
		"Version": r.Version, "SASS": r.Samples.SASS, "PTX": r.Samples.PTX, "Samples": programs, "HeaderFile": samples.HeaderFile,
	})
	return text.String(), err
}
