// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/url"
	"testing"
)

// FuzzInstance: what docker buildx keeps of a builder gives nodes or an error, and a node in
// docker the address of its own container or an error, whatever stands there.
func FuzzInstance(f *testing.F) {
	f.Add([]byte(`{"Name":"one","Driver":"docker-container","Nodes":[{"Name":"one0","Endpoint":"default"}]}`))
	f.Add([]byte(`{"Name":"far","Driver":"remote","Nodes":[{"Name":"far0","Endpoint":"tcp://10.0.0.5:1234","DriverOpts":{"servername":"bk"}}]}`))
	f.Add([]byte(`{"Driver":"remote","Nodes":[{"Endpoint":"ssh://-oProxyCommand=x"}]}`))
	f.Add([]byte(`{"Driver":"docker-container","Nodes":[{"Name":"?x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := parseInstance(data)
		if (err == nil) != (len(i.Nodes) > 0) {
			t.Fatalf("parseInstance = %+v, %v, want nodes or an error", i, err)
		}
		if i.Driver != "docker-container" {
			return
		}
		for _, n := range i.Nodes {
			found, err := n.addresses(t.Context(), i.Driver)
			if err != nil {
				continue
			}
			u, err := url.Parse(found[0])
			if err != nil || u.Hostname() != "buildx_buildkit_"+n.Name || u.Query().Has("context") && u.Query().Get("context") != n.Endpoint {
				t.Errorf("%+v: addresses = %q, %v, want its container, in its context", n, found, err)
			}
		}
	})
}
