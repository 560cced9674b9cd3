// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package place_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// nodes are stand-in nodes with one GPU each, around the places where the image of this test stops running. The
// driver's version as NVIDIA's DRA driver publishes it is the last word.
var nodes = []struct{ gpu, capability, driver, published string }{
	{"NVIDIA H100 80GB HBM3", "9.0", "525.60.12", "525.60.12"},
	{"NVIDIA H100 80GB HBM3", "9.0", "525.60.13", "525.60.13"},
	{"NVIDIA A100-SXM4-80GB", "8.0", "525.60.13", "525.60.13"},
	{"NVIDIA A100-SXM4-80GB", "8.0", "470.256.02", "470.256.2"},
	{"NVIDIA A100-SXM4-80GB", "8.0", "580.65.06", "580.65.6"},
	{"NVIDIA L40S", "8.9", "525.53", "525.53.0"},
	{"NVIDIA L40S", "8.9", "565.77", "565.77.0"},
	{"Tesla T4", "7.5", "580.159.04", "580.159.4"},
	{"Tesla V100-SXM2-32GB", "7.0", "550.54.14", "550.54.14"},
	{"NVIDIA B200", "10.0", "570.26", "570.26.0"},
	{"NVIDIA B200", "10.0", "999.10", "999.10.0"},
}

// TestPlaced has a real scheduler place pods with what `cudabuild emit` prints, one for each node, and
// wants it to do so where `cudabuild verify` says that the image runs.
func TestPlaced(t *testing.T) {
	api := connect(t)
	ref := programImage(t)
	affinity, claim := map[string]any{}, emitted(t, "dra", ref)
	if err := yaml.Unmarshal(emitted(t, "affinity", ref), &affinity); err != nil {
		t.Fatal(err)
	}
	api.post(t, "/apis/resource.k8s.io/v1/deviceclasses", object{
		"metadata": object{"name": "gpu.nvidia.com"},
		"spec":     object{"selectors": []object{{"cel": object{"expression": "device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'gpu'"}}}},
	})
	api.send(t, http.MethodPost, "/apis/resource.k8s.io/v1/namespaces/default/resourceclaimtemplates", "application/yaml", claim)
	t.Cleanup(func() {
		api.send(t, http.MethodDelete, "/apis/resource.k8s.io/v1/deviceclasses/gpu.nvidia.com", "", nil)
	})
	claims := object{"resourceClaims": []object{{"name": "gpu", "resourceClaimTemplateName": "app"}}}
	runs := map[string]bool{}
	for i, n := range nodes {
		node := fmt.Sprintf("place-%d", i)
		api.node(t, node, n.driver, n.published, gpu.GPU{Name: n.gpu, Capability: n.capability})
		err := cudabuild(t, "verify", "--driver", n.driver, "--gpu", n.gpu, ref).Run()
		runs[node] = err == nil
		api.pod(t, node, "affinity", affinity)
		api.pod(t, node, "dra", claims)
	}
	for node, want := range runs {
		for _, by := range []string{"affinity", "dra"} {
			if got, why := api.scheduled(t, node+"-"+by); got != want {
				t.Errorf("%s by %s: scheduled: %v (%s), want %v", node, by, got, why, want)
			} else {
				t.Logf("%s by %s: %v %s", node, by, got, why)
			}
		}
	}
}

func cudabuild(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "../../bin/cudabuild", args...)
	cmd.Env = append(os.Environ(), "CUDABUILD_CACHE_DIR="+t.TempDir())
	return cmd
}

func emitted(t *testing.T, form, ref string) []byte {
	out, err := cudabuild(t, "emit", form, ref).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// programImage is an image with a program of CUDA 12.4 that has code for Ampere and Hopper.
func programImage(t *testing.T) (ref string) {
	code := imagetest.Fatbin(append(imagetest.SASS(80, 90), imagetest.PTX(8, 4, 90))...)
	program := append(imagetest.Align(append(imagetest.ELF{Exports: []string{"main"}}.Bytes(), imagetest.Cudart(12040)...)), code...)
	files := imagetest.Files(map[string]imagetest.Entry{"usr/bin/app": imagetest.File(program)})
	img := imagetest.ForArch(imagetest.New(imagetest.Layer(imagetest.Zstd, files)), runtime.GOARCH)
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	err = errors.Join(err, path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "app"})))
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir + ":app"
}

type object map[string]any

// apiServer is a client that needs no module of Kubernetes'.
type apiServer struct {
	client  http.Client
	address string
	token   string
}

// connect reads KUBECONFIG, of scripts/cluster.sh.
func connect(t *testing.T) *apiServer {
	var config struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct{ User struct{ Token string } }
	}
	data, err := os.ReadFile(filepath.Clean(os.Getenv("KUBECONFIG")))
	if err == nil {
		err = yaml.Unmarshal(data, &config)
	}
	if err != nil || len(config.Clusters) == 0 || len(config.Users) == 0 {
		t.Fatalf("KUBECONFIG: %v: %+v", err, config)
	}
	tls := &tls.Config{InsecureSkipVerify: true} // a cluster of this test's own, on loopback
	return &apiServer{http.Client{Transport: &http.Transport{TLSClientConfig: tls}}, config.Clusters[0].Cluster.Server, config.Users[0].User.Token}
}

func (a *apiServer) send(t *testing.T, method, path, kind string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, a.address+path, bytes.NewReader(body))
	if t.Context().Err() != nil || err != nil { // of a cleanup
		request, err = http.NewRequest(method, a.address+path, bytes.NewReader(body)) //nolint:noctx // the test's context is over
	}
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", kind)
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %v, %s: %s", method, path, err, response.Status, answer)
	}
	return answer
}

func (a *apiServer) post(t *testing.T, path string, o object) {
	t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	a.send(t, http.MethodPost, path, "application/json", body)
}

// node makes a node that runs nothing, with the labels of its GPU, and the slice that NVIDIA's DRA driver would publish there.
func (a *apiServer) node(t *testing.T, name, driver, published string, g gpu.GPU) {
	labels := place.Labels(gpu.Host{Driver: driver, CUDA: compat.DriverCUDA(driver), GPUs: []gpu.GPU{g}})
	labels["kubernetes.io/hostname"], labels["kubernetes.io/os"], labels["kubernetes.io/arch"] = name, "linux", runtime.GOARCH
	room := object{"cpu": "8", "memory": "32Gi", "pods": "110"}
	a.post(t, "/api/v1/nodes", object{"metadata": object{"name": name, "labels": labels}, "status": object{"capacity": room, "allocatable": room}})
	t.Cleanup(func() { a.send(t, http.MethodDelete, "/api/v1/nodes/"+name, "", nil) })
	version := func(v string) object { return object{"version": v} }
	a.post(t, "/apis/resource.k8s.io/v1/resourceslices", object{
		"metadata": object{"name": name},
		"spec": object{
			"driver": "gpu.nvidia.com", "nodeName": name, "pool": object{"name": name, "generation": 1, "resourceSliceCount": 1},
			"devices": []object{{"name": "gpu-0", "attributes": object{
				"type": object{"string": "gpu"}, "brand": object{"string": "Nvidia"}, "driverVersion": version(published), "cudaComputeCapability": version(g.Capability + ".0"),
			}}},
		},
	})
	t.Cleanup(func() { a.send(t, http.MethodDelete, "/apis/resource.k8s.io/v1/resourceslices/"+name, "", nil) })
}

// pod makes one that may go to a node alone, with more in its spec.
func (a *apiServer) pod(t *testing.T, node, by string, more map[string]any) {
	container := object{"name": "app", "image": "registry.example.com/app"}
	if by == "dra" {
		container["resources"] = object{"claims": []object{{"name": "gpu"}}}
	}
	spec := object{
		"containers": []object{container}, "tolerations": []object{{"operator": "Exists"}}, "automountServiceAccountToken": false,
		"nodeSelector": object{"kubernetes.io/hostname": node}, "terminationGracePeriodSeconds": 0,
	}
	for key, value := range more {
		spec[key] = value
	}
	name := node + "-" + by
	a.post(t, "/api/v1/namespaces/default/pods", object{"metadata": object{"name": name}, "spec": spec})
	t.Cleanup(func() {
		a.send(t, http.MethodDelete, "/api/v1/namespaces/default/pods/"+name, "application/json", []byte(`{"gracePeriodSeconds":0}`))
	})
}

// scheduled waits until the scheduler has a node for the pod, or has said for a second that there is none: what it
// knows may be older than the pod.
func (a *apiServer) scheduled(t *testing.T, name string) (bool, string) {
	var pod struct {
		Spec   struct{ NodeName string }
		Status struct {
			Conditions []struct{ Type, Message string }
		}
	}
	const no = "didn't match Pod's node affinity" // of the other nodes, too
	refused, why := 0, ""
	for range 300 {
		if err := json.Unmarshal(a.send(t, http.MethodGet, "/api/v1/namespaces/default/pods/"+name, "", nil), &pod); err != nil {
			t.Fatal(err)
		}
		if pod.Spec.NodeName != "" {
			return true, ""
		}
		for _, c := range pod.Status.Conditions {
			if why = c.Message; c.Type == "PodScheduled" && strings.Contains(why, no) {
				refused++
			}
		}
		if refused > 10 {
			return false, why
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: the scheduler has said nothing of it: %+v", name, pod)
	return false, ""
}
