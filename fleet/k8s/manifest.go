// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/place"
)

// object is one of Kubernetes', or a part of one, as JSON.
type object = map[string]any

// label is that of everything a run makes; its value is the name of the run. Pods have uidLabel, too: while what a
// run has left is being removed, one of the same name may have begun.
const (
	label    = "cudabuild.run"
	uidLabel = "cudabuild.run-uid"
)

// Annotations say what a Job does, to people and to status.
const (
	imageNote = "cudabuild.image"
	testNote  = "cudabuild.test"
)

// The containers of a pod, and where the observer comes to lie in it.
const (
	rowContainer      = "row"
	observerContainer = "observer"
	observerDir       = "/cudabuild"
)

// nobody is the user of programs that need no other.
const nobody = 65534

// runMap is the object that owns a run's Jobs: who deletes it deletes them.
func runMap(name string, rows int) object {
	return object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": object{"name": name, "labels": object{label: name}},
		"data":     object{"rows": strconv.Itoa(rows)},
	}
}

// Pods say how pods of a cluster get GPUs, beside what a task says.
type Pods struct {
	Resource     string   // extended resource that a GPU is, "nvidia.com/gpu"
	Claims       bool     // GPUs are claimed from NVIDIA's DRA driver, in place of that
	RuntimeClass string   // "" for the cluster's own
	PullSecrets  []string // names, for the images
	Tolerations  []string // keys of taints, beside that of nodes with GPUs
	CPU, Memory  string   // of a program, as Kubernetes writes them; "" for little and no limit
}

// gpuClass is the class of the devices of NVIDIA's DRA driver.
const gpuClass = "gpu.nvidia.com"

// claim is a template of claims to the GPUs of a task.
func claim(t fleet.Task, o owner) object {
	gpus := object{"deviceClassName": gpuClass, "count": t.On.GPUs, "selectors": []object{{"cel": object{"expression": place.CEL(t.Where)}}}}
	return object{
		"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": metadata(t, o),
		"spec": object{"spec": object{"devices": object{"requests": []object{{"name": claimed, "exactly": gpus}}}}},
	}
}

// claimed is the name of the claim in a pod.
const claimed = "gpu"

func metadata(t fleet.Task, o owner) object {
	return object{
		"name": t.Name, "labels": object{label: o.Metadata.Name},
		"annotations":     object{imageNote: t.Subject.Pull, testNote: t.Subject.Test.Name},
		"ownerReferences": []object{{"apiVersion": "v1", "kind": "ConfigMap", "name": o.Metadata.Name, "uid": o.Metadata.UID}},
	}
}

// job is a task as a Job. A container that ended is never started again: what it did is the row. A
// pod that the cluster took away is (podFailurePolicy), because then there is none.
func (r *Runner) job(t fleet.Task, o owner) object {
	return object{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(t, o),
		"spec": object{
			"backoffLimit": 0, "ttlSecondsAfterFinished": int(ttl.Seconds()),
			"podFailurePolicy": object{"rules": []object{
				{"action": "Ignore", "onPodConditions": []object{{"type": "DisruptionTarget", "status": "True"}}},
			}},
			"template": object{"metadata": object{"labels": object{label: o.Metadata.Name, uidLabel: o.Metadata.UID}}, "spec": r.pod(t)},
		},
	}
}

const (
	// ttl is how long what a row left stays for a client that comes back.
	ttl = 24 * time.Hour
	// backstop is how long a pod may be on its node beyond the test's own time limit, which the
	// observer holds: images of 20 GB are pulled in it.
	backstop = time.Hour
)

func (r *Runner) pod(t fleet.Task) object {
	limit := t.Limit(r.Limit)
	command := []string{observerDir + "/observe", "run", "--limit", limit.String(), "--"}
	for _, arg := range t.Subject.Args {
		command = append(command, literal.Replace(arg))
	}
	row := object{
		"name": rowContainer, "image": t.Subject.Pull, "command": command, "imagePullPolicy": "IfNotPresent",
		"volumeMounts":    []object{{"name": observerContainer, "mountPath": observerDir, "readOnly": true}},
		"securityContext": confined(t.Subject.Own == nil, userOf(t)),
		"resources":       r.resources(t),
	}
	if t.On.GPUs == 0 { // or a runtime that goes by the image's variables would give it all
		row["env"] = []object{{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}}
	}
	pod := object{
		"restartPolicy": "Never", "activeDeadlineSeconds": int((limit + backstop).Seconds()),
		"terminationGracePeriodSeconds": 10, "automountServiceAccountToken": false, "enableServiceLinks": false,
		"affinity":    object{"nodeAffinity": r.affinity(t)},
		"tolerations": r.tolerations(t),
		"initContainers": []object{{
			"name": observerContainer, "image": r.Observer, "args": []string{"install", observerDir}, "imagePullPolicy": "IfNotPresent",
			"volumeMounts":    []object{{"name": observerContainer, "mountPath": observerDir}},
			"securityContext": confined(true, nobody),
			"resources":       object{"requests": object{"cpu": "10m", "memory": "32Mi"}},
		}},
		"containers": []object{row},
		"volumes":    []object{{"name": observerContainer, "emptyDir": object{"medium": "Memory", "sizeLimit": "32Mi"}}},
	}
	if r.claims(t) {
		pod["resourceClaims"] = []object{{"name": claimed, "resourceClaimTemplateName": t.Name}}
	}
	if r.Pods.RuntimeClass != "" && t.On.GPUs > 0 {
		pod["runtimeClassName"] = r.Pods.RuntimeClass
	}
	if len(r.Pods.PullSecrets) > 0 {
		var secrets []object
		for _, name := range r.Pods.PullSecrets {
			secrets = append(secrets, object{"name": name})
		}
		pod["imagePullSecrets"] = secrets
	}
	return pod
}

// literal is a text as Kubernetes hands it on unchanged: in commands it takes $$ for $, and $(NAME) for a variable.
var literal = strings.NewReplacer("$", "$$")

// tolerated are the keys of the taint that keeps pods without GPUs from nodes with them, and of those that the user names.
func (p Pods) tolerated(gpus bool) []string {
	if gpus {
		return append([]string{"nvidia.com/gpu"}, p.Tolerations...)
	}
	return p.Tolerations
}

func (r *Runner) tolerations(t fleet.Task) []object {
	all := []object{}
	for _, key := range r.Pods.tolerated(t.On.GPUs > 0) {
		all = append(all, object{"key": key, "operator": "Exists"})
	}
	return all
}

func (r *Runner) resources(t fleet.Task) object {
	limits := object{}
	resources := object{"requests": object{"cpu": cmp.Or(r.Pods.CPU, "100m"), "memory": cmp.Or(r.Pods.Memory, "64Mi")}, "limits": limits}
	if r.Pods.Memory != "" {
		limits["memory"] = r.Pods.Memory
	}
	switch {
	case r.claims(t):
		resources["claims"] = []object{{"name": claimed}}
	case t.On.GPUs > 0:
		limits[r.Pods.Resource] = strconv.Itoa(t.On.GPUs)
	}
	return resources
}

// claims reports whether a task gets its GPUs by a claim.
func (r *Runner) claims(t fleet.Task) bool { return r.Pods.Claims && t.On.GPUs > 0 }

// affinity asks for nodes of the image's platform and, where GPUs are not claimed, those that the
// prediction and the user name.
func (r *Runner) affinity(t fleet.Task) place.NodeAffinity {
	required := place.NodeSelector{Terms: []place.Term{{}}}
	if t.Where != nil && !r.claims(t) {
		required = place.Affinity(t.Where).Required
	}
	for i, term := range required.Terms {
		required.Terms[i].Expressions = append(term.Expressions, place.Platform(t.Subject.Platform)...)
	}
	return place.NodeAffinity{Required: required}
}

// userOf is whom a test runs as: samples need nothing of a user, other images are run as they are.
func userOf(t fleet.Task) int {
	if t.Subject.Own == nil {
		return nobody
	}
	user, _, _ := strings.Cut(t.Subject.User, ":")
	n, err := strconv.Atoi(user)
	if err != nil {
		return -1 // a name, or nobody named: root, mostly
	}
	return n
}

// confined is what a container may do. With a user that is not root it is what Pod Security
// calls restricted.
func confined(readOnly bool, user int) object {
	context := object{
		"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": readOnly,
		"capabilities": object{"drop": []string{"ALL"}}, "seccompProfile": object{"type": "RuntimeDefault"},
	}
	if user > 0 {
		context["runAsNonRoot"], context["runAsUser"] = true, user
	}
	return context
}

// runName is the name of a plan's ConfigMap.
func runName(plan fleet.Plan) string { return fmt.Sprintf("cudabuild-run-%s", plan.Run) }
