// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"encoding/json"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
)

// bakeFile is a bake definition in its JSON form.
type bakeFile struct {
	Group  map[string]bakeGroup  `json:"group"`
	Target map[string]bakeTarget `json:"target"`
}

type bakeGroup struct {
	Targets []string `json:"targets"`
}

type bakeTarget struct {
	Context    string   `json:"context"`
	Dockerfile string   `json:"dockerfile"`
	Target     string   `json:"target"`
	Tags       []string `json:"tags"`
	Platforms  []string `json:"platforms"`
}

// Bake returns a docker-bake.json with one target for each cell, and the Dockerfile of
// each OS and CUDA release. Targets of one Dockerfile end in different stages of it, so
// BuildKit builds what they share once; `docker buildx bake` in the folder of the files
// builds all of them.
func Bake(cells []matrix.Cell) ([]File, error) {
	bake := bakeFile{Group: map[string]bakeGroup{}, Target: map[string]bakeTarget{}}
	var all []string
	for _, c := range cells {
		name := bakeName(c.ID)
		all = append(all, name)
		bake.Target[name] = bakeTarget{
			Context: ".", Dockerfile: dockerfileName(familyOf(c)), Target: Stage(c), Tags: c.Tags, Platforms: c.Platforms,
		}
	}
	bake.Group["default"] = bakeGroup{Targets: all}
	data, err := json.MarshalIndent(bake, "", "  ")
	if err != nil {
		return nil, err
	}
	var files []File
	order, of := families(cells)
	for _, f := range order {
		text, err := Dockerfile(of[f])
		if err != nil {
			return nil, err
		}
		files = append(files, File{dockerfileName(f), text})
	}
	// Last, so that it never names a file that could not be written.
	return append(files, File{"docker-bake.json", string(data) + "\n"}), nil
}

func dockerfileName(f family) string { return "Dockerfile." + f.String() }

// bakeName is a cell's ID as bake allows it for a target.
func bakeName(id string) string { return strings.ReplaceAll(id, ".", "_") }
