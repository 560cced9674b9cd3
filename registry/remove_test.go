// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/registry"
)

// TestRemove: what an answer to a removal says, and how often it is asked for.
func TestRemove(t *testing.T) {
	t.Parallel()
	said := func(status int, code string) registrytest.Fault {
		return registrytest.Fault{Status: status, Body: `{"errors":[{"code":"` + code + `","message":"no"}]}`}
	}
	for name, tc := range map[string]struct {
		fault                      registrytest.Fault
		refused, unsupported, busy bool
		requests                   int
	}{
		"it goes":         {requests: 1},
		"not there":       {fault: said(404, "MANIFEST_UNKNOWN"), requests: 1},
		"not done here":   {fault: said(405, "UNSUPPORTED"), refused: true, unsupported: true, requests: 1},
		"without words":   {fault: registrytest.Fault{Status: 405}, refused: true, unsupported: true, requests: 1},
		"with 400":        {fault: said(400, "UNSUPPORTED"), refused: true, unsupported: true, requests: 1},
		"digests only":    {fault: said(400, "DIGEST_INVALID"), refused: true, unsupported: true, requests: 1},
		"a bad name":      {fault: said(400, "NAME_INVALID"), refused: true, requests: 1},
		"not for you":     {fault: said(403, "DENIED"), refused: true, requests: 1},
		"not this one":    {fault: said(412, "PRECONDITION"), refused: true, requests: 1},
		"too much":        {fault: said(429, "TOOMANYREQUESTS"), busy: true, requests: 10},
		"too much as 403": {fault: registrytest.Fault{Status: 403, Body: "rate limit"}, busy: true, requests: 10},
		"too slow":        {fault: registrytest.Fault{Status: 408}, busy: true, requests: 10},
		"down":            {fault: registrytest.Fault{Status: 503}, busy: true, requests: 10},
		"gone away":       {fault: registrytest.Fault{Reset: true}, busy: true, requests: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Serve(t, inMemory())
			tag, err := nameTag(server.Host + "/team/app:1")
			if err != nil {
				t.Fatal(err)
			}
			puller, pusher, err := clientFor(t, tag.Context(), registry.Options{}).Remotes()
			if err != nil {
				t.Fatal(err)
			}
			if err := pusher.Push(t.Context(), tag, empty.Image); err != nil {
				t.Fatal(err)
			}
			server.Forget()
			server.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodDelete {
					return tc.fault
				}
				return registrytest.Fault{}
			}, nil)
			looks := 0
			err = registry.Remove(t.Context(), pusher, tag, func() (bool, error) { looks++; return true, nil })
			if registry.Refused(err) != tc.refused || registry.Unsupported(err) != tc.unsupported || registry.Busy(err) != tc.busy || (err != nil) != (tc.refused || tc.busy) {
				t.Errorf("%v: refused %t, unsupported %t, busy %t", err, registry.Refused(err), registry.Unsupported(err), registry.Busy(err))
			}
			requests := 0
			for _, r := range server.Requests() {
				if r.Method == http.MethodDelete {
					requests++
				}
			}
			if requests != tc.requests || looks != requests {
				t.Errorf("%d requests after %d looks, want %d", requests, looks, tc.requests)
			}
			now, err := registry.Current(t.Context(), puller, tag)
			if err != nil || (now == nil) != (name == "it goes") {
				t.Errorf("Current = %v, %v", now, err)
			}
			if err := registry.Remove(t.Context(), pusher, tag, func() (bool, error) { return false, nil }); err != nil {
				t.Errorf("without a request: %v", err)
			}
		})
	}
}
