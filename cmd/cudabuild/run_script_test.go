// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// TestRunScript runs `cudabuild run` with real containers, which get no GPU.
func TestRunScript(t *testing.T) {
	tools := filepath.Dir(require.Tool(t, "../../bin", "runc"))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/run",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+tools)
			env.Setenv("CUDABUILD_STATE_DIR", env.Getenv("WORK")+"/state")
			env.Setenv("NV_GPU", "none")
			return nil
		},
	})
}

// runImages are those of mkRunnable, with this host's shell and what it calls in each.
var runImages = map[string]runImage{
	"sh": {config: v1.Config{Cmd: []string{"sh", "-c", "echo by default"}}},
	"entry": {config: v1.Config{
		Entrypoint: []string{"sh", "-c"}, Cmd: []string{"echo $A; id; pwd"}, User: "app", WorkingDir: "/srv/made/on/the/way", Env: []string{"A=image"},
	}},
	"nothing": {},
	"steady":  figures(`"result":"PASS","gflops":100`),
	"slow":    figures(`"result":"PASS","gflops":80`),
	"broken":  figures(`"result":"FAIL","error":"sums differ"`),
	"nbody":   {config: v1.Config{Cmd: []string{"nbody"}}}, // in name only
	"waived":  script("#!/bin/sh", `{"version":1,"sample":"nbody","result":"WAIVED","error":"no device","loaded":["/lib/b.so","/lib/a.so"],"precision":"'$LD_BIND_NOW'"}`, 2),
	"older":   script("#!/bin/sh", `{"version":1,"sample":"nbody","result":"FAIL","error":"libcurand 10.3.0 is older than 10.3.5, which this was built with"}`, 1),
	"halted":  script("#!/bin/none", "", 0),
	"hostile": {
		config: v1.Config{Cmd: []string{"sh", "-c", "echo inside"}},
		files: []map[string]imagetest.Entry{
			{"up": {Symlink: "../../../.."}, "etc/hosts": {Symlink: "/../../../../../../escaped"}},
			{"up/escaped": {Data: "x"}},
		},
	},
}

type runImage struct {
	config v1.Config
	files  []map[string]imagetest.Entry
}

// script is an image whose nbody is a shell script.
func script(shell, prints string, code int) runImage {
	text := fmt.Sprintf("%s\necho '%s'\nexit %d\n", shell, prints, code)
	return runImage{v1.Config{Cmd: []string{"nbody"}}, []map[string]imagetest.Entry{{"bin/nbody": {Data: text, Mode: 0o755}}}}
}

// figures is an image whose nbody says what it is told to, on no GPU at all.
func figures(says string) runImage {
	img := script("#!/bin/sh", `{"version":1,"sample":"nbody","bodies":1000,"precision":"single","libcuda_path":"/libcuda.so.1",`+says+"}", 0)
	img.config.Labels = map[string]string{ocispec.AnnotationTitle: "12.4-nbody-test"}
	return img
}

// mkRunnable is the scripts' command `mkrunnable DIR KIND...`: an OCI layout with an
// image for each KIND.
func mkRunnable() {
	if err := writeRunnable(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeRunnable(dir string, kinds []string) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	programs, err := standin.Programs("sh", "cat", "id", "sleep", "stty", "touch", "ls")
	if err != nil {
		return err
	}
	programs["etc/passwd"] = imagetest.Entry{Data: "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"}
	programs["etc/group"] = imagetest.Entry{Data: "root:x:0:\napp:x:1001:\nmore:x:1002:app\n"}
	programs["srv"] = imagetest.Entry{Dir: true, Mode: 0o777}
	base := imagetest.Layer(imagetest.Gzip, imagetest.Files(programs))
	for _, kind := range kinds {
		layers := []*imagetest.Blob{base}
		for _, files := range runImages[kind].files {
			layers = append(layers, imagetest.Layer(imagetest.Gzip, imagetest.Files(files)))
		}
		img, configErr := mutate.Config(imagetest.New(layers...), runImages[kind].config)
		tag := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": kind})
		err = errors.Join(err, configErr, path.AppendImage(img, tag))
	}
	return err
}
