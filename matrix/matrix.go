// SPDX-License-Identifier: Apache-2.0

// Package matrix turns matrix.yaml, the one file in which a team says which CUDA
// images it wants, into an ordered list of cells.
//
// Most callers need two functions: [Load] reads and checks a file, and
// [Matrix.Expand] returns the cells of one of its groups.
//
//	version: 1
//	image: cuda                      # repository of every tag
//	defaults: {platforms: [linux/amd64], flavors: [base, runtime, devel], samples: [nbody]}
//	groups:
//	  default:
//	    - {os: [debian13], cuda: ["12.4"]}
//	  more:
//	    - default                    # all of that group
//	    - {os: [debian11], cuda: ["11.2"], flavors: [base]}
//	tags:                            # other names of the same images, of all groups
//	  latest: 12.4-devel-debian13
//	  "{cuda}-{kind}": "*-debian13"  # 12.4-base, 12.4-nbody, ...
//	labels: {org.opencontainers.image.vendor: Acme}
//	cells:
//	  - {only: "*-devel-*", env: {ACME_CACHE: /var/cache/acme}}
//	tests:                           # of one's own: package usertest
//	  - {name: matmul, image: "*-devel-*", run: [/tests/matmul]}
//
// An entry makes every pair of its os and cuda lists, less those under exclude,
// each with a reason. It promises to report everything wrong with a file at once,
// each problem with its position and, where one is near, the word that was meant;
// and to accept nothing that it does not understand. It refuses CUDA numbers
// without quotes, because YAML reads 12.10 as 12.1, and YAML anchors, aliases and
// tags. It builds nothing and asks nothing of the machine but the file.
package matrix

import (
	"errors"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/usertest"
)

// Matrix is a checked matrix file. It is read-only and safe for concurrent use.
type Matrix struct {
	file    string
	digest  string
	groups  []string          // in the order of the file
	cells   map[string][]Cell // by group, ordered
	tagging tagging
	catalog *recipes.Catalog

	compression string
	builders    []string
	publish     Publish
}

// Load reads and checks a matrix file against the catalog. The error is a
// [spec.Problems], for a file that cannot be read too.
func Load(path string, catalog *recipes.Catalog) (*Matrix, error) {
	data, err := spec.ReadFile(path)
	if err != nil {
		return nil, spec.Problems{unreadable(path, err)}
	}
	return Parse(path, data, catalog)
}

// Parse checks the bytes of a matrix file against the catalog; name stands for the
// file in problems. The error is a [spec.Problems].
func Parse(name string, data []byte, catalog *recipes.Catalog) (*Matrix, error) {
	at := new(spec.Report).File(name)
	var f file
	at.Read(data, format(catalog, usertest.Names(data)...), &f)
	m := expandAll(at, catalog, f)
	m.digest = digest.FromBytes(data).String()
	if at.Count() == 0 { // a tag or a test may name a cell that a problem left out
		m.tag(at, "")
		m.configure(at, f)
		m.checkGates(at, f.Publish.Require.GPU)
	}
	if err := at.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func unreadable(path string, err error) spec.Problem {
	if errors.Is(err, fs.ErrNotExist) {
		return spec.Problem{File: path, Message: "no such file", Hint: "name the matrix with --file, or run in the directory that holds it"}
	}
	cause := err
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		cause = pathErr.Err // the path is said once, in front
	}
	return spec.Problem{File: path, Message: cause.Error(), Hint: "name a matrix file that can be read with --file"}
}
