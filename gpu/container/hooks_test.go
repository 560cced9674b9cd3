// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/require"
)

// marker is in the environment of an image, in the place of a library of its own that
// every program loads.
const marker = "/cudabuild-test-preloaded.so"

// oldRunc is the one of Debian 12, which gives its hooks the container's environment
// where they have none of their own.
func oldRunc(t *testing.T) string { return require.Tool(t, "../../bin", "runc-1.1.5") }

// eachRunc runs a test with every runc that there is.
func eachRunc(t *testing.T, test func(*testing.T, *container.Runner, container.Program)) {
	for _, old := range []bool{false, true} {
		r, p := place(t)
		name := "bundled"
		if old {
			r.Runc, name = oldRunc(t), "old"
		}
		t.Run(name, func(t *testing.T) { test(t, r, p) })
	}
}

// TestHooksHaveNoEnvironmentOfTheImage: hooks run on the host, as root, whatever the
// specification says of theirs; what an image calls LD_PRELOAD must not reach one.
func TestHooksHaveNoEnvironmentOfTheImage(t *testing.T) {
	cp, err := exec.LookPath("cp")
	if err != nil {
		t.Fatal(err)
	}
	eachRunc(t, func(t *testing.T, r *container.Runner, p container.Program) {
		for name, env := range map[string]string{"none": "", "empty": `"env":[],`, "null": `"env":null,`, "one": `"env":["NVIDIA_CTK_DEBUG=false"],`} {
			for _, stage := range []string{"createRuntime", "createContainer", "poststart"} {
				seen := filepath.Join(t.TempDir(), "environ")
				p.Env = append(p.Env, "LD_PRELOAD="+marker, "CUDABUILD_TEST="+marker)
				p.CDI = fmt.Appendf(nil, `{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}],
					"containerEdits":{"hooks":[{%s"hookName":%q,"path":%q,"args":["cp","/proc/self/environ",%q]}]}}`, env, stage, cp, seen)
				p.Devices = []string{"x"}
				out := run(t, r, p, "seven")
				data, err := os.ReadFile(seen)
				if err != nil || out.ExitCode != 7 {
					t.Errorf("%s, env %s: the hook left nothing: %v; %s", stage, name, err, brief(out))
				}
				if bytes.Contains(data, []byte(marker)) || !bytes.Contains(data, []byte("PATH=")) {
					t.Errorf("%s, env %s: the hook had %q", stage, name, data)
				}
				if name == "one" && !bytes.Contains(data, []byte("NVIDIA_CTK_DEBUG=false")) {
					t.Errorf("%s: the hook lost what the specification gives it: %q", stage, data)
				}
			}
		}
	})
}

// TestMarksHaveNoEnvironmentOfTheImage: the hooks of our own that say when the others ran.
func TestMarksHaveNoEnvironmentOfTheImage(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n" + `tr '\0' '\n' </proc/self/environ >>"` + dir + "/seen\"\n" + `: >"$1"; sleep 0.02` + "\n" // longer than the step of the clock of files
	if err := os.WriteFile(filepath.Join(dir, "touch"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	eachRunc(t, func(t *testing.T, r *container.Runner, p container.Program) {
		p.Env = append(p.Env, "LD_PRELOAD="+marker)
		p.CDI = []byte(`{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}`)
		p.Devices = []string{"x"}
		if out := run(t, r, p, "seven"); out.ExitCode != 7 || out.Times.Hooks <= 0 {
			t.Errorf("the marks were not made: %s", brief(out))
		}
		seen, err := os.ReadFile(filepath.Join(dir, "seen"))
		if err != nil || bytes.Contains(seen, []byte(marker)) {
			t.Errorf("%v, touch had %q", err, seen)
		}
	})
}

// TestSound: a runc that hands the container's environment to hooks is not used, one
// beside it that does not is; and one is tried once.
func TestSound(t *testing.T) {
	r, _ := place(t)
	bundled, old := r.Runc, oldRunc(t)
	for name, test := range map[string]struct {
		candidates []string
		want       string
	}{
		"bundled":        {[]string{bundled}, bundled},
		"bundled first":  {[]string{bundled, old}, bundled},
		"old first":      {[]string{old, bundled}, bundled},
		"link to an old": {[]string{link(t, old), bundled}, bundled},
		"old alone":      {[]string{old}, ""},
		"no runtime":     {[]string{"/bin/false"}, ""},
	} {
		got, err := r.Sound(t.Context(), test.candidates...)
		if got != test.want || errors.Is(err, container.ErrUnsound) != (test.want == "") {
			t.Errorf("%s: Sound = %q, %v, want %q", name, got, err, test.want)
		}
		if name == "old alone" && (err == nil || !strings.Contains(err.Error(), old)) {
			t.Errorf("%s: %v, want its path", name, err)
		}
		empty(t, r)
	}
}

func link(t *testing.T, to string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "runc")
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSoundRemembers: what was seen of a runc holds for as long as its file is the same.
func TestSoundRemembers(t *testing.T) {
	r, _ := place(t)
	counted := filepath.Join(t.TempDir(), "runc")
	log := counted + ".log"
	script := "#!/bin/sh\necho \"$@\" >>" + log + "\nexec " + r.Runc + " \"$@\"\n"
	calls := func() int {
		data, _ := os.ReadFile(log)
		return strings.Count(string(data), " create ")
	}
	for i, want := range []int{1, 1, 2} {
		if i != 1 {
			if err := os.WriteFile(counted, append([]byte(script), strings.Repeat("#", i)...), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := r.Sound(t.Context(), counted); err != nil || got != counted {
			t.Fatalf("Sound = %q, %v", got, err)
		}
		if calls() != want {
			t.Errorf("created %d containers, want %d", calls(), want)
		}
	}
}
