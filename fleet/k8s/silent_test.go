// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
)

// pipe carries requests to a server without a network, so that a test's clock may stand for the time that both wait.
type pipe struct{ to http.Handler }

func (p pipe) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	a := &answer{header: http.Header{}, body: w, begun: make(chan int, 1)}
	go func() {
		p.to.ServeHTTP(a, r)
		a.WriteHeader(http.StatusOK)
		_ = w.Close()
	}()
	select {
	case status := <-a.begun:
		return &http.Response{StatusCode: status, Header: a.header, Body: body, Request: r}, nil
	case <-r.Context().Done():
		_ = body.Close() // or the server would write to nobody, without end
		return nil, r.Context().Err()
	}
}

type answer struct {
	header http.Header
	body   *io.PipeWriter
	once   sync.Once
	begun  chan int
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) Flush()              {}

func (a *answer) WriteHeader(status int) { a.once.Do(func() { a.begun <- status }) }

func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(text)
}

// TestSilent: a node or a pod of which nothing is heard ends a row, and not before its time; an API server that is away does not.
func TestSilent(t *testing.T) {
	t.Parallel()
	running := fmt.Sprintf(phase, "Running", "running", "{}")
	log := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/log") }
	for name, tc := range map[string]struct {
		status string
		away   func(r *http.Request, since time.Duration) bool
		then   time.Duration // when the pod's program begins or ends after all, 0 for never
		why    string        // "" for a row
		min    time.Duration
	}{
		"the node, for good": {
			status: running, away: func(r *http.Request, _ time.Duration) bool { return log(r) },
			why: "node n1 has not answered for 10m0s while the program ran", min: reach,
		},
		"the node, after the end": {
			status: ended(), away: func(r *http.Request, _ time.Duration) bool { return log(r) },
			why: "on node n1 cannot be read", min: reach,
		},
		"the node, nine minutes": {
			status: running, away: func(r *http.Request, since time.Duration) bool { return log(r) && since < 9*time.Minute }, then: 9 * time.Minute, min: 9 * time.Minute,
		},
		"the node, and then the API server too": {
			status: running, away: func(r *http.Request, since time.Duration) bool {
				return log(r) || since > 5*time.Minute && since < 20*time.Minute
			},
			why: "node n1 has not answered for 10m0s while the program ran", min: 20*time.Minute + reach,
		},
		"the API server, two hours": {
			status: running, away: func(_ *http.Request, since time.Duration) bool { return since > time.Second && since < 2*time.Hour }, then: time.Hour, min: 2 * time.Hour,
		},
		"the API server, two hours, of a pod that waits": {
			status: `{"phase":"Pending"}`, away: func(_ *http.Request, since time.Duration) bool { return since > time.Second && since < 2*time.Hour }, then: time.Hour, min: 2 * time.Hour,
		},
		"a pod that never begins": {
			status: `{"phase":"Pending"}`, away: func(*http.Request, time.Duration) bool { return false },
			why: "on node n1: its program has not begun within 1h0m0s: 'kubectl -n ns describe pod", min: start,
		},
		"a pod that begins after fifty minutes": {
			status: `{"phase":"Pending"}`, away: func(*http.Request, time.Duration) bool { return false }, then: 50 * time.Minute, min: 50 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, begun := &standIn{}, time.Now()
				runner, plan := s.at(t, "http://stand-in")
				runner.Client.rest.Client = &http.Client{Transport: pipe{s}}
				job := plan.Tasks[0].Name
				s.pods = map[string]string{job: tc.status}
				s.fault = func(_ int, r *http.Request) int {
					if tc.away(r, time.Since(begun)) {
						return http.StatusServiceUnavailable
					}
					return 0
				}
				if tc.then > 0 {
					time.AfterFunc(tc.then, func() {
						s.mu.Lock()
						defer s.mu.Unlock()
						at := "/api/v1/namespaces/ns/pods/" + job
						s.there[at] = json.RawMessage(strings.Replace(string(s.there[at]), tc.status, ended(), 1))
						close(s.wake)
						s.wake = make(chan struct{})
					})
				}
				var got []Result
				err := runner.Run(t.Context(), plan, func(r Result) error { got = append(got, r); return nil })
				if err != nil || len(got) != 1 {
					t.Fatalf("%v, results %+v", err, got)
				}
				if !strings.Contains(got[0].Problem, tc.why) || tc.why == "" && (got[0].Problem != "" || got[0].Row.Result != gpu.Passed) {
					t.Errorf("result %+v, want %q", got[0], tc.why)
				}
				if took := time.Since(begun); took < tc.min || took > tc.min+time.Minute {
					t.Errorf("after %s, want %s", took, tc.min)
				}
			})
		})
	}
}
