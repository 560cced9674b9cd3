// SPDX-License-Identifier: Apache-2.0

package container_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// placeNBody is a runner with an image of nbody, and MPS; both are stand-ins.
func placeNBody(t *testing.T) (*container.Runner, container.Program, *container.MPS) {
	t.Helper()
	r, p := place(t)
	p.Args = []string{"nbody"}
	dir := t.TempDir()
	control, server := filepath.Join(dir, "nvidia-cuda-mps-control"), filepath.Join(dir, "nvidia-cuda-mps-server")
	for _, file := range []string{filepath.Join(p.Root[0], "usr/bin/nbody"), control, server} {
		if err := os.WriteFile(file, standin.Sample(t), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r, p, &container.MPS{Control: control, Server: server, Threads: 33}
}

func TestTogether(t *testing.T) {
	r, p, mps := placeNBody(t)
	for _, engine := range container.Engines() {
		for name, how := range map[string]*container.MPS{"by turns": nil, "mps": mps} {
			t.Run(string(engine)+" "+name, func(t *testing.T) {
				p.Engine = engine
				got, err := r.Together(t.Context(), p, 3, how)
				if err != nil {
					t.Fatal(err)
				}
				empty(t, r)
				for i, out := range got.Outcomes {
					if out.Problem != "" || out.ExitCode != 0 || !strings.Contains(string(out.Stdout), `"PASS"`) {
						t.Errorf("client %d: %s\n%s%s", i, brief(out), out.Stdout, out.Stderr)
					}
				}
				if len(got.Outcomes) != 3 || got.Wall <= 0 {
					t.Errorf("%d outcomes, %s", len(got.Outcomes), got.Wall)
				}
				switch said := strings.Count(got.Log, "client of 33 percent"); {
				case how == nil && got.Served+said > 0:
					t.Errorf("without MPS %d clients were served", got.Served)
				case how != nil && (got.Served != 3 || said != 3):
					t.Errorf("served %d clients, %d of them with 33 percent; log: %s", got.Served, said, got.Log)
				}
			})
		}
	}
}

// TestTogetherWithoutDaemon: a control daemon that ends at once is an error that has
// its words, and leaves nothing.
func TestTogetherWithoutDaemon(t *testing.T) {
	r, p, mps := placeNBody(t)
	mps.Control = filepath.Join(p.Root[0], "usr/bin/deviceQuery")
	if err := os.WriteFile(mps.Control+"-seven", []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	mps.Control += "-seven"
	_, err := r.Together(t.Context(), p, 2, mps)
	if err == nil || !strings.Contains(err.Error(), "the MPS control daemon ended") {
		t.Errorf("Together = %v, want that the daemon ended", err)
	}
	empty(t, r)
}

// TestTogetherKilled: when the owner of clients and daemon is killed, all of them end.
func TestTogetherKilled(t *testing.T) {
	r, p, _ := placeNBody(t)
	owner := startOwner(t, r.Dir, "CUDABUILD_TEST_TOGETHER=1")
	program(t, r.Dir) // wait until a client runs
	kill(t, owner.Process.Pid)
	_ = owner.Wait()
	gone(t, r.Dir)
	p.Args = []string{"deviceQuery"}
	if out := run(t, r, p, "seven"); out.ExitCode != 7 {
		t.Errorf("the next run: %s", brief(out))
	}
}
