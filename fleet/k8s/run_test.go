// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/usertest"
)

// standIn stands in for an API server whose cluster makes a pod for each Job at once. What goes wrong is up
// to a test; what happens in a real cluster is seen by e2e.
type standIn struct {
	mu      sync.Mutex
	there   map[string]json.RawMessage // by path
	pods    map[string]string          // status by the name of the Job; ended without one
	log     string
	fault   func(n int, r *http.Request) int // status of request n, 0 for none
	endless int                              // how many of the streams of logs that are followed have all but the end, and never end
	n       int
	deleted []string
	wake    chan struct{} // closed and made anew when something has changed
}

const (
	line  = `{"version":1,"args":["true"],"started":"2026-11-30T08:00:00Z","seconds":1,"exit_code":0,"timed_out":false,"problem":"","stdout":{"bytes":0,"head":"","tail":""},"stderr":{"bytes":0,"head":"","tail":""},"loaded_libcuda":"","ptx_jit":false,"device_nodes":[],"driver":"","gpus":[],"visible_devices":""}`
	phase = `{"phase":"%s","containerStatuses":[{"name":"row","state":{"%s":%s}}]}`
)

// ended is the status of a pod that left the row.
func ended() string {
	message, _ := json.Marshal(fmt.Sprintf(`{"bytes":%d,"sha256":"%x"}`, len(line), sha256.Sum256([]byte(line))))
	return fmt.Sprintf(phase, "Succeeded", "terminated", fmt.Sprintf(`{"exitCode":0,"reason":"Completed","message":%s}`, message))
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := s.n
	s.n++
	status := 0
	if s.fault != nil {
		status = s.fault(n, r)
	}
	s.mu.Unlock()
	switch {
	case status != 0:
		s.refuse(w, r, status)
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	case strings.HasSuffix(r.URL.Path, "/log"):
		s.sendLog(w, r)
	default:
		s.object(w, r)
	}
}

// sendLog sends the log, or follows it as a kubelet does that missed the end of the container.
func (s *standIn) sendLog(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	endless := r.URL.Query().Get("follow") == "true" && s.endless > 0
	if endless {
		s.endless--
	}
	s.mu.Unlock()
	if !endless {
		_, _ = fmt.Fprint(w, s.log)
		return
	}
	_, _ = fmt.Fprint(w, s.log[:len(s.log)/2])
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func (*standIn) refuse(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reason := map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 410: "Expired", 503: "ServiceUnavailable"}[status]
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":"%s","message":"user \"x\" cannot %s %s"}`, status, reason, strings.ToLower(r.Method), r.URL.Path)
}

func (s *standIn) object(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch at := r.URL.Path; {
	case r.Method == http.MethodPost:
		s.make(w, r)
	case r.Method == http.MethodDelete:
		s.deleted = append(s.deleted, path.Base(at))
		delete(s.there, at)
		delete(s.there, strings.Replace(strings.Replace(at, "apis/batch/v1", "api/v1", 1), "/jobs/", "/pods/", 1))
	case slices.Contains([]string{"pods", "jobs", "configmaps", "nodes", "events", "resourceslices"}, path.Base(at)):
		_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1"},"items":[%s]}`, strings.Join(s.list(at, r), ","))
	case s.there[at] == nil:
		s.refuse(w, r, http.StatusNotFound)
	default:
		_, _ = w.Write(s.there[at])
	}
}

// list is what is there below a path and has the labels that are asked for.
func (s *standIn) list(below string, r *http.Request) (all []string) {
	for at, o := range s.there {
		var named struct {
			Metadata struct{ Labels map[string]string }
		}
		if path.Dir(at) != below || json.Unmarshal(o, &named) != nil {
			continue
		}
		has := true
		for _, want := range strings.FieldsFunc(r.URL.Query().Get("labelSelector"), func(c rune) bool { return c == ',' }) {
			key, value, valued := strings.Cut(want, "=")
			is, there := named.Metadata.Labels[key]
			has = has && there && (!valued || is == value)
		}
		if has {
			all = append(all, string(o))
		}
	}
	slices.Sort(all) // by their names
	return all
}

// make keeps an object, and a pod beside a Job.
func (s *standIn) make(w http.ResponseWriter, r *http.Request) {
	var o object
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	meta := o["metadata"].(object)
	name := meta["name"].(string)
	at := r.URL.Path + "/" + name
	if s.there[at] != nil {
		s.refuse(w, r, http.StatusConflict)
		return
	}
	meta["uid"] = fmt.Sprint("uid-", s.n)
	text, _ := json.Marshal(o)
	s.there[at] = text
	if path.Base(r.URL.Path) == "jobs" {
		labels := o["spec"].(object)["template"].(object)["metadata"].(object)["labels"].(object)
		labels["batch.kubernetes.io/job-name"] = name
		s.pod(name, labels)
	}
	_, _ = w.Write(text)
}

func (s *standIn) pod(job string, labels object) {
	status, known := s.pods[job]
	if !known {
		status = ended()
	}
	if status != "" {
		text, _ := json.Marshal(labels)
		s.there["/api/v1/namespaces/ns/pods/"+job] = json.RawMessage(fmt.Sprintf(
			`{"metadata":{"name":"%s","uid":"pod-%d","labels":%s},"spec":{"nodeName":"n1"},"status":%s}`, job, s.n, text, status))
	}
	close(s.wake)
	s.wake = make(chan struct{})
}

// watch sends all pods whenever there is another one, for as long as was asked for.
func (s *standIn) watch(w http.ResponseWriter, r *http.Request) {
	flush := w.(http.Flusher).Flush
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	end := time.After(time.Duration(seconds) * time.Second)
	for {
		s.mu.Lock()
		all, wake := s.list("/api/v1/namespaces/ns/pods", r), s.wake
		s.mu.Unlock()
		for _, p := range all {
			_, _ = fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`+"\n", p)
		}
		flush()
		select {
		case <-wake:
		case <-end:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// start returns a client of the server and a plan of one row that needs no GPU.
func (s *standIn) start(t *testing.T) (*Runner, fleet.Plan) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s.at(t, server.URL)
}

// at is start for an address.
func (s *standIn) at(t *testing.T, address string) (*Runner, fleet.Plan) {
	t.Helper()
	s.there, s.wake = map[string]json.RawMessage{"/api/v1/nodes/n1": json.RawMessage(`{"metadata":{"name":"n1"}}`)}, make(chan struct{})
	if s.log == "" {
		s.log = line + "\n"
	}
	config := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, namespace: ns}}]\ncurrent-context: c\n", address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := Open(Options{Kubeconfig: config})
	if err != nil {
		t.Fatal(err)
	}
	own := usertest.Test{Name: "t", Run: []string{"true"}}
	subject := &fleet.Subject{Pull: "r/i@sha256:0", Platform: "linux/amd64", Own: &own, Subject: predict.Subject{Test: gpu.Own(own), Args: own.Run}}
	runner := &Runner{Client: client, Observer: "r/o@sha256:0", Limit: time.Minute, Wait: time.Minute, Have: func(fleet.Task, string) bool { return false }}
	plan, err := fleet.New(t.Context(), []fleet.Ask{{Subject: subject}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return runner, plan
}

// TestRun makes one row, whatever goes wrong on the way.
func TestRun(t *testing.T) {
	t.Parallel()
	get := func(r *http.Request, part string) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.String(), part)
	}
	times := func(n, status int, of func(*http.Request) bool) func(int, *http.Request) int {
		return func(_ int, r *http.Request) int {
			if n > 0 && of(r) {
				n--
				return status
			}
			return 0
		}
	}
	for name, s := range map[string]*standIn{
		"nothing":             {},
		"watch expired":       {fault: times(2, 410, func(r *http.Request) bool { return get(r, "watch=true") })},
		"watch is away":       {fault: times(2, 503, func(r *http.Request) bool { return get(r, "watch=true") })},
		"pods are away":       {fault: times(2, 503, func(r *http.Request) bool { return get(r, "/pods?label") })},
		"node is away":        {fault: times(2, 503, func(r *http.Request) bool { return get(r, "/nodes/n1") })},
		"node is gone":        {fault: times(9, 404, func(r *http.Request) bool { return get(r, "/nodes/n1") })},
		"log is away":         {fault: times(7, 503, func(r *http.Request) bool { return get(r, "/log") })},
		"log never ends":      {endless: 9},
		"no claims here":      {fault: times(9, 404, func(r *http.Request) bool { return get(r, "resourceslices") })},
		"claims not for this": {fault: times(9, 403, func(r *http.Request) bool { return get(r, "resourceslices") })},
		"end is away":         {fault: times(2, 503, func(r *http.Request) bool { return r.Method == http.MethodDelete })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runner, plan := s.start(t)
			var got []Result
			err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
			if err != nil || len(got) != 1 || got[0].Problem != "" || got[0].Row.Result != gpu.Passed || got[0].Row.Run == "" || runner.Begun() {
				t.Fatalf("%v, results %+v", err, got)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.deleted, []string{runName(plan)}) {
				t.Errorf("deleted %v, want the run alone", s.deleted)
			}
		})
	}
}

// TestEndsWhileFollowed: the container ends while its log is being followed, and of its end only the watch tells.
func TestEndsWhileFollowed(t *testing.T) {
	t.Parallel()
	s := &standIn{endless: 9}
	runner, plan := s.start(t)
	job, running := plan.Tasks[0].Name, fmt.Sprintf(phase, "Running", "running", "{}")
	s.pods = map[string]string{job: running}
	s.fault = func(_ int, r *http.Request) int {
		if at := "/api/v1/namespaces/ns/pods/" + job; r.URL.Path == at+"/log" {
			s.there[at] = json.RawMessage(strings.Replace(string(s.there[at]), running, ended(), 1))
			close(s.wake)
			s.wake = make(chan struct{})
		}
		return 0
	}
	var got []Result
	err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
	if err != nil || len(got) != 1 || got[0].Problem != "" || got[0].Row.Result != gpu.Passed {
		t.Errorf("%v, results %+v", err, got)
	}
}

// TestProblem: there is no row, and it is said why.
func TestProblem(t *testing.T) {
	t.Parallel()
	waits := fmt.Sprintf(phase, "Pending", "waiting", `{"reason":"ErrImagePull","message":"manifest unknown"}`)
	died := fmt.Sprintf(phase, "Failed", "terminated", `{"exitCode":255,"reason":"ContainerStatusUnknown"}`)
	for name, tc := range map[string]struct {
		server *standIn
		status string
		why    string
	}{
		"log is cut":    {&standIn{log: line[:100]}, ended(), "cut or damaged"},
		"no image":      {&standIn{}, waits, "manifest unknown"},
		"node restarts": {&standIn{log: "x"}, died, "ContainerStatusUnknown"},
		"log forbidden": {&standIn{fault: func(_ int, r *http.Request) int {
			if strings.HasSuffix(r.URL.Path, "/log") {
				return 403
			}
			return 0
		}}, ended(), "cannot get"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tc.server
			runner, plan := s.start(t)
			job := plan.Tasks[0].Name
			s.pods = map[string]string{job: tc.status}
			var got []Result
			err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
			if err != nil || len(got) != 1 || !strings.Contains(got[0].Problem, tc.why) {
				t.Fatalf("%v, results %+v, want %q", err, got, tc.why)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.deleted, []string{job, runName(plan)}) {
				t.Errorf("deleted %v, want the Job and then the run", s.deleted)
			}
		})
	}
}

// TestForbidden ends at once, with the next step.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/configmaps", "/jobs", "/pods?label"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			s := &standIn{fault: func(_ int, r *http.Request) int {
				if strings.Contains(r.URL.String(), part) {
					return 403
				}
				return 0
			}}
			runner, plan := s.start(t)
			err := runner.Run(t.Context(), plan, func(Result) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "cannot") || hint.Of(err) != "docs/fleet.md has the role that this needs" {
				t.Errorf("error %v, hint %q", err, hint.Of(err))
			}
			if begun := part == "/pods?label"; runner.Begun() != begun || slices.Contains(s.deleted, runName(plan)) != (part == "/jobs") {
				t.Errorf("begun: %v, deleted %v, want an empty run removed", runner.Begun(), s.deleted)
			}
		})
	}
}

// TestUnauthorized says what to do, as the server does not.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	s := &standIn{fault: func(int, *http.Request) int { return 401 }}
	runner, _ := s.start(t)
	if _, err := runner.Client.Runs(t.Context()); err == nil || !strings.Contains(err.Error(), "does not know who this is") || !strings.Contains(hint.Of(err), "log in again") {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

// TestStatus: a row waits on a node whose kubelet does not answer.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := &standIn{}
	runner, plan := s.start(t)
	s.pods = map[string]string{plan.Tasks[0].Name: `{"phase":"Pending"}`}
	s.there["/api/v1/nodes/n1"] = json.RawMessage(`{"metadata":{"name":"n1"},"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}]}}`)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if err := runner.Run(ctx, plan, func(r Result) error { t.Errorf("result %+v", r); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	runs, err := runner.Client.Runs(t.Context())
	if err != nil || len(runs) != 1 || runs[0].Rows != 1 || runs[0].Waiting != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	rows, err := runner.Client.Rows(t.Context(), runs[0].Name)
	if err != nil || len(rows) != 1 || rows[0].Node != "n1" || rows[0].Why != "the node is not ready: NodeStatusUnknown: Kubelet stopped posting node status." {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestInterrupted leaves the run as it is, and has no result of a row that was being read.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := &standIn{fault: func(_ int, r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/log") {
			return 503
		}
		return 0
	}}
	runner, plan := s.start(t)
	ctx, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer stop()
	err := runner.Run(ctx, plan, func(r Result) error { t.Errorf("result %+v", r); return nil })
	if !errors.Is(err, context.DeadlineExceeded) || !runner.Begun() || len(s.deleted) > 0 {
		t.Fatalf("%v, begun %v, deleted %v", err, runner.Begun(), s.deleted)
	}
	s.fault = nil
	var got []Result
	if err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil }); err != nil || len(got) != 1 || got[0].Row.Result != gpu.Passed {
		t.Errorf("again: %v, %+v", err, got)
	}
}

// TestEarlierRun: Jobs and pods of the same name that a run left which is being removed are not taken for one's own.
func TestEarlierRun(t *testing.T) {
	t.Parallel()
	s := &standIn{}
	runner, plan := s.start(t)
	old := "/apis/batch/v1/namespaces/ns/jobs/" + plan.Tasks[0].Name
	s.there[old] = json.RawMessage(`{"metadata":{"name":"x","ownerReferences":[{"uid":"another"}]}}`)
	s.there["/api/v1/namespaces/ns/pods/old"] = json.RawMessage(fmt.Sprintf(
		`{"metadata":{"name":"old","uid":"old","creationTimestamp":"2099-01-01T00:00:00Z","deletionTimestamp":"2026-11-30T08:00:00Z","labels":{"cudabuild.run":"%s","cudabuild.run-uid":"another","batch.kubernetes.io/job-name":"%s"}},"spec":{"nodeName":"n1"},"status":%s}`,
		runName(plan), plan.Tasks[0].Name, ended()))
	time.AfterFunc(1500*time.Millisecond, func() { s.mu.Lock(); delete(s.there, old); s.mu.Unlock() })
	begun := time.Now()
	var got []Result
	err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
	if err != nil || len(got) != 1 || got[0].Row.Result != gpu.Passed || time.Since(begun) < 1500*time.Millisecond {
		t.Errorf("after %s: %v, %+v", time.Since(begun), err, got)
	}
}

// TestPodDeleted: of a pod that somebody deletes there is no row, whatever is still there when it is looked for.
func TestPodDeleted(t *testing.T) {
	t.Parallel()
	stopped := strings.Replace(line, `"problem":""`, `"problem":"told to stop","stopped":true`, 1)
	running := fmt.Sprintf(phase, "Running", "running", "{}")
	died := fmt.Sprintf(phase, "Failed", "terminated", `{"exitCode":1}`)
	for name, tc := range map[string]struct {
		log, status string
		then        string // what the pod becomes when its log was read; "" if it goes
		deleted     bool
		why         string
	}{
		"while it is looked at":     {log: stopped, status: running, then: died, deleted: true, why: podDeleted},
		"and gone":                  {log: stopped, status: running, why: podDeleted},
		"without time for a row":    {log: "x", status: running, why: podDeleted},
		"before its program began":  {status: "", why: podDeleted},
		"no, its container stopped": {log: stopped, status: running, then: died, why: "on node n1: told to stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &standIn{log: tc.log + "\n"}
			runner, plan := s.start(t)
			job := plan.Tasks[0].Name
			s.pods = map[string]string{job: tc.status}
			fail := func() { // the controller of Jobs has seen it
				at := "/apis/batch/v1/namespaces/ns/jobs/" + job
				if j := string(s.there[at]); !strings.Contains(j, backoffLimit) {
					s.there[at] = json.RawMessage(strings.Replace(j, "{", `{"status":{"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded"}]},`, 1))
				}
			}
			s.fault = func(_ int, r *http.Request) int {
				switch at := "/api/v1/namespaces/ns/pods/" + job; {
				case tc.status == "" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/jobs"):
					fail()
				case r.URL.Path == at+"/log" && tc.then == "":
					delete(s.there, at)
					fail()
				case r.URL.Path == at+"/log":
					p := strings.Replace(string(s.there[at]), tc.status, tc.then, 1)
					if tc.deleted {
						p = strings.Replace(p, `"labels"`, `"deletionTimestamp":"2026-11-30T08:00:00Z","labels"`, 1)
					}
					s.there[at] = json.RawMessage(p)
				}
				return 0
			}
			var got []Result
			err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
			if err != nil || len(got) != 1 || got[0].Problem != tc.why {
				t.Errorf("%v, results %+v, want %q", err, got, tc.why)
			}
		})
	}
}

// TestPodGone: the Job has ended, and its pod went with its node before a client has read the row.
func TestPodGone(t *testing.T) {
	t.Parallel()
	s := &standIn{}
	runner, plan := s.start(t)
	job := plan.Tasks[0].Name
	s.pods = map[string]string{job: ""}
	have := runner.Have
	runner.Have = func(t fleet.Task, uid string) bool { // once the ConfigMap is there
		s.mu.Lock()
		defer s.mu.Unlock()
		s.there["/apis/batch/v1/namespaces/ns/jobs/"+job] = json.RawMessage(`{"metadata":{"name":"x","ownerReferences":[{"uid":"` + uid + `"}]},"status":{"conditions":[{"type":"Complete","status":"True"}]}}`)
		delete(s.pods, job)
		return have(t, uid)
	}
	var got []Result
	err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
	if err != nil || len(got) != 1 || got[0].Row.Result != gpu.Passed {
		t.Errorf("%v, %+v", err, got)
	}
}
