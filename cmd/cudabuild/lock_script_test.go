// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
)

// mkLocked is the scripts' command `mklocked STATE OUT VERSION`: it leaves what a run leaves that has
// built 12.4-base-debian13, as a stand-in with bash in that version and nothing else.
func mkLocked() {
	if err := standInRun(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func standInRun(state, out, version string) error {
	catalog, err := recipes.Load()
	if err != nil {
		return err
	}
	recipe, _ := catalog.Recipe("debian13", "12.4")
	bases, err := base.Open(filepath.Join(state, "bases"))
	if err != nil {
		return err
	}
	const list = "lists/own.example_debian_dists_trixie_"
	index := imagetest.Files(map[string]imagetest.Entry{
		list + "InRelease":                  {Data: "Date: Mon, 30 Nov 2026 02:14:33 UTC\n"},
		list + "main_binary-amd64_Packages": {Data: fmt.Sprintf("Package: bash\nVersion: %s\nArchitecture: amd64\nFilename: b\nSize: 1\nSHA256: %s\n", version, strings.Repeat("a", 64))},
		"sources.list":                      {Data: "deb http://own.example/debian trixie main\n"},
	})
	nothing := func(w io.Writer) error { return tar.NewWriter(w).Close() }
	from, err := bases.Put(context.Background(), recipe, "linux/amd64", time.Unix(1767225600, 0), nothing, func(w io.Writer) error { _, err := w.Write(index); return err })
	if err != nil {
		return err
	}
	status := fmt.Sprintf("Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n", version)
	img := imagetest.New(imagetest.Layer(imagetest.Zstd, imagetest.Files(map[string]imagetest.Entry{"var/lib/dpkg/status": {Data: status}})))
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	const cell = "12.4-base-debian13"
	path, err := layout.Write(filepath.Join(out, "images"), empty.Index)
	if err == nil {
		err = path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": cell, image.FullNameAnnotation: "cuda:" + cell}))
	}
	run := record.Run{
		Version: 1, Inputs: []record.Input{{OS: "debian13", Platform: "linux/amd64", Root: from.Root.String(), Lists: from.Lists.String()}},
		Cells: []record.Cell{{
			ID: cell, Status: record.Passed, Digest: digest.String(), Tags: []string{"cuda:" + cell},
			Made: []record.Made{{Digest: digest.String(), OS: "debian13", Platform: "linux/amd64", Tools: map[string]string{"buildkitd": "v0"}, Parts: []record.Part{
				{Kind: record.RootPart, Digest: from.Root.String()}, {Kind: record.ListsPart, Digest: from.Lists.String()},
			}}},
		}},
	}
	data, failed := json.Marshal(run)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return files.Write(filepath.Join(out, "run.json"), data)
}
