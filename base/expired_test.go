// SPDX-License-Identifier: Apache-2.0

package base

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin/repo"
)

// TestExpired asks a real apt for lists that have expired, of a stand-in signed by the test's key: it takes them from the
// sources of a mirror by date, and from no others.
func TestExpired(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"apt-get", "apt-ftparchive", "gpg"} {
		if _, err := exec.LookPath(name); err != nil {
			require.Missing(t, "apt", err)
		}
	}
	dir := t.TempDir()
	suite := filepath.Join(dir, "suite")
	packages := filepath.Join(suite, "main", "binary-amd64", "Packages")
	if err := os.MkdirAll(filepath.Dir(packages), 0o755); err != nil {
		t.Fatal(err)
	}
	key, trusted := repo.NewKey(t, false), filepath.Join(dir, "key.asc")
	for file, data := range map[string][]byte{packages: nil, trusted: key.Armored} {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	repo.Release(t, key, suite, "Suite=trixie", "Codename=trixie", "Components=main", "Date=Mon, 01 Jan 2024 00:00:00 UTC", "ValidTime=1", "Valid-Until=Mon, 08 Jan 2024 00:00:00 UTC")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, file, _ := strings.Cut(r.URL.Path, "/dists/trixie/")
		http.ServeFile(w, r, filepath.Join(suite, filepath.Clean("/"+file)))
	}))
	t.Cleanup(server.Close)
	update := func(mirror string) string {
		t.Helper()
		root := t.TempDir()
		config := filepath.Join(root, "apt.conf")
		sources := mirrorOf(t, mirror).mirrored("deb http://own.example/debian trixie main\n")
		for file, text := range map[string]string{
			"sources.list": sources,
			"apt.conf": fmt.Sprintf(`Dir "%[1]s"; Dir::State "%[1]s/state"; Dir::State::status "/dev/null"; Dir::Cache "%[1]s/cache"; Dir::Etc "%[1]s";
Dir::Etc::SourceList "%[1]s/sources.list"; Dir::Etc::SourceParts "/dev/null"; Dir::Etc::trusted "%[2]s"; Dir::Etc::trustedparts "/dev/null";
Acquire::Check-Valid-Until "true"; APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::http::Proxy "DIRECT";
`, root, trusted),
			"state/lists/partial/x": "", "cache/archives/partial/x": "",
		} {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "apt-get", "--error-on=any", "update")
		cmd.Env = append(os.Environ(), "APT_CONFIG="+config, "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out)
		}
		return ""
	}
	if said := update(server.URL + "/archive/{archive}/20240101T000000Z"); said != "" {
		t.Errorf("a mirror by date: apt says\n%s", said)
	}
	if said := update(server.URL); !strings.Contains(said, "is expired") {
		t.Errorf("another mirror: apt says %q, want that its lists have expired", said)
	}
}
