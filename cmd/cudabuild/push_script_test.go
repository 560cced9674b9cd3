// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// mkPassed is the scripts' command `mkpassed OUT TEXT CELL...`: it leaves in OUT what a run
// leaves whose cells passed with warnings. Images of another text are others.
func mkPassed() {
	out := os.Args[1]
	path, err := layout.Write(filepath.Join(out, "images"), empty.Index)
	run := record.Run{Version: 1, Inputs: []record.Input{}}
	for _, cell := range os.Args[3:] {
		img := imagetest.New(imagetest.Layer(imagetest.Zstd, imagetest.Files(map[string]imagetest.Entry{"etc/text": {Data: cell + os.Args[2]}})))
		digest, failed := img.Digest()
		if err = errors.Join(err, failed); err == nil {
			err = path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": cell, image.FullNameAnnotation: "cuda:" + cell}))
		}
		run.Cells = append(run.Cells, record.Cell{
			ID: cell, Status: record.Passed, Digest: digest.String(), Tags: []string{"cuda:" + cell}, Rows: []record.Row{},
			Images: []verify.Report{{Digest: digest.String(), Platform: "linux/amd64", Rules: verify.RulesVersion(), Verdict: verify.Warn, Findings: []verify.Finding{}}},
		})
	}
	run.Sum()
	data, failed := json.Marshal(run)
	if err = errors.Join(err, failed); err == nil {
		err = files.Write(filepath.Join(out, "run.json"), data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
