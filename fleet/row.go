// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/had"
	"github.com/cudabuild/cudabuild/fleet/observe"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/predict"
)

// Node is a host that may run tasks, as it is known before anything was seen there.
type Node struct {
	gpu.Node
	Host gpu.Host // by the node's labels
}

// Place is where a task came to run, and what it will do there.
type Place struct {
	Node
	Prediction gpu.Prediction
}

// At is the place of a task on a node.
func (t Task) At(node Node) Place {
	on := predict.Host{Facts: node.Host, GPUs: node.Host.GPUs[:min(t.On.GPUs, len(node.Host.GPUs))]}
	p := t.Subject.On(on, t.Subject.Report)
	p.Made = time.Now().UTC()
	return Place{node, p}
}

// Limit is how long the test may take.
func (t Task) Limit(usual time.Duration) time.Duration { return cmp.Or(t.Subject.Test.Limit, usual) }

// Row is the row of the task, and the host as it was seen. Limit is the usual one.
func (t Task) Row(engine string, at Place, seen observe.Seen, limit time.Duration) (gpu.Row, gpu.Host) {
	host := at.had(t.On.GPUs, seen)
	row := t.row(engine, at, host)
	row.Started, row.ExitCode, row.DeviceNodes = seen.Started.UTC(), seen.ExitCode, seen.DeviceNodes
	row.LoadedLibcuda, row.PTXJIT, row.Seconds.Run = seen.LoadedLibcuda, seen.PTXJIT, seen.Seconds
	row.Seen = had.Seen(seen)
	for _, g := range seen.GPUs {
		row.Devices = append(row.Devices, g.UUID)
	}
	ended := gpu.Ended{ExitCode: seen.ExitCode, Stdout: seen.Stdout.Text(), Stderr: seen.Stderr.Text()}
	switch {
	case seen.Problem != "":
		row.Result, row.Reason = gpu.Failed, seen.Problem
	case seen.TimedOut:
		row.Result, row.Reason = gpu.Failed, fmt.Sprintf("no end within %s", t.Limit(limit))
		row.Reason = strings.TrimSuffix(row.Reason+": "+gpu.Tail(ended.Stderr), ": ")
	default:
		if len(seen.GPUs) == 0 { // the driver's files are hidden there: what CUDA says is all that there is
			row.Devices = append(row.Devices, t.Subject.Test.Read(ended).Figures.GPUs...)
		}
		row.Read(t.Subject.Test, ended, host.CUDA)
	}
	row.Judge()
	return row, host
}

// Killed is the row of a task whose container ended, or was not made, before its program said
// anything.
func (t Task) Killed(engine string, at Place, started time.Time, exit int, reason string) (gpu.Row, gpu.Host) {
	row := t.row(engine, at, at.Host)
	row.Started, row.ExitCode, row.Result, row.Reason = started.UTC(), exit, gpu.Failed, reason
	if strings.Contains(reason, "unsatisfied condition") { // libnvidia-container: NVIDIA_REQUIRE_* does not hold
		row.Result = gpu.Refused
	}
	row.Judge()
	return row, at.Host
}

func (t Task) row(engine string, at Place, host gpu.Host) gpu.Row {
	row := t.Subject.Row(engine, predict.Host{Facts: host, GPUs: host.GPUs})
	row.Image, row.Prediction, row.Job = t.Subject.Pull, at.Prediction, t.Name
	row.Devices, row.Indexes = []string{}, nil // by labels nobody knows which
	row.Node, row.Asked = &at.Node.Node, &t.On
	if place.Shared(at.Labels) { // its figures are not those of a whole GPU
		row.Under.GPU += " SHARED"
	}
	return row
}

// had is the host as it was seen from a container that was to get so many GPUs.
func (p Place) had(gpus int, seen observe.Seen) gpu.Host {
	host := p.Host
	host.StandIn = seen.StandIn
	if seen.Driver != "" && compat.Compare(seen.Driver, host.Driver) != 0 { // labels may be older than the driver
		host.CUDA = compat.DriverCUDA(seen.Driver)
	}
	host.Driver = cmp.Or(seen.Driver, host.Driver)
	host.GPUs = slices.Clone(host.GPUs[:min(gpus, len(host.GPUs))])
	if len(seen.GPUs) == 0 {
		return host
	}
	like := gpu.GPU{}
	if len(p.Host.GPUs) > 0 {
		like = p.Host.GPUs[0] // all GPUs of a node have the same labels, of one kind where it has several
	}
	host.GPUs = had.GPUs(seen, like)
	return host
}
