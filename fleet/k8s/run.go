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
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
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
	Observer string // image, by digest
	Pods     Pods
	Limit    time.Duration // of tests that do not say
	Wait     time.Duration // for a node, as long as nothing else of the run is running
	// Have says that the row of a task was kept by an earlier client of the run with this UID.
	Have func(task fleet.Task, run string) bool

	begun bool
}

// Begun reports whether the cluster has the run.
func (r *Runner) Begun() bool { return r.begun }

// Result is what became of a task: a row, or a problem because of which there is none.
type Result struct {
	Task    fleet.Task
	Row     gpu.Row
	Host    gpu.Host
	Problem string
}

// Run makes the rows of a plan, and calls done with each result, one after the other. When there are all,
// nothing is left in the cluster. Where it ends before, by ctx or an error, all goes on
// there, and Run with the same plan takes it up.
func (r *Runner) Run(ctx context.Context, plan fleet.Plan, done func(Result) error) error {
	owner, made, err := r.begin(ctx, plan)
	if err != nil {
		return err
	}
	r.begun = true
	ctx, stop := context.WithCancel(ctx)
	run := &run{Runner: r, ctx: ctx, owner: owner, done: done, tasks: map[string]*state{}, nodes: map[string]fleet.Node{}, results: make(chan followed)}
	defer run.others.Wait()
	defer stop()
	for _, t := range plan.Tasks {
		if r.Have(t, owner.Metadata.UID) {
			continue
		}
		if err := run.make(t); err != nil {
			if made && len(run.tasks) == 0 && refusal(err) { // nothing goes on
				r.begun = r.Client.Remove(ctx, owner.Metadata.Name) != nil
			}
			return err
		}
		run.tasks[t.Name] = &state{task: t}
	}
	if err := run.all(); err != nil {
		return err
	}
	err = r.Client.Remove(ctx, owner.Metadata.Name)
	r.begun = err != nil
	return err
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

// pods selects those of the run.
func (o owner) pods() string { return uidLabel + "=" + o.Metadata.UID }

// begin makes the ConfigMap of a plan, or finds that of an earlier client.
func (r *Runner) begin(ctx context.Context, plan fleet.Plan) (o owner, made bool, err error) {
	name := runName(plan)
	for {
		made, err := r.Client.create(ctx, configMaps, runMap(name, len(plan.Tasks)), &o)
		if made || err != nil {
			return o, made, err
		}
		found, err := r.Client.get(ctx, configMaps, name, &o)
		if err != nil || found && o.Metadata.DeletionTimestamp == nil {
			return o, false, err
		}
		if err := sleep(ctx); err != nil { // it is being removed
			return o, false, err
		}
	}
}

// run is one run of a plan.
type run struct {
	*Runner
	ctx     context.Context
	owner   owner
	done    func(Result) error
	tasks   map[string]*state // that have no result yet, by the name of the Job
	nodes   map[string]fleet.Node
	results chan followed
	others  sync.WaitGroup // that watch and follow
	moved   time.Time      // when a task was last seen to be on its way
	looked  time.Time      // when events were last read
}

// state is how far a task is.
type state struct {
	task      fleet.Task
	pod       pod // without a UID there is none
	at        *fleet.Place
	placed    time.Time // when it was seen to have a node
	following bool
	unfollow  context.CancelFunc // ends the stream of its log
	over      time.Time          // when its container was seen to have ended while its log was being followed
	since     time.Time          // when it was seen to be stuck
}

// followed is what came of following a pod.
type followed struct {
	Result

	gone bool // the pod went without a row
}

// make makes the Job of a task, and the claim for it. Those of an earlier run that is being removed are
// waited for.
func (r *run) make(t fleet.Task) error {
	if r.claims(t) {
		if err := r.makeOne(claimTemplates, t.Name, claim(t, r.owner)); err != nil {
			return fmt.Errorf("the claim of %s: %w", t.Subject.Ref, err)
		}
	}
	if err := r.makeOne(jobs, t.Name, r.job(t, r.owner)); err != nil {
		return fmt.Errorf("the Job of %s: %w", t.Subject.Ref, err)
	}
	return nil
}

func (r *run) makeOne(k kind, name string, o object) error {
	for {
		made, err := r.Client.create(r.ctx, k, o, &struct{}{})
		if made || err != nil {
			return err
		}
		var there job
		if found, err := r.Client.get(r.ctx, k, name, &there); err != nil || found && there.of(r.owner) {
			return err
		}
		if err := sleep(r.ctx); err != nil {
			return err
		}
	}
}

// all waits until every task has its result.
func (r *run) all() error {
	changes, failed := make(chan event), make(chan error, 1)
	r.others.Go(func() { failed <- r.Client.watch(r.ctx, r.owner.pods(), changes) })
	clock := time.NewTicker(pause)
	defer clock.Stop()
	r.moved = time.Now()
	for len(r.tasks) > 0 {
		var err error
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case err = <-failed:
			return err
		case e := <-changes:
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
		return r.listed(e.live)
	}
	s := r.tasks[e.pod.job()]
	if s != nil && s.following && s.over.IsZero() && e.pod.Metadata.UID == s.pod.Metadata.UID && e.pod.ended() != nil {
		s.over = time.Now()
	}
	switch {
	case s == nil || s.following || e.pod.Metadata.CreationTimestamp.Before(s.pod.Metadata.CreationTimestamp):
		return nil
	case e.gone || e.pod.taken():
		if s.pod.Metadata.UID != e.pod.Metadata.UID {
			return nil
		}
		return r.lost(s)
	}
	return r.seen(s, e.pod)
}

// listed looks at the tasks whose pods are not among all that there are.
func (r *run) listed(live map[string]bool) error {
	for _, s := range r.tasks {
		if !s.following && !live[s.pod.Metadata.UID] {
			if err := r.lost(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen takes down how the pod of a task is, and follows it once its program has begun.
func (r *run) seen(s *state, p pod) error {
	if s.pod.Metadata.UID != p.Metadata.UID {
		s.at, s.since = nil, time.Time{}
	}
	s.pod = p
	if p.Spec.NodeName != "" && s.at == nil {
		node, err := r.node(p.Spec.NodeName)
		if err != nil {
			return err
		}
		at := s.task.At(node)
		s.at, s.placed = &at, time.Now()
	}
	if p.begun() {
		ctx, unfollow := context.WithCancel(r.ctx)
		s.following, s.unfollow, s.over = true, unfollow, time.Time{}
		if p.ended() != nil {
			s.over = time.Now()
		}
		task, at := s.task, *s.at
		r.others.Go(func() {
			defer unfollow()
			r.follow(ctx, task, at, p.Metadata.Name)
		})
		return nil
	}
	h := p.hopeless()
	switch {
	case h.why == "":
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
	}
	if h.why == "" || !h.sure {
		return nil
	}
	return r.ended(followed{Result: s.without(h)})
}

// without is the result of a task whose container could not be made.
func (s *state) without(h hopeless) Result {
	if !h.refused || s.at == nil {
		return Result{Task: s.task, Problem: h.why}
	}
	row, host := s.task.Killed(Engine, *s.at, time.Now(), 0, h.why)
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

// follow reads the row of a pod whose program has begun. The stream of its log ends with ctx.
func (r *run) follow(ctx context.Context, t fleet.Task, at fleet.Place, pod string) {
	f := r.read(ctx, t, at, pod)
	f.Task = t
	select {
	case r.results <- f:
	case <-r.ctx.Done():
	}
}

const (
	// tries is how often a log is read that does not have the whole row.
	tries = 5
	// drain is how long the stream of a log may go on after its container has ended. A kubelet that was
	// killed meanwhile may never end it.
	drain = 5 * time.Second
	// reach is how long the log of a container is asked for while nobody gives it, and the server answers.
	reach = 10 * time.Minute
	// start is how long a pod may have a node without running its program. Images of tens of GB are pulled meanwhile.
	start = time.Hour
)

// read follows a pod to its end. Where the kubelet is away it waits for it no longer than reach. What it returns after the
// run's context has ended nobody reads.
func (r *run) read(following context.Context, t fleet.Task, at fleet.Place, name string) (f followed) {
	var silent time.Time // since when nobody gives the log
	over := false
	for cut := 0; r.ctx.Err() == nil; _ = sleep(r.ctx) {
		log, unread := r.log(following, name, !over && following.Err() == nil)
		var p pod
		asked := time.Now()
		found, err := r.Client.get(r.ctx, pods, name, &p)
		if err != nil {
			f.Problem = err.Error()
			return f
		}
		switch {
		case !away(unread):
			silent = time.Time{}
		case silent.IsZero(), time.Since(asked) > patience: // else the server was away itself
			silent = time.Now()
		}
		lost := !silent.IsZero() && time.Since(silent) > reach
		ended := p.ended()
		switch {
		case found && p.taken():
			return followed{gone: true}
		case found && ended == nil && lost:
			f.Problem = fmt.Sprintf("node %s has not answered for %s while the program ran: %v", at.Name, reach, unread)
			return f
		case found && ended == nil:
			continue // the stream broke, or the kubelet is away
		case !found:
			ended = &terminated{}
		}
		over = true
		seen, err := observe.Read(log, []byte(ended.Message))
		switch {
		case err == nil && !seen.Stopped:
			f.Row, f.Host = t.Row(Engine, at, seen, r.Limit)
			return f
		case !found:
			return followed{gone: true}
		case p.Metadata.DeletionTimestamp != nil && !away(unread):
			f.Problem = podDeleted
			return f
		case err == nil:
			f.Problem = fmt.Sprintf("on node %s: %s", at.Name, seen.Problem)
			return f
		case away(unread) && !lost:
			continue
		case lost:
			f.Problem = fmt.Sprintf("the log of pod %s on node %s cannot be read: %v", name, at.Name, unread)
			return f
		case errors.Is(err, observe.ErrNoRow):
			return r.died(t, at, *ended)
		}
		if cut++; cut == tries {
			f.Problem = fmt.Sprintf("pod %s on node %s: %v", name, at.Name, errors.Join(err, unread))
			return f
		}
	}
	return f
}

// log reads the log of a pod, to the end of its program or what there is of it.
func (r *run) log(following context.Context, pod string, follow bool) ([]byte, error) {
	if follow {
		return r.Client.log(following, pod, true)
	}
	ctx, stop := context.WithTimeout(r.ctx, patience)
	defer stop()
	return r.Client.log(ctx, pod, false)
}

// died is what comes of a container that left no row. Only what its program has done is a row.
func (r *run) died(t fleet.Task, at fleet.Place, end terminated) (f followed) {
	why, row := end.death()
	if !row {
		f.Problem = fmt.Sprintf("on node %s: %s", at.Name, why)
		return f
	}
	started := end.StartedAt
	if started.Year() < 2000 { // containers that were not started
		started = time.Now()
	}
	f.Row, f.Host = t.Killed(Engine, at, started, end.ExitCode, why)
	return f
}

// ended hands a result on.
func (r *run) ended(f followed) error {
	s := r.tasks[f.Task.Name]
	if f.gone {
		s.following = false
		return r.lost(s)
	}
	if f.Problem != "" { // it must not go on, and hold a GPU
		if err := r.Client.remove(r.ctx, jobs, f.Task.Name); err != nil {
			return err
		}
	}
	delete(r.tasks, f.Task.Name)
	f.Row.Run = r.owner.Metadata.UID
	return r.done(f.Result)
}

// podDeleted is why there is no row of a pod that went although the cluster had no need of its place.
const podDeleted = "somebody deleted its pod"

// lost is for a task whose pod is no longer there, or never was. Its Job makes another one, unless it has
// ended or is gone itself.
func (r *run) lost(s *state) error {
	s.pod, s.at = pod{}, nil
	var j job
	found, err := r.Client.get(r.ctx, jobs, s.task.Name, &j)
	if err != nil {
		return err
	}
	if !found {
		return r.removed(s)
	}
	if failed, ok := j.has("Failed"); ok {
		why := podDeleted
		if failed.Reason != backoffLimit {
			why = "its pod is gone: " + j.failed()
		}
		return r.ended(followed{Result: Result{Task: s.task, Problem: why}})
	}
	if j.state() == Ended { // with its node, and nobody has read the row
		if err := r.Client.remove(r.ctx, jobs, s.task.Name); err != nil {
			return err
		}
		return r.make(s.task)
	}
	var all struct {
		Items []pod `json:"items"`
	}
	if err := r.Client.list(r.ctx, pods, r.owner.pods()+",batch.kubernetes.io/job-name="+s.task.Name, &all); err != nil {
		return err
	}
	for _, p := range all.Items {
		if !p.taken() && !s.following {
			if err := r.seen(s, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// removed is for a task whose Job is gone.
func (r *run) removed(s *state) error {
	found, err := r.Client.get(r.ctx, configMaps, r.owner.Metadata.Name, &owner{})
	if err != nil {
		return err
	}
	if found {
		return r.ended(followed{Result: Result{Task: s.task, Problem: "somebody deleted its Job"}})
	}
	r.begun = false
	return hint.New(fmt.Sprintf("run %s was removed from the cluster meanwhile", r.owner.Metadata.Name), "another client of it has ended it, and has its rows, or 'cudabuild fleet prune' has removed it")
}

// patience is how long what may pass, such as a registry that is busy, may keep a pod from its program.
const patience = time.Minute

// late ends tasks that will not come to run. As long as one is on its way, others may be waiting for its GPU.
func (r *run) late(now time.Time) error {
	podless := false
	for _, s := range r.tasks {
		if s.at != nil {
			r.moved = now
		}
		podless = podless || s.pod.Metadata.UID == ""
	}
	var refused map[string]string
	if podless && now.Sub(r.looked) > 10*pause {
		if err := r.podless(); err != nil {
			return err
		}
		r.looked, refused = now, r.Client.refused(r.ctx, r.owner.Metadata.CreationTimestamp)
	}
	for _, s := range r.tasks {
		why := ""
		switch {
		case s.following:
			if !s.over.IsZero() && now.Sub(s.over) > drain {
				s.unfollow()
			}
		case s.pod.Metadata.UID == "" && refused[s.task.Name] != "":
			why = refused[s.task.Name]
		case !s.since.IsZero() && now.Sub(s.since) > patience:
			why = s.pod.hopeless().why
		case s.at == nil && now.Sub(r.moved) > r.Wait:
			why = r.unplaced(s)
		case s.at != nil && now.Sub(s.placed) > start:
			var err error
			if why, err = r.unbegun(s); err != nil {
				return err
			}
		}
		if why == "" {
			continue
		}
		if err := r.ended(followed{Result: Result{Task: s.task, Problem: why}}); err != nil {
			return err
		}
	}
	return nil
}

// podless looks at the Jobs of tasks without a pod: those that have ended meanwhile, or are gone, make none.
func (r *run) podless() error {
	var all struct {
		Items []job `json:"items"`
	}
	if err := r.Client.list(r.ctx, jobs, label+"="+r.owner.Metadata.Name, &all); err != nil {
		return err
	}
	going := map[string]bool{}
	for _, j := range all.Items {
		going[j.Metadata.Name] = j.of(r.owner) && j.state() != Ended
	}
	for _, s := range r.tasks {
		if s.pod.Metadata.UID == "" && !s.following && !going[s.task.Name] {
			if err := r.lost(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// unplaced says why a task has no node.
func (r *run) unplaced(s *state) string {
	why := s.pod.unplaced()
	if s.pod.Metadata.UID == "" {
		why = fmt.Sprintf("the Job has no pod: 'kubectl -n %s describe job %s' says why", r.Client.Namespace, s.task.Name)
	}
	return fmt.Sprintf("no node within %s: %s", r.Wait, cmp.Or(why, "the scheduler has not said why"))
}

// unbegun says why the program of a task has not begun, "" if it has meanwhile: the server may have been away.
func (r *run) unbegun(s *state) (why string, err error) {
	var p pod
	found, err := r.Client.get(r.ctx, pods, s.pod.Metadata.Name, &p)
	if err != nil || !found || p.begun() || p.Metadata.UID != s.pod.Metadata.UID {
		return "", err // the watch tells
	}
	return fmt.Sprintf("on node %s: its program has not begun within %s: 'kubectl -n %s describe pod %s' says why", s.at.Name, start, r.Client.Namespace, p.Metadata.Name), nil
}

func sleep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}
