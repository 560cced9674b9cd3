// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

const familyMatrix = `version: 1
image: registry.example.com/team/cuda
groups:
  default:
    - {os: [debian13], cuda: ["12.4"], flavors: [base, runtime, devel], samples: [deviceQuery, nbody]}
    - {os: [ubuntu22.04], cuda: ["12.4.1"], flavors: [base], platforms: [linux/amd64, linux/arm64]}
tags:
  latest: 12.4-devel-debian13
  "{cuda}-{kind}": "*"
`

// family is a small one as a run of the matrix leaves it: six cells, one of two platforms,
// whose layers stand on each other's.
type family struct {
	dir    string // with images and run.json
	matrix *matrix.Matrix
	cells  []matrix.Cell
	record *record.Run
	images *image.Layout
}

// made is what tells two families apart.
type made struct {
	seed  uint64
	day   int    // of the package lists
	extra string // lines of matrix.yaml
}

func newFamily(tb testing.TB, m made) family {
	tb.Helper()
	catalog, err := recipes.Load()
	if err != nil {
		tb.Fatal(err)
	}
	f := family{dir: tb.TempDir()}
	if f.matrix, err = matrix.Parse("team.yaml", []byte(familyMatrix+m.extra), catalog); err != nil {
		tb.Fatal(err)
	}
	if f.cells, err = f.matrix.Expand("default", nil); err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(m.seed, 1))
	path, err := layout.Write(filepath.Join(f.dir, "images"), empty.Index)
	if err != nil {
		tb.Fatal(err)
	}
	f.record = &record.Run{Version: 1, Inputs: []record.Input{}}
	layers := map[string][]*imagetest.Blob{}
	for _, c := range f.cells {
		layers[c.ID] = append(append([]*imagetest.Blob{}, layers[c.Parent]...), randomLayer(random, c.ID))
		cell := record.Cell{ID: c.ID, Status: record.Passed, Tags: c.Tags, Images: []verify.Report{}, Rows: []record.Row{}}
		var images []v1.Image
		for _, platform := range c.Platforms {
			img := dated(tb, imagetest.ForArch(imagetest.New(layers[c.ID]...), platform[len("linux/"):]), m.day)
			digest, err := img.Digest()
			if err != nil {
				tb.Fatal(err)
			}
			images = append(images, img)
			cell.Images = append(cell.Images, verify.Report{Digest: digest.String(), Rules: verify.RulesVersion(), Platform: platform, Verdict: verify.Pass, Findings: []verify.Finding{}})
		}
		cell.Digest = add(tb, path, c.Tags[0], images)
		f.record.Cells = append(f.record.Cells, cell)
	}
	f.record.Sum()
	data, err := json.Marshal(f.record)
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, "run.json"), data, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if f.images, err = image.OpenLayout(filepath.Join(f.dir, "images")); err != nil {
		tb.Fatal(err)
	}
	return f
}

func randomLayer(random *rand.Rand, name string) *imagetest.Blob {
	content := make([]byte, 20_000+random.IntN(60_000))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return imagetest.Layer(imagetest.Zstd, imagetest.Files(map[string]imagetest.Entry{"opt/" + name: imagetest.File(content)}))
}

func dated(tb testing.TB, img v1.Image, day int) v1.Image {
	tb.Helper()
	img, err := mutate.CreatedAt(img, v1.Time{Time: time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// add puts an image, or the index of several, under a full name, and returns its digest.
func add(tb testing.TB, path layout.Path, fullName string, images []v1.Image) string {
	tb.Helper()
	tag := fullName[bytes.LastIndexByte([]byte(fullName), ':')+1:]
	names := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag, image.FullNameAnnotation: fullName})
	var digest v1.Hash
	var err error
	if len(images) == 1 {
		if digest, err = images[0].Digest(); err == nil {
			err = path.AppendImage(images[0], names)
		}
	} else {
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for _, img := range images {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img})
		}
		if digest, err = index.Digest(); err == nil {
			err = path.AppendIndex(index, names)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return digest.String()
}

// options are those of publishing the family to a repository.
func (f family) options(to string) publish.Options {
	return publish.Options{
		To: to, Cells: f.cells, Record: f.record, Rules: f.matrix.Publish(), Images: f.images,
		ID: publish.NewRunID(), Journals: filepath.Join(f.dir, "push"), Inventory: verify.New(verify.Options{}).Inventory,
	}
}

// publisher returns one with these options.
func publisher(tb testing.TB, o publish.Options) *publish.Publisher {
	tb.Helper()
	p, err := publish.New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// tags are the names that the family's images are to have, with their digests.
func (f family) tags() map[string]string {
	all := map[string]string{}
	for i, c := range f.cells {
		for _, full := range c.Tags {
			all[full[len("registry.example.com/team/cuda:"):]] = f.record.Cells[i].Digest
		}
	}
	return all
}
