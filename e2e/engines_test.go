// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// engineTest is an engine with a daemon of the test's own, and a cudabuild whose observer is a stand-in.
type engineTest struct {
	engine, program, layout, state string
	variable                       string // that names the address to cudabuild
	endpoint                       daemon.Endpoint
	groups                         string // name of the cgroup that containers have theirs in, "" if it is not the test's own
	gzipOnly                       bool
	registry                       string // its host, which has the images too
}

// TestEngines makes rows with docker 20.10 by NVIDIA's runtime, docker 29 and podman 4.3 by CDI. The GPUs are
// stand-ins, which a stand-in CDI specification brings: the rows say so.
func TestEngines(t *testing.T) {
	t.Parallel()
	program, images := standInProgram(t), standInImages(t)
	registry := upload(t, images)
	for engine, start := range map[string]func(t *testing.T, specs, registry string) engineTest{"docker 20.10": startDocker20, "docker 29": startDocker29, "podman 4.3": startPodman} {
		t.Run(engine, func(t *testing.T) {
			e := start(t, standInSpecification(t), registry)
			e.program, e.layout, e.state, e.registry = program, images, t.TempDir(), registry
			t.Run("rows", func(t *testing.T) { e.testRows(t) })
			t.Run("registry", func(t *testing.T) { e.testRegistry(t) })
			t.Run("limits", func(t *testing.T) { e.testLimits(t) })
			t.Run("run", func(t *testing.T) { e.testRun(t) })
			t.Run("killed client", func(t *testing.T) { e.testKilled(t) })
			e.empty(t)
		})
	}
}

// standInProgram is a folder's cudabuild, beside which lies an observer that takes a stand-in for the driver.
func standInProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(dir, "observe-"+runtime.GOARCH), "./standin/observe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile("../bin/cudabuild")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "cudabuild")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// standInImages is an OCI layout with a stand-in sample as gzip and zstd.
func standInImages(t *testing.T) string {
	t.Helper()
	files, err := standin.Programs("sh", "cat", "sleep")
	if err != nil {
		t.Fatal(err)
	}
	files["usr/bin/deviceQuery"] = imagetest.File(standin.Sample(t))
	files["etc/passwd"] = imagetest.Entry{Data: "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n"}
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for name, enc := range map[string]imagetest.Encoding{"gzip": imagetest.Gzip, "zstd": imagetest.Zstd} {
		img, err := mutate.Config(imagetest.New(imagetest.Layer(enc, imagetest.Files(files))), v1.Config{Cmd: []string{"deviceQuery"}, Env: []string{"PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=all"}, User: "app"})
		if err == nil {
			img = imagetest.ForArch(img, runtime.GOARCH)
			err = path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name}))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// upload puts the images of a layout into a registry, and returns its host.
func upload(t *testing.T, dir string) string {
	t.Helper()
	host := registrytest.Start(t, nil).Host
	for _, tag := range []string{"gzip", "zstd"} {
		if r := run(t, "skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", "oci:"+dir+":"+tag, "docker://"+host+"/sample:"+tag); r.code != 0 {
			t.Fatalf("skopeo copy: %s", r.stderr)
		}
	}
	return host
}

const standInVersion = "580.159.04"

// standInSpecification is a folder with a stand-in CDI specification: two GPUs whose nodes are /dev/null, files as
// the driver's kernel module has them, and a libcuda that is none.
func standInSpecification(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  " + standInVersion + "  Release Build\n",
		"libcuda.so":                 strings.Repeat("stand-in", 1000),
	}
	bind := func(from, to string) map[string]any {
		return map[string]any{"hostPath": filepath.Join(dir, from), "containerPath": to, "options": []string{"ro", "bind"}}
	}
	var devices, nodes, mounts []any
	for i := range 2 {
		n, bus := strconv.Itoa(i), "0000:0"+strconv.Itoa(i+1)+":00.0"
		uuid := "GPU-stand-in-" + n
		files["proc/driver/nvidia/gpus/"+bus+"/information"] = "Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t " + uuid + "\nBus Location: \t " + bus + "\nDevice Minor: \t " + n + "\n"
		files["node"+n] = ""
		node := map[string]any{"path": "/dev/nvidia" + n, "hostPath": "/dev/null", "type": "c", "major": 1, "minor": 3}
		mount := bind("node"+n, "/stand-in/dev/nvidia"+n)
		for _, name := range []string{n, uuid} {
			devices = append(devices, map[string]any{"name": name, "containerEdits": map[string]any{"deviceNodes": []any{node}, "mounts": []any{mount}}})
		}
		nodes, mounts = append(nodes, node), append(mounts, mount)
	}
	devices = append(devices, map[string]any{"name": "all", "containerEdits": map[string]any{"deviceNodes": nodes, "mounts": mounts}})
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
	spec, err := json.Marshal(map[string]any{
		"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": map[string]any{"mounts": []any{
			bind("proc", "/stand-in/proc"), bind("libcuda.so", "/usr/lib/x86_64-linux-gnu/libcuda.so."+standInVersion),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	specs := filepath.Join(dir, "cdi")
	if err := os.Mkdir(specs, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(specs, "stand-in.json"), string(spec))
	return specs
}

func endpoint(t *testing.T, engine, address string) daemon.Endpoint {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return daemon.Endpoint{Engine: engine, URL: u, From: "the test"}
}

// startDocker20 has GPUs come by nvidia-container-runtime in its mode cdi.
func startDocker20(t *testing.T, specs, _ string) engineTest {
	runtime, err := filepath.Abs("../bin/nvidia-container-runtime")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "nvidia-container-runtime"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "nvidia-container-runtime", "config.toml"), "[nvidia-container-runtime]\nmode = \"cdi\"\nruntimes = [\"runc\"]\n[nvidia-container-runtime.modes.cdi]\nspec-dirs = [\""+specs+"\"]\n")
	wrapper := filepath.Join(dir, "runtime")
	write(t, wrapper, "#!/bin/sh\nXDG_CONFIG_HOME="+dir+" exec "+runtime+" \"$@\"\n")
	if err := os.Chmod(wrapper, 0o755); err != nil {
		t.Fatal(err)
	}
	e := startDockerEngine(t, nil, "--add-runtime", "nvidia="+wrapper)
	e.gzipOnly = true
	return e
}

func startDocker29(t *testing.T, specs, _ string) engineTest {
	return startDockerEngine(t, docker29(t), "--cdi-spec-dir", specs)
}

// startDockerEngine starts a dockerd whose containers have cgroups below one of the test's own.
func startDockerEngine(t *testing.T, env []string, more ...string) engineTest {
	group := fmt.Sprintf("cudabuild-e2e-%d", os.Getpid())
	t.Cleanup(func() { // after the daemon's end
		if err := dropGroups(group); err != nil {
			t.Error(err)
		}
	})
	address := startDockerd(t, env, append(more, "--cgroup-parent", "/"+group)...)
	return engineTest{engine: daemon.Docker, variable: "DOCKER_HOST=" + address, endpoint: endpoint(t, daemon.Docker, address), groups: group}
}

// startPodman starts podman's service with a /run of its own. Where the machine bounds processes more tightly
// than podman's defaults, it could start none; crun does not take cgroups of both versions.
func startPodman(t *testing.T, specs, registry string) engineTest {
	dir, err := os.MkdirTemp("", "podman-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/containers.conf", "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n")
	write(t, dir+"/registries.conf", "[[registry]]\nlocation = \""+registry+"\"\ninsecure = true\n")
	address := "unix://" + dir + "/socket"
	e := engineTest{engine: daemon.Podman, variable: "CONTAINER_HOST=" + address, endpoint: endpoint(t, daemon.Podman, address)}
	env := []string{"CONTAINERS_CONF=" + dir + "/containers.conf", "CONTAINERS_REGISTRIES_CONF=" + dir + "/registries.conf"}
	startDaemon(t, dir, env, func() bool { c, err := daemon.Open(t.Context(), e.endpoint); closed(c); return err == nil },
		"sh", "-c", `mount -t tmpfs tmpfs /run && mkdir /run/cdi && mount --bind "$1" /run/cdi && exec podman --root "$0/root" --runroot "$0/run" system service --time 0 "unix://$0/socket"`, dir, specs)
	return e
}

func closed(c *daemon.Client) {
	if c != nil {
		c.Close()
	}
}

// cudabuild runs the program with the engine.
func (e engineTest) cudabuild(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, "env", append([]string{e.variable, "CUDABUILD_STATE_DIR=" + e.state, e.program}, args...)...)
}

func (e engineTest) rows(t *testing.T, args ...string) ([]gpu.Row, result) {
	t.Helper()
	r := e.cudabuild(t, append([]string{"gpu", "--json", "--engine", e.engine}, args...)...)
	var doc struct{ Rows []gpu.Row }
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatalf("gpu %v: exit %d\n%s", args, r.code, r.stderr)
	}
	return doc.Rows, r
}

func (e engineTest) image(tag string) string { return "oci:" + e.layout + ":" + tag }

// testRows streams images to the daemon, which none of them outlives.
func (e engineTest) testRows(t *testing.T) {
	ledger := t.TempDir()
	rows, r := e.rows(t, "--gpus", "1", "--repeat", "2", "--ledger", ledger, e.image("gzip"), e.image("zstd"))
	if r.code != 0 || len(rows) != 4 {
		t.Fatalf("exit %d, %d rows\n%s", r.code, len(rows), r.stderr)
	}
	for _, row := range rows {
		if row.Result != gpu.Passed || !row.StandIn || row.Engine != e.engine || !slices.Equal(row.Devices, []string{"GPU-stand-in-1"}) || !slices.Equal(row.DeviceNodes, []string{"/dev/nvidia1"}) ||
			row.Seen == nil || row.Seen.Driver != standInVersion || len(row.Seen.Devices) != 1 || !strings.Contains(row.Under.Daemon, e.engine) {
			t.Errorf("row %+v\nunder %+v, seen %+v", row, row.Under, row.Seen)
		}
	}
	t.Logf("under %+v, to main %.2f s", *rows[3].Under, rows[3].Seconds.ToMain)
	if kept, err := gpu.ReadLedger(ledger); err != nil || len(kept) != 4 {
		t.Errorf("the ledger has %d rows, %v", len(kept), err)
	}
	if rows, r := e.rows(t, e.image("gzip")); r.code != 0 || len(rows[0].DeviceNodes) != 2 {
		t.Errorf("all GPUs: exit %d, %+v", r.code, rows)
	}
	if rows, r := e.rows(t, "--gpus", "none", e.image("gzip")); r.code != 3 || rows[0].Result != gpu.Waived || rows[0].Agrees == nil || !*rows[0].Agrees || len(rows[0].DeviceNodes) > 0 {
		t.Errorf("no GPU: exit %d, %+v", r.code, rows)
	}
	if r := e.cudabuild(t, "gpu", "--engine", e.engine, "--gpus", "7", e.image("gzip")); r.code != 3 || !strings.Contains(r.stderr, "no such GPU") {
		t.Errorf("GPU 7: exit %d\n%s", r.code, r.stderr)
	}
	e.empty(t)
}

// testRegistry has the daemon pull images, by digest.
func (e engineTest) testRegistry(t *testing.T) {
	for _, tag := range []string{"zstd", "gzip"} { // a daemon that has one has the other: their configuration is the same
		r := e.cudabuild(t, "gpu", "--engine", e.engine, e.registry+"/sample:"+tag)
		if tag == "zstd" && e.gzipOnly {
			if r.code != 3 || !strings.Contains(r.stderr, "reads no zstd layers (docker 23 does)") || !strings.Contains(r.stderr, "--compression gzip") {
				t.Errorf("zstd: exit %d\n%s", r.code, r.stderr)
			}
		} else if r.code != 0 {
			t.Errorf("%s: exit %d\n%s%s", tag, r.code, r.stdout, r.stderr)
		}
	}
	c, err := daemon.Open(t.Context(), e.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pulled, err := c.Images(t.Context())
	if err != nil || len(pulled) == 0 {
		t.Errorf("pulled images stay: %v, %v", pulled, err)
	}
	for _, img := range pulled {
		if err := c.RemoveImage(t.Context(), img.ID); err != nil {
			t.Error(err)
		}
	}
}

const engineTests = `version: 1
tests:
- {name: slow, gpus: 0, run: [sh, -c, 'echo begun; sleep 600'], expect: {max_seconds: 2}}
- {name: user, gpus: 0, run: [sh, -c, 'read x </proc/self/status; : >/tmp/written && echo written'], expect: {stdout: nothing}}
- {name: missing, gpus: 0, run: [nothing]}
`

func (e engineTest) testLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tests.yaml")
	write(t, file, engineTests)
	rows, r := e.rows(t, "--gpus", "none", "--tests", file, e.image("gzip"))
	if r.code != 1 || len(rows) != 3 {
		t.Fatalf("exit %d, %d rows\n%s", r.code, len(rows), r.stderr)
	}
	for i, want := range []string{"no end within 2s", "", "nothing"} {
		if rows[i].Result != gpu.Failed || !strings.Contains(rows[i].Reason, want) {
			t.Errorf("%s: %s, %q, want %q", rows[i].Sample, rows[i].Result, rows[i].Reason, want)
		}
	}
	e.empty(t)
}

func (e engineTest) testRun(t *testing.T) {
	r := e.cudabuild(t, "run", "--engine", e.engine, "--device", "nvidia.com/gpu=1", "--shm-size", "3m", "-u", "0", "-w", "/made/on/the/way", "-e", "A=b", e.image("gzip"),
		"sh", "-c", "echo /dev/nvidia? $A; pwd; cat /proc/mounts; echo err >&2; exit 7")
	if r.code != 7 || !strings.HasPrefix(r.stdout, "/dev/nvidia1 b\n/made/on/the/way\n") || !strings.Contains(r.stdout, "size=3072k") || r.stderr != "err\n" {
		t.Errorf("run: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	cat := exec.CommandContext(t.Context(), e.program, "run", "--engine", e.engine, "--gpus", "none", "-i", e.image("gzip"), "cat")
	cat.Env, cat.Stdin = append(os.Environ(), e.variable), strings.NewReader(strings.Repeat("x", 1<<20))
	if out, err := cat.Output(); err != nil || len(out) != 1<<20 {
		t.Errorf("cat: %d bytes, %v", len(out), err)
	}
	folder := filepath.Join(t.TempDir(), "a:b")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "said"), "bound ")
	r = run(t, "env", "-C", folder, e.variable, "CUDABUILD_STATE_DIR="+e.state, e.program, "run", "--engine", e.engine, "--gpus", "none", "-u", "0", "-v", ".:/bound:ro", e.image("gzip"),
		"sh", "-c", "cat /bound/said; (: >/bound/said) 2>/dev/null || echo read-only")
	if r.code != 0 || r.stdout != "bound read-only\n" {
		t.Errorf("a folder with a colon: exit %d, %q\n%s", r.code, r.stdout, r.stderr)
	}
	e.testSignal(t)
	e.empty(t)
}

// testSignal sends a signal to a program that says when it waits for one.
func (e engineTest) testSignal(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), e.program, "run", "--engine", e.engine, "--gpus", "none", e.image("gzip"), "sh", "-c", `trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done`)
	cmd.Env = append(os.Environ(), e.variable)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "kill", "-TERM", strconv.Itoa(cmd.Process.Pid)); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("after SIGTERM: exit %d, want the trap's 9", cmd.ProcessState.ExitCode())
	}
}

// testKilled kills a client in the middle of a row: the container goes on, and the next client ends it.
func (e engineTest) testKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tests.yaml")
	write(t, file, "version: 1\ntests:\n- {name: slow, gpus: 0, run: [sleep, '600'], expect: {max_seconds: 600}}\n")
	cmd := exec.CommandContext(t.Context(), e.program, "gpu", "--engine", e.engine, "--gpus", "none", "--tests", file, e.image("gzip"))
	cmd.Env = append(os.Environ(), e.variable, "CUDABUILD_STATE_DIR="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := daemon.Open(t.Context(), e.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	until(t, "a row is being made", func() (bool, error) {
		all, err := c.List(t.Context(), docker.Label)
		return len(all) == 1 && all[0].State == "running" && strings.Contains(all[0].Command, "sleep"), err
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if all, err := c.List(t.Context(), docker.Label); err != nil || len(all) != 1 || all[0].State != "running" {
		t.Errorf("after the client's end there are %+v, %v, want its container, running", all, err)
	}
	if rows, r := e.rows(t, e.image("zstd")); r.code != 0 || len(rows) != 1 {
		t.Errorf("the next client: exit %d\n%s", r.code, r.stderr)
	}
	e.empty(t)
}

// until waits until something is so.
func until(t *testing.T, what string, is func() (bool, error)) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		if ok, err := is(); err != nil {
			t.Fatal(err)
		} else if ok {
			return
		}
	}
	t.Fatalf("%s: not after %s", what, patience)
}

// empty wants that the daemon has neither containers nor images, and that there is no cgroup of one.
func (e engineTest) empty(t *testing.T) {
	t.Helper()
	c, err := daemon.Open(t.Context(), e.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	containers, err1 := c.List(t.Context(), docker.Label)
	images, err2 := c.Images(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if len(containers)+len(images) > 0 {
		t.Errorf("left in the daemon: %+v, %+v", containers, images)
	}
	if e.groups == "" {
		return
	}
	if left := groups(e.groups + "/*"); len(left) > 0 {
		t.Errorf("left cgroups: %v", left)
	}
}

// docker29 are the variables with which dockerd is the one of `make bin/docker29/dockerd`.
func docker29(t *testing.T) []string {
	t.Helper()
	programs, err := filepath.Abs("../bin/docker29")
	if err == nil {
		_, err = os.Stat(filepath.Join(programs, "dockerd"))
	}
	if err != nil {
		require.Missing(t, "docker29", err)
	}
	return []string{"PATH=" + programs + ":" + os.Getenv("PATH")}
}
