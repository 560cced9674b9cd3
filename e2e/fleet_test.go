// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/record"
)

// kubernetes is a cluster of one node in namespaces of its own.
type kubernetes struct {
	dir, observer string
	images        []string // of deviceQuery and nbody
}

const clusterScript = "../scripts/cluster.sh"

// testFleet makes rows on a real Kubernetes without GPUs, and has some placed on stand-in nodes.
func testFleet(t *testing.T, f fixture) {
	k := startKubernetes(t)
	r := k.in(t, f.program, "fleet", "install", "--to", "127.0.0.1:5000/observe")
	if k.observer = strings.TrimSpace(r.stdout); r.code != 0 {
		t.Fatalf("fleet install: exit %d\n%s", r.code, r.stderr)
	}
	for _, cell := range []string{cells[0], cells[3], cells[4]} {
		to := "127.0.0.1:5000/cuda:" + cell
		if r := k.in(t, "skopeo", "copy", "--quiet", "--dest-tls-verify=false", f.oci(cell), "docker://"+to); r.code != 0 {
			t.Fatalf("skopeo copy: %s", r.stderr)
		}
		k.images = append(k.images, to)
	}
	t.Run("ten rows", func(t *testing.T) { k.testTenRows(t, f) })
	t.Run("kills", func(t *testing.T) { k.testKills(t, f) })
	t.Run("no row", func(t *testing.T) { k.testNoRow(t, f) })
	t.Run("restricted", func(t *testing.T) { k.testRestricted(t, f) })
	t.Run("placed", func(t *testing.T) { k.testPlaced(t, f) })
}

func startKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	for _, program := range []string{"kubernetes", "containerd", "skopeo"} {
		if _, err := exec.LookPath(program); err != nil {
			require.Missing(t, "kubernetes", err)
		}
	}
	dir, err := os.MkdirTemp("", "k-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	k := &kubernetes{dir: filepath.Join(dir, "c")}
	t.Cleanup(func() {
		down := exec.CommandContext(context.WithoutCancel(t.Context()), clusterScript, "down")
		down.Env = k.env()
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("cluster.sh down: %v\n%s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	begun := time.Now()
	if r := k.script(t, "up"); r.code != 0 {
		t.Fatalf("cluster.sh up: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	t.Logf("up after %.1f s", time.Since(begun).Seconds())
	return k
}

func (k *kubernetes) env() []string { return append(os.Environ(), "CUDABUILD_CLUSTER_DIR="+k.dir) }

func (k *kubernetes) script(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, "env", append([]string{"CUDABUILD_CLUSTER_DIR=" + k.dir, clusterScript}, args...)...)
}

// start starts a command in there, which nothing waits for longer than five minutes. The process is nsenter's; its child is
// the command, which ends with the cluster.
func (k *kubernetes) start(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *strings.Builder) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(stop)
	cmd, stdout = exec.CommandContext(ctx, clusterScript, append([]string{"in"}, args...)...), &strings.Builder{}
	cmd.WaitDelay = time.Second
	cmd.Env, cmd.Stdout, cmd.Stderr = k.env(), stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

// kill ends a command that was started in there, at once.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	pid := strings.TrimSpace(read(t, fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)))
	if r := run(t, "kill", "-9", pid); r.code != 0 {
		t.Fatalf("kill %s: %s", pid, r.stderr)
	}
	_ = cmd.Wait()
}

// in runs a command where the cluster is.
func (k *kubernetes) in(t *testing.T, args ...string) result {
	t.Helper()
	return k.script(t, append([]string{"in"}, args...)...)
}

// shown is what fleet run printed.
type shownRows struct {
	Rows     []record.Row
	Problems []struct{ Job, Why string }
	Left     []struct{ Why string } `json:"left_out"`
}

func (k *kubernetes) rows(t *testing.T, f fixture, args ...string) (shownRows, result) {
	t.Helper()
	r := k.in(t, append([]string{f.program, "fleet", "run", "--json", "--observer", k.observer}, args...)...)
	var doc shownRows
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatalf("fleet run: exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	return doc, r
}

// empty wants that nothing of a run is left in the cluster.
func (k *kubernetes) empty(t *testing.T) {
	t.Helper()
	var left string
	for range 60 {
		left = ""
		for _, path := range []string{"api/v1/pods", "apis/batch/v1/jobs", "api/v1/configmaps"} {
			r := k.in(t, "curl", "-sfk", "-H", "Authorization: Bearer admin", "https://127.0.0.1:6443/"+path+"?labelSelector=cudabuild.run")
			var list struct {
				Items []struct{ Metadata struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, r.stderr)
			}
			for _, item := range list.Items {
				left += " " + item.Metadata.Name
			}
		}
		if left == "" {
			return
		}
		time.Sleep(time.Second)
	}
	t.Errorf("left in the cluster:%s", left)
}

// testTenRows runs the samples without a driver: error 35 is predicted, and seen.
func (k *kubernetes) testTenRows(t *testing.T, f fixture) {
	ledger := t.TempDir()
	for range 2 { // the second run begins while the cluster still removes what is left of the first
		begun := time.Now()
		doc, r := k.rows(t, f, "--gpus", "none", "--repeat", "5", "--ledger", ledger, k.images[1], k.images[2])
		t.Logf("ten rows in %.1f s", time.Since(begun).Seconds())
		if r.code != 3 || len(doc.Rows) != 10 || len(doc.Problems) > 0 { // no device: waived
			t.Fatalf("exit %d, %d rows, %+v\n%s", r.code, len(doc.Rows), doc.Problems, r.stderr)
		}
		for _, row := range doc.Rows {
			if row.Result != gpu.Waived || row.CUDAError != gpu.CUDAErrorName(compat.ErrorDriver) || row.Agrees == nil || !*row.Agrees || row.Engine != "k8s" || row.Node == nil || row.Node.Name != "node1" {
				t.Errorf("%s: %s %q, agrees %v, on %+v", row.Job, row.Result, row.CUDAError, row.Agrees, row.Node)
			}
		}
	}
	k.inLedger(t, ledger, 20)
	k.empty(t)
}

// inLedger wants so many rows, none twice.
func (k *kubernetes) inLedger(t *testing.T, ledger string, want int) {
	t.Helper()
	kept, err := gpu.ReadLedger(ledger)
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]int{}
	for _, o := range kept {
		jobs[o.Row.Run+o.Row.Job]++
	}
	if len(kept) != want || len(jobs) != want {
		t.Errorf("the ledger has %d rows of %d Jobs, want %d", len(kept), len(jobs), want)
	}
}

// testKills kills kubelet, containerd, API server and client, and has a pod taken away, while rows are being made.
func (k *kubernetes) testKills(t *testing.T, f fixture) {
	tests := filepath.Join(t.TempDir(), "tests.yaml")
	write(t, tests, "version: 1\ntests:\n- {name: slow, gpus: 0, run: [sh, -c, 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 1; done'], expect: {stdout: 'line 12'}}\n")
	for _, victim := range []string{"kubelet", "containerd", "apiserver", "client", "pod"} {
		t.Run(victim, func(t *testing.T) {
			ledger := t.TempDir()
			args := []string{f.program, "fleet", "run", "--json", "--observer", k.observer, "--gpus", "none", "--repeat", "3", "--tests", tests, "--ledger", ledger, k.images[0]}
			cmd, stdout := k.start(t, args...)
			k.untilRunning(t)
			switch victim {
			case "client":
				kill(t, cmd)
				r := k.in(t, args...)
				stdout.Reset()
				stdout.WriteString(r.stdout)
			case "pod":
				k.evict(t)
				_ = cmd.Wait()
			default:
				if r := k.script(t, "restart", victim); r.code != 0 {
					t.Fatalf("restart %s: exit %d\n%s", victim, r.code, r.stderr)
				}
				_ = cmd.Wait()
			}
			var doc shownRows
			if err := json.Unmarshal([]byte(stdout.String()), &doc); err != nil || len(doc.Rows) != 3 || len(doc.Problems) > 0 {
				t.Fatalf("%d rows, %+v, %v", len(doc.Rows), doc.Problems, err)
			}
			for _, row := range doc.Rows {
				if row.Result != gpu.Passed {
					t.Errorf("%s: %s, %s", row.Job, row.Result, row.Reason)
				}
			}
			k.inLedger(t, ledger, 3)
			k.empty(t)
		})
	}
}

// evict has the API server take a running pod away, as where a node is drained.
func (k *kubernetes) evict(t *testing.T) {
	t.Helper()
	const pods = "https://127.0.0.1:6443/api/v1/namespaces/default/pods"
	admin := []string{"curl", "-sfk", "-H", "Authorization: Bearer admin", "-H", "Content-Type: application/json"}
	r := k.in(t, append(admin, pods+"?labelSelector=cudabuild.run&fieldSelector=status.phase=Running")...)
	var all struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all.Items) == 0 {
		t.Fatalf("no pod runs: %v\n%s", err, r.stderr)
	}
	name := all.Items[0].Metadata.Name
	eviction := `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"` + name + `"}}`
	if r := k.in(t, append(admin, "-d", eviction, pods+"/"+name+"/eviction")...); r.code != 0 {
		t.Fatalf("evict %s: %s%s", name, r.stdout, r.stderr)
	}
}

// untilRunning waits until a row is being made.
func (k *kubernetes) untilRunning(t *testing.T) {
	t.Helper()
	for range 120 {
		r := k.in(t, "../bin/cudabuild", "fleet", "status", "--json")
		var doc struct{ Runs []struct{ Running int } }
		if err := json.Unmarshal([]byte(r.stdout), &doc); err == nil && slices.ContainsFunc(doc.Runs, func(r struct{ Running int }) bool { return r.Running > 0 }) {
			time.Sleep(2 * time.Second)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatal("no row is running")
}

// testNoRow: what cannot be run is said soon, and with the reason.
func (k *kubernetes) testNoRow(t *testing.T, f fixture) {
	gone := k.observer[:len(k.observer)-8] + "00000000"
	for name, tc := range map[string]struct {
		args []string
		why  string
	}{
		"observer is not there": {[]string{"--gpus", "none", "--observer", gone}, "not found"},
		"no node":               {[]string{"--driver", ">=535", "--gpu", "sm_90", "--wait", "5s"}, "no node within 5s: Unschedulable"},
		"no pod":                {[]string{"--driver", ">=535", "--gpu", "sm_90", "--wait", "1m", "--runtime-class", "nowhere"}, `RuntimeClass "nowhere" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			doc, r := k.rows(t, f, append(tc.args, k.images[1])...)
			if r.code != 3 || len(doc.Problems) != 1 || !strings.Contains(doc.Problems[0].Why, tc.why) {
				t.Errorf("exit %d, problems %+v, want %q\n%s", r.code, doc.Problems, tc.why, r.stderr)
			}
			k.empty(t)
		})
	}
}

// testRestricted: a namespace that admits only restricted pods, and a client with the role of docs/fleet.md.
func (k *kubernetes) testRestricted(t *testing.T, f fixture) {
	role := strings.Split(strings.SplitAfter(read(t, "../docs/fleet.md"), "```yaml\n")[1], "```")[0]
	setup := filepath.Join(t.TempDir(), "setup.yaml")
	write(t, setup, `apiVersion: v1
kind: Namespace
metadata: {name: gpu-tests, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
`+role+`---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: cudabuild-fleet, namespace: gpu-tests}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: cudabuild-fleet}
subjects: [{kind: User, name: nobody}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cudabuild-fleet-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cudabuild-fleet-nodes}
subjects: [{kind: User, name: nobody}]
`)
	nobody := []string{"--kubeconfig", "/run/cluster/nobody.conf", "--namespace", "gpu-tests", "--gpus", "none", k.images[1]}
	if r := k.in(t, append([]string{f.program, "fleet", "run", "--observer", k.observer}, nobody...)...); r.code != 3 || !strings.Contains(r.stderr, "docs/fleet.md has the role") {
		t.Errorf("without the role: exit %d\n%s", r.code, r.stderr)
	}
	k.apply(t, setup)
	doc, r := k.rows(t, f, nobody...)
	if len(doc.Rows) != 1 || len(doc.Problems) > 0 || doc.Rows[0].Result != gpu.Waived {
		t.Errorf("exit %d, %+v\n%s", r.code, doc, r.stderr)
	}
	k.empty(t)
}

// apply creates the objects of a file.
func (k *kubernetes) apply(t *testing.T, file string) {
	t.Helper()
	paths := map[string]string{
		"Namespace": "api/v1/namespaces", "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/gpu-tests/roles",
		"RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/gpu-tests/rolebindings", "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
		"ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		"DeviceClass":        "apis/resource.k8s.io/v1/deviceclasses", "ResourceSlice": "apis/resource.k8s.io/v1/resourceslices",
	}
	for i, doc := range strings.Split(read(t, file), "---\n") {
		kind := strings.Fields(strings.SplitAfter(doc, "kind: ")[1])[0]
		one := fmt.Sprintf("%s-%d", file, i)
		write(t, one, doc)
		if r := k.in(t, "curl", "-sfk", "-H", "Authorization: Bearer admin", "-H", "Content-Type: application/yaml", "--data-binary", "@"+one, "https://127.0.0.1:6443/"+paths[kind]); r.code != 0 {
			t.Fatalf("create %s: exit %d\n%s%s", kind, r.code, r.stdout, r.stderr)
		}
	}
}

// testPlaced has rows placed on twelve stand-in nodes of four drivers and three GPUs: 60 by their labels, and
// then 12 more by claims.
func (k *kubernetes) testPlaced(t *testing.T, f fixture) {
	nodes, _ := k.start(t, "kubernetes", "stand-in-nodes", "12")
	defer kill(t, nodes)
	labels := k.labelsOfNodes(t)
	tests := filepath.Join(t.TempDir(), "tests.yaml")
	write(t, tests, "version: 1\ntests:\n- {name: stand-in, run: ['true'], expect: {stdout: PASS}}\n")
	begun := time.Now()
	asks := []struct{ driver, gpu string }{{">=535", "sm_80"}, {"<580", "sm_90"}}
	for _, ask := range asks {
		k.placed(t, f, ask.driver, ask.gpu, 30, tests)
	}
	t.Logf("60 rows in %.1f s", time.Since(begun).Seconds())
	k.missing(t, f)
	k.tooFew(t, f)
	k.publish(t, labels)
	for _, ask := range asks {
		k.placed(t, f, ask.driver, ask.gpu, 6, tests)
	}
}

// labelsOfNodes waits for the stand-in nodes and returns their labels.
func (k *kubernetes) labelsOfNodes(t *testing.T) map[string]map[string]string {
	t.Helper()
	labels := map[string]map[string]string{}
	for range 60 {
		r := k.in(t, "curl", "-sfk", "-H", "Authorization: Bearer admin", "https://127.0.0.1:6443/api/v1/nodes?labelSelector=stand-in")
		var all struct {
			Items []struct {
				Metadata struct {
					Name   string
					Labels map[string]string
				}
			}
		}
		if err := json.Unmarshal([]byte(r.stdout), &all); err == nil && len(all.Items) == 12 {
			for _, n := range all.Items {
				labels[n.Metadata.Name] = n.Metadata.Labels
			}
			return labels
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatal("there are no stand-in nodes")
	return nil
}

// tooFew: rows that no node of the cluster is large enough for are not made. It does not wait for larger ones.
func (k *kubernetes) tooFew(t *testing.T, f fixture) {
	t.Helper()
	doc, r := k.rows(t, f, "--gpus", "4", k.images[2])
	few := 0
	for _, left := range doc.Left { // where the image runs
		if left.Why == "no such node has 4 GPUs: at most 2" {
			few++
		}
	}
	if r.code != 3 || len(doc.Rows)+len(doc.Problems) > 0 || few != 9 || len(doc.Left) != 12 || !strings.Contains(r.stderr, "there is nothing to run") {
		t.Errorf("exit %d, %+v\n%s", r.code, doc, r.stderr)
	}
}

// missing has the row placed that a gate lacks. What a stand-in says of it opens no gate.
func (k *kubernetes) missing(t *testing.T, f fixture) {
	t.Helper()
	dir := t.TempDir()
	matrix, plan, ledger := filepath.Join(dir, "matrix.yaml"), filepath.Join(dir, "plan.json"), filepath.Join(dir, "rows")
	write(t, matrix, read(t, f.matrix)+"\npublish:\n  require:\n    gpu: [{driver: '<580', gpu: [sm_90], samples: [nbody]}]\n")
	push := func(args ...string) result {
		return k.in(t, append([]string{f.program, "push", "127.0.0.1:5000/team/cuda", "--quiet", "-f", matrix, "--out", f.out, "--only", cells[0], "--only", cells[3], "--only", cells[4]}, args...)...)
	}
	if r := push("--stage", "e2e"); r.code != 0 {
		t.Fatalf("push --stage: exit %d\n%s", r.code, r.stderr)
	}
	r := push("--dry-run", "--json")
	write(t, plan, r.stdout)
	doc, r := k.rows(t, f, "--missing", plan, "--ledger", ledger)
	if len(doc.Rows) != 1 || len(doc.Problems)+len(doc.Left) > 0 {
		t.Fatalf("exit %d, %d rows, problems %+v, left out %+v\n%s", r.code, len(doc.Rows), doc.Problems, doc.Left, r.stderr)
	}
	if row := doc.Rows[0]; row.Sample != gpu.NBody || !row.StandIn || *row.Asked != (gpu.Asked{Driver: "<580", GPU: "sm_90", GPUs: 1}) {
		t.Errorf("row of %s, stand-in %v, asked %+v", row.Sample, row.StandIn, row.Asked)
	}
	if r := push("--dry-run", "--ledger", ledger); !strings.Contains(r.stdout, "says how a host with sm_90 and driver <580 makes one") {
		t.Errorf("exit %d, and no gate lacks a row\n%s%s", r.code, r.stdout, r.stderr)
	}
	k.empty(t)
}

// publish makes what NVIDIA's DRA driver would publish of the nodes.
func (k *kubernetes) publish(t *testing.T, labels map[string]map[string]string) {
	t.Helper()
	docs := []string{"apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {name: gpu.nvidia.com}\nspec: {selectors: [{cel: {expression: \"device.driver == 'gpu.nvidia.com'\"}}]}\n"}
	for node, l := range labels {
		driver := strings.ReplaceAll(l["nvidia.com/cuda.driver-version.full"], ".0", ".") // as a semantic version
		capability := l["nvidia.com/gpu.compute.major"] + "." + l["nvidia.com/gpu.compute.minor"] + ".0"
		device := fmt.Sprintf("attributes: {type: {string: gpu}, brand: {string: Nvidia}, productName: {string: %s}, driverVersion: {version: %s}, cudaComputeCapability: {version: %s}}", l["nvidia.com/gpu.product"], driver, capability)
		docs = append(docs, fmt.Sprintf("apiVersion: resource.k8s.io/v1\nkind: ResourceSlice\nmetadata: {name: %s}\nspec:\n  driver: gpu.nvidia.com\n  nodeName: %s\n  pool: {name: %s, generation: 1, resourceSliceCount: 1}\n  devices:\n  - {name: gpu-0, %s}\n  - {name: gpu-1, %s}\n",
			node, node, node, device, device))
	}
	file := filepath.Join(t.TempDir(), "published.yaml")
	write(t, file, strings.Join(docs, "---\n"))
	k.apply(t, file)
}

// placed wants rows on nodes that are what was asked for.
func (k *kubernetes) placed(t *testing.T, f fixture, driver, arch string, n int, tests string) {
	t.Helper()
	doc, r := k.rows(t, f, "--driver", driver, "--gpu", arch, "--repeat", strconv.Itoa(n), "--tests", tests, k.images[0])
	if len(doc.Rows) != n || len(doc.Problems) > 0 {
		t.Fatalf("%d rows, %+v, left out %+v\n%s", len(doc.Rows), doc.Problems, doc.Left, r.stderr)
	}
	for _, row := range doc.Rows {
		has := row.Node.Labels["nvidia.com/cuda.driver-version.full"]
		sm := "sm_" + row.Node.Labels["nvidia.com/gpu.compute.major"] + row.Node.Labels["nvidia.com/gpu.compute.minor"]
		// The image asks for 525.60.13, whatever is said on the command line.
		if !compat.DriverIs(driver, has) || sm != arch || compat.Compare(has, "525.60.13") < 0 {
			t.Errorf("%s: on %s with driver %s and %s, asked for %s and %s", row.Job, row.Node.Name, has, sm, driver, arch)
		}
		if !row.StandIn || row.Result != gpu.Passed || len(row.Devices) != 1 {
			t.Errorf("%s: stand-in %v, %s %s, devices %v", row.Job, row.StandIn, row.Result, row.Reason, row.Devices)
		}
	}
	k.empty(t)
}
