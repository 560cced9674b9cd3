// SPDX-License-Identifier: Apache-2.0

// Command agree asks Kubernetes itself which hosts fit: its matcher of node affinities, and its CEL
// over devices as NVIDIA's DRA driver publishes them. It reads questions from stdin, as JSON, and writes one line
// for each: two strings with a letter for each host, "1" where it fits and "0" where it does not.
//
// It knows nothing of cudabuild, so that it can be the judge of what that writes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/Masterminds/semver"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/dynamic-resource-allocation/cel"
)

// questions is the document on stdin.
type questions struct {
	Hosts []struct {
		Labels map[string]string `json:"labels"`
		// Driver is "" on a host without a GPU.
		Driver     string `json:"driver"`
		Capability string `json:"compute_capability"`
		Brand      string `json:"brand"` // as go-nvlib spells it
	} `json:"hosts"`
	Images []struct {
		Affinity corev1.NodeAffinity `json:"affinity"`
		CEL      string              `json:"cel"`
	} `json:"images"`
}

const driverName = "gpu.nvidia.com"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "agree:", err)
		os.Exit(1)
	}
}

func run() error {
	var asked questions
	decoder := json.NewDecoder(bufio.NewReader(os.Stdin))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return err
	}
	nodes, devices := make([]corev1.Node, len(asked.Hosts)), make([]*cel.Device, len(asked.Hosts))
	for i, host := range asked.Hosts {
		nodes[i].Labels = host.Labels
		if host.Driver == "" {
			continue
		}
		device, err := device(host.Driver, host.Capability, host.Brand)
		if err != nil {
			return err
		}
		devices[i] = device
	}
	for i, image := range asked.Images {
		labels, err := byLabels(image.Affinity, nodes)
		if err != nil {
			return fmt.Errorf("image %d: affinity: %w", i, err)
		}
		attributes, err := byAttributes(image.CEL, devices)
		if err != nil {
			return fmt.Errorf("image %d: CEL: %w", i, err)
		}
		fmt.Printf("%s %s\n", labels, attributes)
	}
	return nil
}

func letter(fits bool) byte {
	if fits {
		return '1'
	}
	return '0'
}

func byLabels(affinity corev1.NodeAffinity, nodes []corev1.Node) ([]byte, error) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &affinity}}}
	if selector := affinity.RequiredDuringSchedulingIgnoredDuringExecution; selector == nil {
		return nil, errors.New("it has no terms")
	} else if _, err := nodeaffinity.NewNodeSelector(selector); err != nil {
		return nil, err
	}
	required := nodeaffinity.GetRequiredNodeAffinity(pod)
	answers := make([]byte, len(nodes))
	for i := range nodes {
		fits, err := required.Match(&nodes[i])
		if err != nil {
			return nil, err
		}
		answers[i] = letter(fits)
	}
	return answers, nil
}

func byAttributes(expression string, devices []*cel.Device) ([]byte, error) {
	if n := len(expression); n > resourcev1.CELSelectorExpressionMaxLength {
		return nil, fmt.Errorf("%d bytes are more than %d", n, resourcev1.CELSelectorExpressionMaxLength)
	}
	compiled := cel.GetCompiler(cel.Features{}).CompileCELExpression(expression, cel.Options{})
	if compiled.Error != nil {
		return nil, errors.New(compiled.Error.Detail)
	}
	if compiled.MaxCost > resourcev1.CELSelectorExpressionMaxCost {
		return nil, fmt.Errorf("it may cost %d, more than %d", compiled.MaxCost, resourcev1.CELSelectorExpressionMaxCost)
	}
	answers := make([]byte, len(devices))
	for i, device := range devices {
		fits := false
		if device != nil {
			var err error
			if fits, _, err = compiled.DeviceMatches(context.Background(), *device); err != nil {
				return nil, err
			}
		}
		answers[i] = letter(fits)
	}
	return answers, nil
}

// device is what NVIDIA's DRA driver publishes, as far as it is asked for: versions
// are read and written again by the same package as there.
func device(driver, capability, brand string) (*cel.Device, error) {
	attributes := map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"brand": {StringValue: &brand}}
	for name, text := range map[resourcev1.QualifiedName]string{"driverVersion": driver, "cudaComputeCapability": capability} {
		version, err := semver.NewVersion(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", name, text, err)
		}
		normal := version.String()
		attributes[name] = resourcev1.DeviceAttribute{VersionValue: &normal}
	}
	return &cel.Device{Driver: driverName, Attributes: attributes}, nil
}
