// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"context"
	"strings"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/place"
	"github.com/cudabuild/cudabuild/gpu"
)

// node is what is read of one.
type node struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Unschedulable bool    `json:"unschedulable"`
		Taints        []taint `json:"taints"`
	} `json:"spec"`
	Status struct {
		Allocatable map[string]string `json:"allocatable"`
		Conditions  []condition       `json:"conditions"`
		NodeInfo    struct {
			KernelVersion           string `json:"kernelVersion"`
			OSImage                 string `json:"osImage"`
			ContainerRuntimeVersion string `json:"containerRuntimeVersion"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

// Node is what the cluster says of one.
func (c *Client) Node(ctx context.Context, name string) (fleet.Node, error) {
	var n node
	found, err := c.get(ctx, nodes, name, &n)
	if err != nil {
		return fleet.Node{}, err
	}
	if !found { // a pool has given it up; its row may be there
		n.Metadata.Name = name
	}
	if known := n.known(nil); len(known.Host.GPUs) > 0 { // its labels are enough: all devices of the cluster need not be read
		return known, nil
	}
	claimable, err := c.claimable(ctx)
	return n.known(claimable), err
}

// nodes are all of the cluster, and the devices that can be claimed there.
func (c *Client) nodes(ctx context.Context) ([]node, map[string][]map[string]place.Attribute, error) {
	var all struct {
		Items []node `json:"items"`
	}
	if err := c.list(ctx, nodes, "", &all); err != nil {
		return nil, nil, err
	}
	claimable, err := c.claimable(ctx)
	return all.Items, claimable, err
}

// Claims reports whether GPUs can be claimed in this cluster: whether NVIDIA's DRA driver has
// published any.
func (c *Client) Claims(ctx context.Context) (bool, error) {
	devices, err := c.claimable(ctx)
	return len(devices) > 0, err
}

// claimable are the devices that NVIDIA's DRA driver has published, by their nodes. There are none where the
// cluster has no DRA, or does not let this client look.
func (c *Client) claimable(ctx context.Context) (map[string][]map[string]place.Attribute, error) {
	var all struct {
		Items []struct {
			Spec struct {
				Driver   string `json:"driver"`
				NodeName string `json:"nodeName"`
				Devices  []struct {
					Attributes map[string]place.Attribute `json:"attributes"`
				} `json:"devices"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := c.list(ctx, resourceSlices, "", &all); err != nil {
		if missing(err) {
			err = nil
		}
		return nil, err
	}
	devices := map[string][]map[string]place.Attribute{}
	for _, s := range all.Items {
		for _, d := range s.Spec.Devices {
			if s.Spec.Driver == gpuClass && s.Spec.NodeName != "" {
				devices[s.Spec.NodeName] = append(devices[s.Spec.NodeName], d.Attributes)
			}
		}
	}
	return devices, nil
}

// known is what labels say, or else the devices that can be claimed.
func (n node) known(claimable map[string][]map[string]place.Attribute) fleet.Node {
	host := place.Host(n.Metadata.Labels)
	if len(host.GPUs) == 0 {
		host = place.Claimable(claimable[n.Metadata.Name])
	}
	host.OS, host.Kernel, host.Runtime = n.Status.NodeInfo.OSImage, n.Status.NodeInfo.KernelVersion, n.Status.NodeInfo.ContainerRuntimeVersion
	labels := map[string]string{}
	for name, value := range n.Metadata.Labels {
		if strings.HasPrefix(name, "nvidia.com/") || name == place.ArchLabel {
			labels[name] = value
		}
	}
	return fleet.Node{Node: gpu.Node{Name: n.Metadata.Name, Labels: labels}, Host: host}
}
