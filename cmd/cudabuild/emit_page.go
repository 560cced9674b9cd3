// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/fleet/place"
)

// affinityPage is the affinity of a pod.
func affinityPage(p placed) []byte {
	var w bytes.Buffer
	p.comment(&w)
	if slices.ContainsFunc(p.regions, func(r compat.Region) bool { return r.Brands != nil }) {
		w.WriteString("# No label says a GPU's brand: products of other brands are left out by the names that cudabuild knows.\n")
	}
	w.WriteString("# It goes into the spec of a pod, whose container asks for GPUs: resources: {limits: {nvidia.com/gpu: 1}}\n")
	w.WriteString("affinity:\n  nodeAffinity:\n    requiredDuringSchedulingIgnoredDuringExecution:\n      nodeSelectorTerms:\n")
	for _, term := range place.Affinity(p.regions).Required.Terms {
		w.WriteString("      - matchExpressions:\n")
		for _, e := range append(place.Platform(p.report.Platform), term.Expressions...) {
			fmt.Fprintf(&w, "        - {key: %s, operator: %s%s}\n", e.Key, e.Operator, values(e.Values))
		}
	}
	return w.Bytes()
}

func values(all []string) string {
	if len(all) == 0 {
		return ""
	}
	var quoted []string
	for _, v := range all {
		quoted = append(quoted, fmt.Sprintf("%q", v))
	}
	return ", values: [" + strings.Join(quoted, ", ") + "]"
}

// selector selects nodes of the image's platform: the prediction is about no other's.
func selector(p placed) string {
	var words []string
	for _, e := range place.Platform(p.report.Platform) {
		words = append(words, e.Key+": "+e.Values[0])
	}
	return strings.Join(words, ", ")
}

// claimPage is a template of claims, and how a pod names it.
func claimPage(p placed) []byte {
	var w bytes.Buffer
	p.comment(&w)
	name := slug(p.report.Ref)
	fmt.Fprintf(&w, `# It goes beside a pod, whose spec names it:
#   nodeSelector: {%s}
#   resourceClaims: [{name: gpu, resourceClaimTemplateName: %s}]
#   containers: [{..., resources: {claims: [{name: gpu}]}}]
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata:
  name: %s
spec:
  spec:
    devices:
      requests:
      - name: gpu
        exactly:
          deviceClassName: gpu.nvidia.com
          selectors:
          - cel:
              expression: |-
                %s
`, selector(p), name, name, strings.ReplaceAll(place.CEL(p.regions), "\n", "\n                "))
	return w.Bytes()
}
