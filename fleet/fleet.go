// SPDX-License-Identifier: Apache-2.0

// Package fleet makes rows on hosts that somebody else hands out, such as the nodes of a cluster.
//
// [New] plans: a [Task] is a row to be made, with the nodes on which the image runs by the rules
// of package compat and that are what was asked for. What runs nowhere is left out, with the reason.
// [Task.Row] makes the row from what package observe saw beside the program. Both speak to nobody; package
// k8s below this one has the Jobs.
package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// Subject is a test of an image that nodes can pull.
type Subject struct {
	predict.Subject
	Pull     string         // registry/repo@sha256:...
	Platform string         // of the image, "linux/amd64"
	Report   verify.Report  // on it with what the test runs
	Own      *usertest.Test // nil for a sample
}

// Ask is a test and the nodes that are to run it.
type Ask struct {
	Subject *Subject
	On      gpu.Asked
	Most    int // GPUs of any of these nodes; 0 where there may be none yet
}

// Plan is what is to be made.
type Plan struct {
	Run   string // names it: the same plan has the same name
	Tasks []Task
	Left  []Left // never nil
	// Nodes have GPUs, and nothing is asked for on them.
	Nodes []LeftNode
}

// Task is a row to be made.
type Task struct {
	Ask
	Name  string          // of the Job: a hash of the run, the image, the test and the nodes
	Where []compat.Region // nodes with GPUs on which it runs; nil for a container without
	// Prediction is what it will do on the oldest driver of Where. The row has that of its node.
	Prediction gpu.Prediction
}

// Left is a row that is not made.
type Left struct {
	Test  string    `json:"test"`
	Image string    `json:"image"`
	Cell  string    `json:"cell"` // "" of an image that is none's
	On    gpu.Asked `json:"asked"`
	Why   string    `json:"why"`
}

// MaxRows is how many rows a plan has at most: each is a Job in a cluster.
const MaxRows = 10_000

// LeftNode is a node with GPUs that takes no row as the cluster is now.
type LeftNode struct {
	Name string `json:"node"`
	Why  string `json:"why"`
}

// New plans rows, each as often as repeat says. How they are made is a part of the plan: made in another way they
// are others. There is an error if they are more than MaxRows, or if ctx ends: predictions of many images take a while.
func New(ctx context.Context, asks []Ask, repeat int, how ...any) (Plan, error) {
	plan := Plan{Left: []Left{}}
	repeat = max(1, repeat)
	var tasks []Task
	where := map[*Subject][]compat.Region{} // one image is asked for on many kinds of nodes
	for _, a := range asks {
		if err := ctx.Err(); err != nil {
			return plan, err
		}
		task := Task{Ask: a}
		if a.On.GPUs > 0 {
			all, known := where[a.Subject]
			if !known {
				all = a.Subject.Report.MayRun(compat.HookCDI)
				where[a.Subject] = all
			}
			task.Where = a.within(all)
			if why := a.why(all, task.Where); why != "" {
				plan.Left = append(plan.Left, Left{a.Subject.Test.Name, a.Subject.Ref, a.Subject.Cell, a.On, why})
				continue
			}
		}
		task.Prediction = task.predict()
		if tasks = append(tasks, task); len(tasks) > MaxRows/repeat {
			return plan, hint.Usage(fmt.Sprintf("these are more rows than a run has at most, %d", MaxRows), "ask for fewer (--repeat, --driver, --gpu), or for some in another run")
		}
	}
	for _, task := range tasks {
		plan.Tasks = append(plan.Tasks, slices.Repeat([]Task{task}, repeat)...)
	}
	plan.name(how)
	return plan, nil
}

// name names the plan and its rows. Rows of one test on the same nodes are told apart by their
// number.
func (p *Plan) name(how []any) {
	var keys []string
	count := map[string]int{}
	for _, t := range p.Tasks {
		key := t.key()
		count[key]++
		keys = append(keys, fmt.Sprint(key, " ", count[key]))
	}
	p.Run = hash(20, how, keys)
	for i := range p.Tasks {
		p.Tasks[i].Name = "cudabuild-" + hash(20, p.Run, keys[i])
	}
}

func (a Ask) key() string {
	return fmt.Sprint(a.Subject.Digest, " ", a.Subject.Test.Name, " ", a.Subject.Test.Digest, " ", a.Subject.Test.Expect, " ", a.On)
}

// hash is the beginning, of so many digits, of a checksum of all parts.
func hash(digits int, parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digits]
}

// within cuts what is asked for, and what a test of one's own admits, out of where the image may run.
func (a Ask) within(all []compat.Region) []compat.Region {
	var gpus []string
	if a.On.GPU != "" {
		gpus = []string{a.On.GPU}
	}
	if own := a.Subject.Own; own != nil {
		all = compat.Within(all, own.Driver, targets(own.Architectures))
	}
	return compat.Within(all, a.On.Driver, targets(gpus))
}

func targets(names []string) (all []compat.Target) {
	for _, name := range names {
		if t, err := compat.ParseTarget(name); err == nil { // both files and flags were checked
			all = append(all, t)
		}
	}
	return all
}

// why says why the row cannot be made, "" if it can: all is where the image may run, within is what is asked for of that.
func (a Ask) why(all, within []compat.Region) string {
	switch {
	case len(all) == 0:
		_, why := a.Subject.Report.Where(compat.HookCDI)
		return cmp.Or(why.Why, "it runs on no driver and GPU that the tables know")
	case len(within) == 0:
		return a.unfit(all[0].GPUs[0])
	case a.Most > 0 && a.On.GPUs > a.Most:
		return fmt.Sprintf("no such node has %d GPUs: at most %d", a.On.GPUs, a.Most)
	}
	return ""
}

// unfit says why the image runs on none of the nodes that are asked for. If any GPU will do it is about this one.
func (a Ask) unfit(some compat.Target) string {
	s := a.Subject
	on := predict.Host{Facts: gpu.Host{Driver: a.driver()}}
	target := cmp.Or(a.On.GPU, some.String())
	if on.Facts.Driver == "" {
		return fmt.Sprintf("no driver is known that is %q", a.On.Driver)
	}
	on.GPUs = cards(target, a.On.GPUs)
	if s.Own != nil {
		if why := s.Own.Unfit(on.Facts.Driver, slices.Repeat([]string{target}, a.On.GPUs)); why != "" {
			return why
		}
	}
	why := s.On(on, s.Report).Why
	if a.On.GPU == target && a.On.Driver == on.Facts.Driver {
		return why
	}
	return fmt.Sprintf("%s with driver %s: %s", target, on.Facts.Driver, why) // one of many
}

// driver is the newest one known that is asked for, "" if there is none.
func (a Ask) driver() string {
	drivers := compat.Drivers()
	slices.Reverse(drivers)
	for _, d := range append(drivers, a.On.Driver) {
		if compat.IsVersion(d) && compat.DriverIs(a.On.Driver, d) {
			return d
		}
	}
	return ""
}

// predict says what it will do on the oldest driver and GPU on which it may come to run.
func (t Task) predict() gpu.Prediction {
	on := predict.Host{}
	if len(t.Where) > 0 {
		on.Facts.Driver = t.Where[0].From
		on.GPUs = cards(t.Where[0].GPUs[0].String(), t.On.GPUs)
	}
	return t.Subject.On(on, t.Subject.Report)
}

// cards are GPUs of an architecture, of which nothing else is known.
func cards(target string, n int) (all []gpu.GPU) {
	for _, t := range targets([]string{target}) {
		all = slices.Repeat([]gpu.GPU{{Capability: t.Capability()}}, n)
	}
	return all
}

// Classes are the kinds of nodes with GPUs that there are, by driver and architecture, as asks that lack a subject
// and a number of GPUs.
func Classes(nodes []Node) []Ask {
	seen := map[gpu.Asked]int{}
	for _, node := range nodes {
		if n := len(node.Host.GPUs); n > 0 {
			on := gpu.Asked{Driver: node.Host.Driver, GPU: node.Host.Compat(node.Host.GPUs[0]).GPU.String()}
			seen[on] = max(seen[on], n)
		}
	}
	var all []Ask
	for on, most := range seen {
		all = append(all, Ask{On: on, Most: most})
	}
	slices.SortFunc(all, func(a, b Ask) int {
		return cmp.Or(compat.Compare(a.On.Driver, b.On.Driver), cmp.Compare(a.On.GPU, b.On.GPU))
	})
	return all
}
