// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cudabuild/cudabuild/internal/golden"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cudabuild": checkedMain, "mkimage": mkImage, "mkpassed": mkPassed, "mklocked": mkLocked, "mkrunnable": mkRunnable, "holdstate": holdState, "holdimages": holdImages, "rawlogs": rawLogs})
}

// TestScript runs the command line's behaviour, one file per topic.
func TestScript(t *testing.T) {
	registry := httptest.NewServer(memory.New(memory.Logger(log.New(io.Discard, "", 0)))) //nolint:forbidigo // what it wants
	t.Cleanup(registry.Close)
	vendor := newUpdateVendor(t)
	all, err := filepath.Abs("../../recipes")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("REGISTRY", strings.TrimPrefix(registry.URL, "http://"))
			env.Setenv("TEST_TODAY", "2026-12-01") // support ends by the calendar, which stands still here
			env.Setenv("VENDOR_RECIPES", vendor.Recipes)
			env.Setenv("VENDOR_TREE", vendor.Tree)
			env.Setenv("ALL_RECIPES", all)
			env.Setenv("XDG_CACHE_HOME", env.Getenv("WORK")+"/.cache") // $HOME does not exist, and root could make it
			return nil
		},
	})
}
