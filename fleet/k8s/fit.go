// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/place"
)

// taint keeps pods from a node that do not tolerate it.
type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

func (t taint) String() string {
	return strings.TrimSuffix(t.Key+"="+t.Value, "=") + ":" + t.Effect
}

// Fit are the nodes with GPUs on which pods for images of a platform can come to run as the cluster is now, each with the GPUs
// that it has to give away. Left are the others, with the reason.
func (c *Client) Fit(ctx context.Context, platform string, p Pods) (fit []fleet.Node, left []fleet.LeftNode, err error) {
	all, claimable, err := c.nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		known := n.known(claimable)
		if len(known.Host.GPUs) == 0 {
			continue
		}
		room := n.room(p.Resource)
		if p.Claims {
			room = len(place.Claimable(claimable[n.Metadata.Name]).GPUs)
		}
		if why := n.unfit(known, room, platform, p); why != "" {
			left = append(left, fleet.LeftNode{Name: n.Metadata.Name, Why: why})
			continue
		}
		known.Host.GPUs = known.Host.GPUs[:min(room, len(known.Host.GPUs))]
		fit = append(fit, known)
	}
	return fit, left, nil
}

// room is how much of a resource pods may have, whoever has it now.
func (n node) room(of string) int {
	q, err := resource.ParseQuantity(n.Status.Allocatable[of])
	if err != nil {
		return 0
	}
	return int(q.Value())
}

// unfit says why no pod comes to a node with GPUs, "" if it can.
func (n node) unfit(known fleet.Node, room int, platform string, p Pods) string {
	host := known.Host
	unmet := func(e place.Expression) bool { return !slices.Contains(e.Values, n.Metadata.Labels[e.Key]) }
	barred := func(t taint) bool {
		return t.Effect != "PreferNoSchedule" && !slices.Contains(p.tolerated(true), t.Key)
	}
	switch at := slices.IndexFunc(n.Spec.Taints, barred); {
	case slices.ContainsFunc(place.Platform(platform), unmet):
		return "it is not for " + platform
	case n.Spec.Unschedulable:
		return "it is cordoned"
	case at >= 0 && strings.HasPrefix(n.Spec.Taints[at].Key, "node.kubernetes.io/"): // what ails it
		return "it has the taint " + n.Spec.Taints[at].String()
	case at >= 0:
		return fmt.Sprintf("it has the taint %s, and no --toleration is of that", n.Spec.Taints[at])
	case !compat.IsVersion(host.Driver) || host.Compat(host.GPUs[0]).GPU.SM == 0:
		return fmt.Sprintf("it says driver %q and compute capability %q", host.Driver, host.GPUs[0].Capability)
	case room <= 0 && p.Claims:
		return "NVIDIA's DRA driver has published no GPU of it"
	case room <= 0:
		return "it has no " + p.Resource + " to give away"
	}
	return ""
}
