// SPDX-License-Identifier: Apache-2.0

// Package k8s makes the rows of a plan on the nodes of a Kubernetes cluster.
//
// One ConfigMap stands for the run and owns its Jobs, one for each row. Their names are hashes of
// what they do, so a client that comes back, or another one, finds what the first has made and goes
// on. Each pod runs the image unchanged; the observer, copied in before, stands before its program,
// prints the row and leaves its checksum in the termination message.
//
// [Open] finds the cluster, [Runner.Run] makes the rows, [Client.Runs] and [Client.Remove] are about
// what earlier clients have left.
package k8s

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// Engine is what rows call this way to make them.
const Engine = "k8s"

// Runner makes rows.
type Runner struct {
	Client   *Client
	Observer string        // image, by digest
	Pods     Pods          //
	Limit    time.Duration // of tests that do not say
	Wait     time.Duration // for a node, as long as nothing else of the run is running
	// Have says that the row of a task was kept by an earlier client of the run with this UID.
	Have func(task fleet.Task, run string) bool
}

// Result is what became of a task: a row, or a problem because of which there is none.
type Result struct {
	Task    fleet.Task
	Row     gpu.Row
	Host    gpu.Host
	Problem string
}

// Run makes the rows of a plan, and calls done with each result, one after the other. When there are all,
// nothing is left in the cluster. Where it ends before, by ctx or an error of done, all goes on
// there, and Run with the same plan takes it up.
func (r *Runner) Run(ctx context.Context, plan fleet.Plan, done func(Result) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	owner, err := r.begin(ctx, plan)
	if err != nil {
		return err
	}
	run := &run{Runner: r, ctx: ctx, name: owner.Metadata.Name, uid: owner.Metadata.UID, done: done, tasks: map[string]*state{}, nodes: map[string]fleet.Node{}, results: make(chan followed)}
	for _, t := range plan.Tasks {
		if r.Have(t, owner.Metadata.UID) {
			continue
		}
		if r.claims(t) {
			if _, err := r.Client.create(ctx, claimTemplates, claim(t, run.name, owner), &struct{}{}); err != nil {
				return fmt.Errorf("the claim of %s: %w", t.Subject.Ref, err)
			}
		}
		if _, err := r.Client.create(ctx, jobs, r.job(t, run.name, owner), &struct{}{}); err != nil {
			return fmt.Errorf("the Job of %s: %w", t.Subject.Ref, err)
		}
		run.tasks[t.Name] = &state{task: t}
	}
	if err := run.all(); err != nil {
		return err
	}
	return r.Client.Remove(ctx, run.name)
}

// owner is the ConfigMap of a run.
type owner struct {
	Metadata struct {
		Name              string     `json:"name"`
		UID               string     `json:"uid"`
		CreationTimestamp time.Time  `json:"creationTimestamp"`
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

// begin makes the ConfigMap of a plan, or finds that of an earlier client.
func (r *Runner) begin(ctx context.Context, plan fleet.Plan) (o owner, err error) {
	name := runName(plan)
	for {
		made, err := r.Client.create(ctx, configMaps, runMap(name, len(plan.Tasks)), &o)
		if made || err != nil {
			return o, err
		}
		found, err := r.Client.get(ctx, configMaps, name, &o)
		if err != nil || found && o.Metadata.DeletionTimestamp == nil {
			return o, err
		}
		if err := sleep(ctx, pause); err != nil { // it is being removed
			return o, err
		}
	}
}

// run is one run of a plan.
type run struct {
	*Runner
	ctx     context.Context
	name    string
	uid     string
	done    func(Result) error
	tasks   map[string]*state // that have no result yet, by the name of the Job
	nodes   map[string]fleet.Node
	results chan followed
	moved   time.Time // when the last task began or ended
}

// state is how far a task is.
type state struct {
	task      fleet.Task
	pod       string // UID, "" without one
	at        *fleet.Place
	following bool
	waits     string // why there is no node for the pod
}

// followed is what came of following a pod.
type followed struct {
	Result
	gone bool // the pod went without a row
}

// all waits until every task has its result.
func (r *run) all() error {
	events, failed := make(chan event), make(chan error, 1)
	go func() { failed <- r.Client.watch(r.ctx, r.name, events) }()
	clock := time.NewTicker(pause)
	defer clock.Stop()
	r.moved = time.Now()
	for len(r.tasks) > 0 {
		var err error
		select {
		case err = <-failed:
			return err
		case e := <-events:
			err = r.changed(e)
		case f := <-r.results:
			err = r.ended(f)
		case now := <-clock.C:
			err = r.late(now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) changed(e event) error {
	if e.live != nil {
		for _, s := range r.tasks {
			if s.pod != "" && !s.following && !e.live[s.pod] {
				if err := r.lost(s); err != nil {
					return err
				}
			}
		}
		return nil
	}
	s := r.tasks[e.pod.job()]
	if s == nil || s.following {
		return nil
	}
	if e.gone {
		if s.pod != e.pod.Metadata.UID {
			return nil // an earlier one
		}
		return r.lost(s)
	}
	if e.pod.taken() {
		s.pod, s.at = "", nil
		return nil
	}
	s.pod, s.waits = e.pod.Metadata.UID, e.pod.unplaced()
	if e.pod.Spec.NodeName != "" && s.at == nil {
		node, err := r.node(e.pod.Spec.NodeName)
		if err != nil {
			return err
		}
		at := s.task.At(node)
		s.at = &at
	}
	if e.pod.begun() {
		s.following, r.moved = true, time.Now()
		go r.follow(*s, e.pod.Metadata.Name)
		return nil
	}
	if why, refused := e.pod.hopeless(); why != "" {
		return r.ended(followed{Result: s.without(why, refused)})
	}
	return nil
}

// without is the result of a task whose container could not be made.
func (s *state) without(why string, refused bool) Result {
	if !refused || s.at == nil {
		return Result{Task: s.task, Problem: why}
	}
	row, host := s.task.Killed(Engine, *s.at, time.Now(), 0, why)
	return Result{Task: s.task, Row: row, Host: host}
}

// node is what is known of one.
func (r *run) node(name string) (fleet.Node, error) {
	if node, known := r.nodes[name]; known {
		return node, nil
	}
	node, err := r.Client.Node(r.ctx, name)
	if err == nil {
		r.nodes[name] = node
	}
	return node, err
}

// follow reads the row of a pod whose program has begun.
func (r *run) follow(s state, pod string) {
	f := r.read(s, pod)
	f.Task = s.task
	select {
	case r.results <- f:
	case <-r.ctx.Done():
	}
}

// tries is how often a log is read that does not have the whole row.
const tries = 5

func (r *run) read(s state, name string) (f followed) {
	for cut := 0; r.ctx.Err() == nil; _ = sleep(r.ctx, pause) {
		log, _ := r.Client.log(r.ctx, name) // what is missing shows by the checksum
		var p pod
		found, err := r.Client.get(r.ctx, pods, name, &p)
		if err != nil {
			continue // the server is away
		}
		ended := p.ended()
		switch {
		case found && p.taken(), !found && !whole(log):
			return followed{gone: true}
		case found && ended == nil:
			continue // the stream broke, or the kubelet is away
		case found && p.Metadata.DeletionTimestamp != nil:
			f.Problem = "somebody deleted its pod"
			return f
		}
		var message []byte
		if found {
			message = []byte(ended.Message)
		}
		seen, err := observe.Read(log, message)
		switch {
		case err == nil:
			f.Row, f.Host = s.task.Row(Engine, *s.at, seen, r.Limit)
			return f
		case errors.Is(err, observe.ErrNoRow) && found:
			f.Row, f.Host = s.task.Killed(Engine, *s.at, ended.StartedAt, ended.ExitCode, ended.death())
			return f
		}
		if cut++; cut == tries {
			f.Problem = fmt.Sprintf("pod %s on node %s: %v", name, s.at.Name, err)
			return f
		}
	}
	return f
}

// whole reports whether a log has a row by itself.
func whole(log []byte) bool {
	_, err := observe.Read(log, nil)
	return err == nil
}

// ended hands a result on.
func (r *run) ended(f followed) error {
	s := r.tasks[f.Task.Name]
	if f.gone {
		s.following = false
		return r.lost(s)
	}
	r.moved = time.Now()
	if f.Problem != "" { // it must not go on, and hold a GPU
		if err := r.Client.remove(r.ctx, jobs, f.Task.Name); err != nil {
			return err
		}
	}
	delete(r.tasks, f.Task.Name)
	f.Row.Run = r.uid
	return r.done(f.Result)
}

// lost is for a task whose pod is no longer there: its Job makes another one, unless it has
// failed or is gone itself.
func (r *run) lost(s *state) error {
	s.pod, s.at = "", nil
	var j job
	found, err := r.Client.get(r.ctx, jobs, s.task.Name, &j)
	if err != nil {
		return err
	}
	if !found {
		if found, err := r.Client.get(r.ctx, configMaps, r.name, &owner{}); err != nil || found {
			return errors.Join(err, r.ended(followed{Result: Result{Task: s.task, Problem: "somebody deleted its Job"}}))
		}
		return hint.New(fmt.Sprintf("run %s was removed from the cluster meanwhile", r.name), "another client of the same run has ended it, or 'cudabuild fleet prune' has; the same command makes what is missing")
	}
	if why := j.failed(); why != "" {
		return r.ended(followed{Result: Result{Task: s.task, Problem: "its pod is gone: " + why}})
	}
	return nil
}

// late ends tasks for which there is no node. As long as others run they may be waiting for those.
func (r *run) late(now time.Time) error {
	for _, s := range r.tasks {
		if s.following {
			r.moved = now
		}
	}
	if now.Sub(r.moved) < r.Wait {
		return nil
	}
	for _, s := range r.tasks {
		why := s.waits
		if s.pod == "" {
			why = fmt.Sprintf("the Job has no pod: 'kubectl -n %s describe job %s' says why", r.Client.Namespace, s.task.Name)
		}
		if why == "" {
			continue
		}
		problem := fmt.Sprintf("no node within %s: %s", r.Wait, strings.TrimSpace(why))
		if err := r.ended(followed{Result: Result{Task: s.task, Problem: problem}}); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
