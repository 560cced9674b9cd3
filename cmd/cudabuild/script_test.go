// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cudabuild/cudabuild/internal/golden"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cudabuild": checkedMain, "mkimage": mkImage, "mkrunnable": mkRunnable, "holdstate": holdState, "holdimages": holdImages, "rawlogs": rawLogs})
}

// TestScript runs the command line's behaviour, one file per topic.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", env.Getenv("WORK")+"/.cache") // $HOME does not exist, and root could make it
			return nil
		},
	})
}
