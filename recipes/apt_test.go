// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
)

// aptGet stands in for apt-get in an install script: the real one, which only says what
// it would fetch.
const aptGet = `#!/bin/sh
exec apt-get --print-uris -o Dir::State::status=/dev/null -o APT::Architecture=amd64 "$@"
`

// TestMirrorInStep runs the install script with real apt on lists that know no mirror:
// apt has to find them, and to fetch from the mirror if there is one.
func TestMirrorInStep(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("apt-get")
	if err != nil {
		require.Missing(t, "apt", err)
	}
	for mirror, want := range map[string]string{
		"":                      "'http://own.example/debian/pool/h/hello_1_amd64.deb'",
		"http://mirror.example": "'http://mirror.example/debian/pool/h/hello_1_amd64.deb'",
		"http://10.0.0.1:3142":  "'http://10.0.0.1:3142/debian/pool/h/hello_1_amd64.deb'",
		"http://mirror.example/my_apt/@/20240101T000000Z": "'http://mirror.example/my_apt/debian/20240101T000000Z/pool/h/hello_1_amd64.deb'",
		"http://mirror.example/api/@-remote":              "'http://mirror.example/api/debian-remote/pool/h/hello_1_amd64.deb'",
		"https://Mirror-1.Example:81":                     "'https://Mirror-1.Example:81/debian/pool/h/hello_1_amd64.deb'",
	} {
		t.Run(mirror, func(t *testing.T) { // not parallel: it writes programs and runs them
			dir := t.TempDir()
			files := map[string]string{
				"step":                   script(t, dir),
				"bin/apt-get":            strings.Replace(aptGet, "apt-get", program, 1),
				"run/index/sources.list": "deb [trusted=yes] http://own.example/debian trixie main\n",
				"run/index/lists/own.example_debian_dists_trixie_Release":                    "Suite: trixie\nComponents: main\nArchitectures: amd64\n",
				"run/index/lists/own.example_debian_dists_trixie_main_binary-amd64_Packages": packages,
				"tmp/x": "", "var/cache/apt/archives/partial/x": "", "var/cache/debconf/x": "", "var/lib/dpkg/x": "",
			}
			if mirror != "" {
				files["run/apt.conf"] = "Acquire::http::Proxy \"DIRECT\";\nCudabuild::Mirror \"" + mirror + "\";\n"
			}
			for name, text := range files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-eu", filepath.Join(dir, "step"))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "PACKAGES=hello", "EPOCH=0")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %s in\n%s", err, want, out)
			}
		})
	}
}

const packages = `Package: hello
Version: 1
Architecture: amd64
Filename: pool/h/hello_1_amd64.deb
Size: 1
SHA256: 0000000000000000000000000000000000000000000000000000000000000000
`

// script is apt's install script with all its folders below dir.
func script(t testing.TB, dir string) string {
	t.Helper()
	c := load(t)
	o, _ := c.OS("debian13")
	return strings.NewReplacer(
		"/run/cudabuild/", dir+"/run/", `Dir::State::Lists`, `Dir::Cache "`+dir+`/var/cache/apt"; Dir::State::Lists`, "/tmp/", dir+"/tmp/", "/var/", dir+"/var/",
	).Replace(c.Manager(o).Install)
}
