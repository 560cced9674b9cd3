// SPDX-License-Identifier: Apache-2.0

package build

import (
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/samples"
)

// made says what an image is made of, by a plan of that digest.
func (r *run) made(m *manifest, plan digest.Digest, desc ocispec.Descriptor) record.Made {
	c := m.cell
	group := ""
	if len(c.Groups) > 0 {
		group = c.Groups[0]
	}
	return record.Made{
		Digest: desc.Digest.String(), Cell: c.ID, Group: group, OS: c.OS, CUDA: c.CUDA, Flavor: string(c.Flavor), Sample: c.Sample,
		Platform: m.platform, Compression: r.Compression, Plan: plan.String(), Parts: r.parts(m),
	}
}

// noted is what was noted when an image was made. For one of an earlier cudabuild, which noted
// nothing, it is what the image would be made of now; by which tools it was nobody knows.
func (r *run) noted(m *manifest, plan digest.Digest, known remembered) record.Made {
	if known.Made == nil {
		made := r.made(m, plan, known.Descriptor)
		known.Made = &made
		r.memo.put(plan, known)
	}
	return *known.Made
}

func (r *run) parts(m *manifest) (all []record.Part) {
	from := r.bases[m.baseKey()].Base
	all = append(all,
		record.Part{Kind: record.MatrixPart, Digest: r.Matrix},
		record.Part{Kind: record.RootPart, Name: from.Image, Digest: from.Root.String()},
		record.Part{Kind: record.ListsPart, Digest: from.Lists.String(), Date: from.Epoch})
	for _, address := range slices.Sorted(maps.Keys(from.Dates)) {
		all = append(all, record.Part{Kind: record.RepositoryPart, Name: address, Digest: from.Found(address).Sum.String(), Date: from.Found(address).Date})
	}
	for _, a := range m.cell.Recipe.Addresses(m.platform) {
		all = append(all, record.Part{Kind: record.KeyPart, Name: a.URL + "/" + a.Key.File})
	}
	for _, f := range slices.Concat(m.cell.Recipe.Files(), m.cell.Recipe.FlavorFiles(m.cell.Flavor)) {
		all = append(all, record.Part{Kind: record.RecipePart, Name: f.Name, Digest: f.Digest})
	}
	if s, ok := samples.Lookup(m.cell.Sample); ok {
		all = append(all, record.Part{Kind: record.SourcePart, Name: s.File, Digest: digest.FromString(s.Source).String()})
		if s.HasHeader() {
			all = append(all, record.Part{Kind: record.SourcePart, Name: samples.HeaderFile, Digest: digest.FromString(samples.Header).String()})
		}
	}
	return slices.DeleteFunc(all, func(p record.Part) bool { return p.Name == "" && p.Digest == "" })
}

// tools are the versions of what has just made an image.
func (r *run) tools(m *manifest) map[string]string {
	versions := map[string]string{"cudabuild": r.Version, "buildkitd": m.by.version, "runc": m.by.engine.Runc}
	maps.Copy(versions, r.bases[m.baseKey()].Tools)
	maps.DeleteFunc(versions, func(_, version string) bool { return version == "" })
	return versions
}
