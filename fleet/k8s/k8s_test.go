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
		"as-user": {fleet.Task{Ask: fleet.Ask{Subject: subject(gpu.Own(own), &own, "1000:1000", "sh", "-c", "echo $$ $(HOME) $HOME"), On: gpu.Asked{GPUs: 2}}, Where: where}, runner.Pods},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := *runner
			r.Pods, tc.task.Name = tc.pods, "cudabuild-0123"
			o := owner{}
			o.Metadata.Name, o.Metadata.UID = "cudabuild-run-4567", "89"
			objects := []object{r.job(tc.task, o)}
			if tc.pods.Claims {
				objects = append(objects, claim(tc.task, o))
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
	waits := func(container, reason, message string) string {
		list := map[string]string{"row": "containerStatuses", "observer": "initContainerStatuses"}[container]
		return `{"phase":"Pending","` + list + `":[{"name":"` + container + `","state":{"waiting":{"reason":"` + reason + `","message":"` + message + `"}}}]}`
	}
	ended := func(reason, message string) string {
		return `{"phase":"Failed","containerStatuses":[{"name":"row","state":{"terminated":{"exitCode":137,"reason":"` + reason + `","message":"` + message + `"}}}]}`
	}
	for name, tc := range map[string]struct {
		status   string
		begun    bool
		hopeless string // a part of it, with "?" before it if it may pass and "!" if the image was refused
		unplaced string
		taken    bool
		death    string // a part of it, with "!" before it if it is a row
	}{
		"new":             {status: `{"phase":"Pending"}`},
		"unschedulable":   {status: `{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}]}`, unplaced: "Insufficient nvidia.com/gpu"},
		"creating":        {status: waits("row", "PodInitializing", "")},
		"busy registry":   {status: waits("row", "ErrImagePull", "pull QPS exceeded"), hopeless: "?pull QPS exceeded"},
		"no image":        {status: waits("row", "ErrImagePull", "manifest unknown"), hopeless: "manifest unknown"},
		"no observer":     {status: waits("observer", "ImagePullBackOff", "not found"), hopeless: "ImagePullBackOff: not found"},
		"no secret":       {status: waits("row", "CreateContainerConfigError", "no such thing"), hopeless: "no such thing"},
		"name is taken":   {status: waits("row", "CreateContainerError", "name is reserved"), hopeless: "?name is reserved"},
		"refused":         {status: waits("row", "CreateContainerError", "unsatisfied condition: cuda>=99"), hopeless: "!unsatisfied condition"},
		"observer ends":   {status: `{"phase":"Failed","initContainerStatuses":[{"name":"observer","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}`, hopeless: "the observer could not be copied into the pod: exit code 1, Error: --observer must be the image"},
		"observer runs":   {status: `{"phase":"Pending","initContainerStatuses":[{"name":"observer","state":{"running":{}}}]}`, hopeless: "?does not end: --observer must be"},
		"running":         {status: `{"phase":"Running","containerStatuses":[{"name":"row","state":{"running":{}}}]}`, begun: true},
		"start error":     {status: ended("StartError", "exec format error"), begun: true, death: "exec format error"},
		"not an observer": {status: ended("StartError", "exec: /cudabuild/observe: no such file"), begun: true, death: "'cudabuild fleet install' prints"},
		"start refused":   {status: ended("StartError", "unsatisfied condition: cuda>=99"), begun: true, death: "!unsatisfied condition"},
		"memory":          {status: ended("OOMKilled", ""), begun: true, death: "!OOMKilled"},
		"killed":          {status: ended("Error", ""), begun: true, death: "code 137"},
		"node came back":  {status: ended("ContainerStatusUnknown", ""), begun: true, death: "ContainerStatusUnknown"},
		"admission":       {status: `{"phase":"Failed","reason":"UnexpectedAdmissionError","message":"no healthy devices present"}`, hopeless: "no healthy devices"},
		"preempted":       {status: `{"phase":"Running","conditions":[{"type":"DisruptionTarget","status":"True","reason":"PreemptionByScheduler"}]}`, taken: true},
		"ended and taken": {status: `{"phase":"Succeeded","conditions":[{"type":"DisruptionTarget","status":"True"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p pod
			if err := json.Unmarshal([]byte(`{"status":`+tc.status+`}`), &p); err != nil {
				t.Fatal(err)
			}
			h, death := p.hopeless(), ""
			switch {
			case h.refused:
				h.why = "!" + h.why
			case h.why != "" && !h.sure:
				h.why = "?" + h.why
			}
			if end := p.ended(); end != nil {
				why, row := end.death()
				if death = why; row {
					death = "!" + why
				}
			}
			if !has(h.why, tc.hopeless) || !has(death, tc.death) || !has(p.unplaced(), tc.unplaced) || p.begun() != tc.begun || p.taken() != tc.taken {
				t.Errorf("begun %v, hopeless %q, unplaced %q, taken %v, death %q", p.begun(), h.why, p.unplaced(), p.taken(), death)
			}
		})
	}
}

// has reports whether text has the part, with the mark before it, or both are empty.
func has(text, part string) bool {
	mark := func(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "!?"))] }
	return (text == "") == (part == "") && mark(text) == mark(part) && strings.Contains(text, strings.TrimLeft(part, "!?"))
}
