// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/usertest"
)

// TestJob holds what is sent to a cluster.
func TestJob(t *testing.T) {
	t.Parallel()
	nbody, _ := gpu.Sample(gpu.NBody)
	own := usertest.Test{Name: "train", Run: []string{"python3", "train.py"}, Limit: 5 * time.Minute, GPUs: 2}
	runner := &Runner{Observer: "registry.example.com/observe@sha256:0b", Limit: time.Minute, Pods: Pods{Resource: "nvidia.com/gpu"}}
	subject := func(test gpu.Test, own *usertest.Test, user string, args ...string) *fleet.Subject {
		return &fleet.Subject{
			Subject: predict.Subject{Test: test, Args: args, User: user}, Pull: "registry.example.com/cuda@sha256:c0", Platform: "linux/arm64/v8", Own: own,
		}
	}
	where := []compat.Region{{GPUs: []compat.Target{{SM: 90}}, From: "525.60.13"}}
	for name, tc := range map[string]struct {
		task fleet.Task
		pods Pods
	}{
		"sample":  {fleet.Task{Ask: fleet.Ask{Subject: subject(nbody, nil, "", "nbody", "--json"), On: gpu.Asked{GPUs: 1}}, Where: where}, runner.Pods},
		"no-gpu":  {fleet.Task{Ask: fleet.Ask{Subject: subject(nbody, nil, "", "nbody", "--json")}}, Pods{Resource: "nvidia.com/gpu", RuntimeClass: "nvidia"}},
		"own":     {fleet.Task{Ask: fleet.Ask{Subject: subject(gpu.Own(own), &own, "", "python3", "train.py"), On: gpu.Asked{GPUs: 2}}, Where: where}, Pods{Resource: "example.com/gpu", RuntimeClass: "nvidia", PullSecrets: []string{"a", "b"}}},
		"claimed": {fleet.Task{Ask: fleet.Ask{Subject: subject(nbody, nil, "", "nbody", "--json"), On: gpu.Asked{GPUs: 2}}, Where: where}, Pods{Resource: "nvidia.com/gpu", Claims: true}},
		"as-user": {fleet.Task{Ask: fleet.Ask{Subject: subject(gpu.Own(own), &own, "1000:1000", "python3", "train.py"), On: gpu.Asked{GPUs: 2}}, Where: where}, runner.Pods},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := *runner
			r.Pods, tc.task.Name = tc.pods, "cudabuild-0123"
			o := owner{}
			o.Metadata.Name, o.Metadata.UID = "cudabuild-run-4567", "89"
			objects := []object{r.job(tc.task, o.Metadata.Name, o)}
			if tc.pods.Claims {
				objects = append(objects, claim(tc.task, o.Metadata.Name, o))
			}
			text, err := json.MarshalIndent(objects, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/golden/"+name+".json", string(text)+"\n")
		})
	}
}

// TestPod reads states of pods as clusters have shown them.
func TestPod(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   string
		begun    bool
		hopeless string // a part of it
		refused  bool
		unplaced string
		taken    bool
		death    string
	}{
		"new":           {status: `{"phase":"Pending"}`},
		"unschedulable": {status: `{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}]}`, unplaced: "Insufficient nvidia.com/gpu"},
		"creating":      {status: `{"phase":"Pending","containerStatuses":[{"name":"row","state":{"waiting":{"reason":"PodInitializing"}}}]}`},
		"first pull":    {status: `{"phase":"Pending","containerStatuses":[{"name":"row","state":{"waiting":{"reason":"ErrImagePull","message":"timeout"}}}]}`},
		"no image":      {status: `{"phase":"Pending","containerStatuses":[{"name":"row","state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image: not found"}}}]}`, hopeless: "ImagePullBackOff: Back-off pulling image: not found"},
		"no observer":   {status: `{"phase":"Pending","initContainerStatuses":[{"name":"observer","state":{"waiting":{"reason":"ImagePullBackOff","message":"not found"}}}]}`, hopeless: "ImagePullBackOff: not found"},
		"observer ends": {status: `{"phase":"Failed","initContainerStatuses":[{"name":"observer","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}`, hopeless: "the observer could not be copied"},
		"refused":       {status: `{"phase":"Pending","containerStatuses":[{"name":"row","state":{"waiting":{"reason":"CreateContainerError","message":"unsatisfied condition: cuda>=99"}}}]}`, hopeless: "unsatisfied condition", refused: true},
		"running":       {status: `{"phase":"Running","containerStatuses":[{"name":"row","state":{"running":{}}}]}`, begun: true},
		"start error":   {status: `{"phase":"Failed","containerStatuses":[{"name":"row","state":{"terminated":{"exitCode":128,"reason":"StartError","message":"exec: no such file"}}}]}`, begun: true, death: "exec: no such file"},
		"memory":        {status: `{"phase":"Failed","containerStatuses":[{"name":"row","state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}`, begun: true, death: "OOMKilled"},
		"killed":        {status: `{"phase":"Failed","containerStatuses":[{"name":"row","state":{"terminated":{"exitCode":137,"reason":"Error"}}}]}`, begun: true, death: "code 137"},
		"admission":     {status: `{"phase":"Failed","reason":"UnexpectedAdmissionError","message":"no healthy devices present"}`, hopeless: "no healthy devices"},
		"preempted":     {status: `{"phase":"Running","conditions":[{"type":"DisruptionTarget","status":"True","reason":"PreemptionByScheduler"}]}`, taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p pod
			if err := json.Unmarshal([]byte(`{"status":`+tc.status+`}`), &p); err != nil {
				t.Fatal(err)
			}
			why, refused := p.hopeless()
			if has(why, tc.hopeless) && refused == tc.refused && p.begun() == tc.begun && has(p.unplaced(), tc.unplaced) && p.taken() == tc.taken {
				if end := p.ended(); (end != nil) == (tc.death != "") && (end == nil || has(end.death(), tc.death)) {
					return
				}
			}
			t.Errorf("begun %v, hopeless %q %v, unplaced %q, taken %v, ended %+v", p.begun(), why, refused, p.unplaced(), p.taken(), p.ended())
		})
	}
}

// has reports whether text has the part, or both are empty.
func has(text, part string) bool {
	return (text == "") == (part == "") && strings.Contains(text, part)
}
