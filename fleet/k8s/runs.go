// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// job is what is read of one.
type job struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		Active     int         `json:"active"`
		Ready      int         `json:"ready"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

func (j job) has(conditionType string) (c condition, ok bool) {
	i := slices.IndexFunc(j.Status.Conditions, func(c condition) bool { return c.Type == conditionType && c.Status == "True" })
	if i < 0 {
		return condition{}, false
	}
	return j.Status.Conditions[i], true
}

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
	Rows    string    `json:"rows"`    // that were planned
	Waiting int       `json:"waiting"` // without a pod that runs
	Running int       `json:"running"`
	Ended   int       `json:"ended"`
}

// Over reports whether nothing of it goes on. Rows whose Jobs are no longer there have ended.
func (r Run) Over() bool { return r.Waiting+r.Running == 0 }

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
		r := Run{Name: o.Metadata.Name, Begun: o.Metadata.CreationTimestamp, Rows: o.Data["rows"]}
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
	_, complete := j.has("Complete")
	switch {
	case complete || j.failed() != "":
		r.Ended++
	case j.Status.Ready > 0:
		r.Running++
	default:
		r.Waiting++
	}
}

// Remove takes a run out of the cluster, with all that it has made.
func (c *Client) Remove(ctx context.Context, run string) error { return c.remove(ctx, configMaps, run) }
