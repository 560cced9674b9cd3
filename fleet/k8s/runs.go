// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// job is what is read of one.
type job struct {
	Metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		Owners      []struct {
			UID string `json:"uid"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Status struct {
		Ready      int         `json:"ready"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// of reports whether the run with this ConfigMap has made it.
func (j job) of(o owner) bool {
	return len(j.Metadata.Owners) == 1 && j.Metadata.Owners[0].UID == o.Metadata.UID
}

func (j job) has(conditionType string) (c condition, ok bool) {
	i := slices.IndexFunc(j.Status.Conditions, func(c condition) bool { return c.Type == conditionType && c.Status == "True" })
	if i < 0 {
		return condition{}, false
	}
	return j.Status.Conditions[i], true
}

// backoffLimit is the reason of a Job that has failed because its pod did.
const backoffLimit = "BackoffLimitExceeded"

// failed says why it did, "" if it has not.
func (j job) failed() string {
	c, ok := j.has("Failed")
	if !ok {
		return ""
	}
	return words(c.Reason, c.Message)
}

// Run is what a cluster has of a run.
type Run struct {
	Name    string    `json:"run"`
	Begun   time.Time `json:"begun"`
	Rows    int       `json:"rows"`    // that were planned, 0 if nobody knows
	Waiting int       `json:"waiting"` // without a pod that runs
	Running int       `json:"running"`
	Ended   int       `json:"ended"`
}

// Over reports whether nothing of it goes on: no Job waits or runs, and no client is about to make some.
// Rows whose Jobs are no longer there have ended.
func (r Run) Over() bool { return r.Waiting+r.Running == 0 && time.Since(r.Begun) > time.Hour }

// Runs are those of the namespace, oldest first.
func (c *Client) Runs(ctx context.Context) ([]Run, error) {
	var owners struct {
		Items []owner `json:"items"`
	}
	if err := c.list(ctx, configMaps, label, &owners); err != nil {
		return nil, err
	}
	var made struct {
		Items []job `json:"items"`
	}
	if err := c.list(ctx, jobs, label, &made); err != nil {
		return nil, err
	}
	runs := []Run{}
	for _, o := range owners.Items {
		r := Run{Name: o.Metadata.Name, Begun: o.Metadata.CreationTimestamp}
		r.Rows, _ = strconv.Atoi(o.Data["rows"])
		for _, j := range made.Items {
			if j.Metadata.Labels[label] == r.Name {
				r.count(j)
			}
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.Name, b.Name)) })
	return runs, nil
}

func (r *Run) count(j job) {
	switch j.state() {
	case Ended:
		r.Ended++
	case Running:
		r.Running++
	default:
		r.Waiting++
	}
}

// The states of a row in a cluster.
const (
	Waiting = "waiting"
	Running = "running"
	Ended   = "ended"
)

func (j job) state() string {
	_, complete := j.has("Complete")
	switch {
	case complete || j.failed() != "":
		return Ended
	case j.Status.Ready > 0:
		return Running
	}
	return Waiting
}

// Row is how far a row of a run is.
type Row struct {
	Job   string `json:"job"`
	Image string `json:"image"`
	Test  string `json:"test"`
	State string `json:"state"`
	Node  string `json:"node"` // "" without one
	Why   string `json:"why"`  // it waits, or could not be made
}

// Rows are those of a run, by the names of their Jobs.
func (c *Client) Rows(ctx context.Context, run string) ([]Row, error) {
	var made struct {
		Items []job `json:"items"`
	}
	if err := c.list(ctx, jobs, label+"="+run, &made); err != nil {
		return nil, err
	}
	var there struct {
		Items []pod `json:"items"`
	}
	if err := c.list(ctx, pods, label+"="+run, &there); err != nil {
		return nil, err
	}
	rows, ail := []Row{}, map[string]string{}
	for _, j := range made.Items {
		row := Row{Job: j.Metadata.Name, Image: j.Metadata.Annotations[imageNote], Test: j.Metadata.Annotations[testNote], State: j.state(), Why: j.failed()}
		for _, p := range there.Items {
			if p.job() == row.Job {
				row.Node, row.Why = p.Spec.NodeName, cmp.Or(row.Why, p.hopeless().why, p.unplaced())
			}
		}
		if row.Node != "" && row.Why == "" && row.State != Ended {
			var err error
			if row.Why, err = c.ails(ctx, row.Node, ail); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Job, b.Job) })
	return rows, nil
}

// ails says why nothing goes on on a node, "" if nothing is known of it. Known are those that were asked about.
func (c *Client) ails(ctx context.Context, name string, known map[string]string) (string, error) {
	if why, asked := known[name]; asked {
		return why, nil
	}
	var n node
	if _, err := c.get(ctx, nodes, name, &n); err != nil && !missing(err) {
		return "", err
	}
	for _, is := range n.Status.Conditions {
		if is.Type == "Ready" && is.Status != "True" {
			known[name] = "the node is not ready: " + words(is.Reason, is.Message)
		}
	}
	return known[name], nil
}

// Remove takes a run out of the cluster, with all that it has made.
func (c *Client) Remove(ctx context.Context, run string) error { return c.remove(ctx, configMaps, run) }

// refused says by the names of Jobs why the cluster has taken no pod of theirs at all since then: an admission, a
// missing runtime class. A quota is none of it, since others may make room. Nothing is said of Jobs to a client that may not
// read events.
func (c *Client) refused(ctx context.Context, since time.Time) map[string]string {
	var all struct {
		Items []struct {
			Reason   string    `json:"reason"`
			Message  string    `json:"message"`
			Last     time.Time `json:"lastTimestamp"`
			Involved struct {
				Name string `json:"name"`
			} `json:"involvedObject"`
		} `json:"items"`
	}
	why := map[string]string{}
	if err := c.list(ctx, events, "", &all); err != nil {
		return why
	}
	for _, e := range all.Items {
		if e.Reason == "FailedCreate" && !e.Last.Before(since) && strings.Contains(e.Message, "forbidden") && !strings.Contains(e.Message, "exceeded quota") {
			why[e.Involved.Name] = "the cluster takes no pod of it: " + e.Message
		}
	}
	return why
}
