// SPDX-License-Identifier: Apache-2.0

package k8s

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// word is one that a user says, by the name of its flag, and how Kubernetes wants it.
type word struct {
	flag, value string
	check       func(string) []string // says what is wrong
	want        string
}

// Check wants words that a cluster takes: it refuses others only when a Job is made. The error is one of usage.
func (p Pods) Check() error {
	var words []word
	for _, w := range []word{
		{"resource", p.Resource, extended, "the name of an extended resource, such as nvidia.com/gpu"},
		{"runtime-class", p.RuntimeClass, validation.IsDNS1123Subdomain, "the name of a RuntimeClass, such as nvidia"},
		{"cpu", p.CPU, quantity, "a quantity, such as 4 or 500m"},
		{"memory", p.Memory, quantity, "a quantity, such as 16Gi"},
	} {
		if w.value != "" { // else the cluster's own
			words = append(words, w)
		}
	}
	for _, name := range p.PullSecrets {
		words = append(words, word{"pull-secret", name, validation.IsDNS1123Subdomain, "the name of a secret"})
	}
	for _, key := range p.Tolerations {
		words = append(words, word{"toleration", key, validation.IsQualifiedName, "the key of a taint, such as example.com/gpu"})
	}
	for _, w := range words {
		if wrong := w.check(w.value); len(wrong) > 0 {
			return hint.Usage(fmt.Sprintf("--%s %q: %s", w.flag, w.value, wrong[0]), "want "+w.want)
		}
	}
	return nil
}

// extended says what is wrong with the name of a resource that is none of Kubernetes' own.
func extended(name string) []string {
	if domain, _, ok := strings.Cut(name, "/"); !ok || strings.HasSuffix(domain, "kubernetes.io") {
		return []string{"no extended resource is called that"}
	}
	return validation.IsQualifiedName("requests." + name) // as a quota has it
}

func quantity(text string) []string {
	if q, err := resource.ParseQuantity(text); err != nil || q.Sign() <= 0 {
		return []string{"no quantity of Kubernetes is that"}
	}
	return nil
}
