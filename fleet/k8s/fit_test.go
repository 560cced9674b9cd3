// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet"
)

// TestFit: nodes on which a pod could not come to run are no candidates, and it is said why.
func TestFit(t *testing.T) {
	t.Parallel()
	s := &standIn{}
	runner, _ := s.start(t)
	node := func(name, labels, spec, gpus string) {
		s.there["/api/v1/nodes/"+name] = json.RawMessage(fmt.Sprintf(`{"metadata":{"name":"%s","labels":{"kubernetes.io/os":"linux","kubernetes.io/arch":"amd64",
			"nvidia.com/gpu.count":"2","nvidia.com/gpu.compute.major":"9","nvidia.com/gpu.compute.minor":"0","nvidia.com/cuda.driver-version.full":"580.65.06"%s}},
			"spec":{%s},"status":{"allocatable":{"cpu":"8","nvidia.com/gpu":"%s"}}}`, name, labels, spec, gpus))
	}
	taints := func(taint string) string {
		return `"taints":[{"key":"nvidia.com/gpu","effect":"NoSchedule"},` + taint + `]`
	}
	node("plain", "", "", "2")
	node("one-is-ill", "", taints(`{"key":"x","effect":"PreferNoSchedule"}`), "1")
	node("tolerated", "", taints(`{"key":"team","value":"b","effect":"NoExecute"}`), "2")
	node("arm", `,"kubernetes.io/arch":"arm64"`, "", "2")
	node("windows", `,"kubernetes.io/os":"windows"`, "", "2")
	node("cordoned", "", `"unschedulable":true`, "2")
	node("tainted", "", taints(`{"key":"team","value":"a","effect":"NoSchedule"},{"key":"other","effect":"NoSchedule"}`), "2")
	node("away", "", taints(`{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"}`), "2")
	node("no-plugin", "", "", "0")
	node("nonsense", `,"nvidia.com/gpu.compute.major":"q","nvidia.com/cuda.driver-version.full":"abc.x.y"`, "", "2")
	node("no-gpu", `,"nvidia.com/gpu.count":"0"`, `"unschedulable":true`, "0")
	fit, left, err := runner.Client.Fit(t.Context(), "linux/amd64", Pods{Resource: "nvidia.com/gpu", Tolerations: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]int{}
	for _, n := range fit {
		has[n.Name] = len(n.Host.GPUs)
	}
	if diff := cmp.Diff(map[string]int{"plain": 2, "one-is-ill": 1, "tolerated": 2}, has); diff != "" {
		t.Errorf("GPUs of nodes that fit (-want +got):\n%s", diff)
	}
	want := []fleet.LeftNode{
		{Name: "arm", Why: "it is not for linux/amd64"},
		{Name: "away", Why: "it has the taint node.kubernetes.io/unreachable:NoExecute"},
		{Name: "cordoned", Why: "it is cordoned"},
		{Name: "no-plugin", Why: "it has no nvidia.com/gpu to give away"},
		{Name: "nonsense", Why: `it says driver "abc.x.y" and compute capability "q.0"`},
		{Name: "tainted", Why: "it has the taint other:NoSchedule, and no --toleration is of that"},
		{Name: "windows", Why: "it is not for linux/amd64"},
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if fit, left, err := runner.Client.Fit(t.Context(), "linux/amd64", Pods{Claims: true}); err != nil || len(fit) != 0 || !slices.Contains(left, fleet.LeftNode{Name: "plain", Why: "NVIDIA's DRA driver has published no GPU of it"}) {
		t.Errorf("by claims: %+v, %+v, %v", fit, left, err)
	}
}
