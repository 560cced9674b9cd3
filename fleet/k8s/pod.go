// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// pod is what is read of one.
type pod struct {
	Metadata struct {
		Name              string            `json:"name"`
		UID               string            `json:"uid"`
		Labels            map[string]string `json:"labels"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
		DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase      string      `json:"phase"`
		Reason     string      `json:"reason"`
		Message    string      `json:"message"`
		Conditions []condition `json:"conditions"`
		Init       []container `json:"initContainerStatuses"`
		Containers []container `json:"containerStatuses"`
	} `json:"status"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type container struct {
	Name  string `json:"name"`
	State struct {
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
		Running    *struct{}   `json:"running"`
		Terminated *terminated `json:"terminated"`
	} `json:"state"`
}

type terminated struct {
	ExitCode  int       `json:"exitCode"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	StartedAt time.Time `json:"startedAt"`
}

// job is the name of the pod's Job.
func (p pod) job() string { return p.Metadata.Labels["batch.kubernetes.io/job-name"] }

// row is the status of the container with the program, nil as long as there is none.
func (p pod) row() *container {
	i := slices.IndexFunc(p.Status.Containers, func(c container) bool { return c.Name == rowContainer })
	if i < 0 {
		return nil
	}
	return &p.Status.Containers[i]
}

// begun reports whether the program's container is running or has run.
func (p pod) begun() bool {
	row := p.row()
	return row != nil && (row.State.Running != nil || row.State.Terminated != nil)
}

// ended is how the program's container ended, nil if it has not.
func (p pod) ended() *terminated {
	if row := p.row(); row != nil {
		return row.State.Terminated
	}
	return nil
}

// taken reports whether the cluster took the pod away before its program ended. Its Job makes another one then.
func (p pod) taken() bool {
	return p.Status.Phase != "Succeeded" && slices.ContainsFunc(p.Status.Conditions, func(c condition) bool { return c.Type == "DisruptionTarget" && c.Status == "True" })
}

// unplaced says why there is no node for the pod, "" if there is one.
func (p pod) unplaced() string {
	for _, c := range p.Status.Conditions {
		if c.Type == "PodScheduled" && c.Status == "False" && p.Spec.NodeName == "" {
			return fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	return ""
}

// hopeless says why a pod does not come to run its program; why is "" if it may.
type hopeless struct {
	why     string
	sure    bool // else it may pass
	refused bool // the runtime's hook refused the container: then that is what the image does there
}

// stuck are reasons for which a container waits that do not go away by themselves. Of those that are
// false this is so if it lasts, or if the message says it.
var stuck = map[string]bool{
	"ErrImagePull": false, "ImagePullBackOff": false, "RegistryUnavailable": false, "CreateContainerError": false, "RunContainerError": false,
	"InvalidImageName": true, "ErrImageNeverPull": true, "ImageInspectError": true, "CreateContainerConfigError": true,
}

var (
	// lasting is in messages about images that another try does not bring.
	lasting = regexp.MustCompile(`(?i)not found|denied|unauthorized|forbidden|manifest unknown|no match for platform|no such host`)
	// unmet is what libnvidia-container says where NVIDIA_REQUIRE_* does not hold.
	unmet = regexp.MustCompile(`unsatisfied condition`)
)

func (p pod) hopeless() hopeless {
	for _, c := range slices.Concat(p.Status.Init, p.Status.Containers) {
		if w := c.State.Waiting; w != nil {
			if sure, known := stuck[w.Reason]; known {
				refused := unmet.MatchString(w.Message)
				return hopeless{words(w.Reason, w.Message), sure || refused || lasting.MatchString(w.Message), refused}
			}
		}
		if c.Name == observerContainer && c.State.Running != nil { // 3 MB are copied in no time
			return hopeless{why: "the observer's container does not end: " + noObserver}
		}
		if t := c.State.Terminated; t != nil && c.Name == observerContainer && t.ExitCode != 0 {
			return hopeless{why: fmt.Sprintf("the observer could not be copied into the pod: exit code %d, %s: %s", t.ExitCode, words(t.Reason, t.Message), noObserver), sure: true}
		}
	}
	if p.Status.Phase == "Failed" && p.ended() == nil {
		return hopeless{why: words(p.Status.Reason, p.Status.Message), sure: true}
	}
	return hopeless{}
}

// noObserver is what is wrong, most often, where there is none in a pod.
const noObserver = "--observer must be the image that 'cudabuild fleet install' prints"

func words(reason, message string) string {
	return strings.TrimSuffix(reason+": "+strings.TrimSpace(message), ": ")
}

// death says in words how a container ended that left no row, and whether its program, or the image, did it.
func (t terminated) death() (why string, row bool) {
	switch {
	case t.Reason == "OOMKilled":
		return "killed: it used more memory than the pod or its node has (OOMKilled)", true
	case unmet.MatchString(t.Message):
		return t.Message, true
	case t.Reason == "StartError" && strings.Contains(t.Message, observerDir+"/observe"):
		return fmt.Sprintf("the observer did not copy itself into the pod: %s: %s", strings.TrimSpace(t.Message), noObserver), false
	}
	return strings.TrimSuffix(fmt.Sprintf("the container ended with code %d (%s) and left no row: %s", t.ExitCode, t.Reason, strings.TrimSpace(t.Message)), ": "), false
}
