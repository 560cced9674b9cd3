// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
)

// hostOf names a host, as far as rows tell hosts apart: by its node, or its GPUs.
func hostOf(o gpu.Observation) string {
	if o.Row.Node != nil && o.Row.Node.Name != "" {
		return o.Row.Node.Name
	}
	if len(o.Host.GPUs) == 0 {
		return o.Driver()
	}
	name := ""
	for _, g := range o.Host.GPUs {
		name += " " + g.UUID
	}
	return name
}

// hostName is how people call a host.
func hostName(o gpu.Observation) string {
	if o.Row.Node != nil && o.Row.Node.Name != "" {
		return o.Row.Node.Name
	}
	model, _ := o.Device()
	return "a host with " + cmp.Or(model, "a GPU")
}

// seenHost notes the newest row of a host. Stand-ins are none.
func (m *maker) seenHost(o gpu.Observation) {
	if o.Row.StandIn || o.Host.StandIn || o.Row.Dry || !compat.IsVersion(o.Driver()) || oddDate(o.Row.Started, m.in.Today) != "" {
		return
	}
	if newest, known := m.newest[hostOf(o)]; !known || o.Row.Started.After(newest.Row.Started) {
		m.newest[hostOf(o)] = o
	}
}

// hosts are the hosts that have a driver branch, by their newest rows: they may have had another before.
func (m *maker) hosts(branch string) []string {
	names := []string{}
	for _, o := range m.newest {
		if branchOf(o.Driver()) == branch {
			names = append(names, hostName(o))
		}
	}
	slices.Sort(names)
	return names
}

// hosts names one or two hosts, and counts more.
func hosts(names []string) string {
	if len(names) <= 2 {
		return list(names)
	}
	return fmt.Sprintf("%d hosts", len(names))
}
