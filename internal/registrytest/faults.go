// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Kind is a fault with a name.
type Kind struct {
	Name  string
	Fault Fault
}

// Kinds are the faults that a client is to get over.
func Kinds() []Kind {
	limit := `{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}`
	return []Kind{
		{"429", Fault{Status: http.StatusTooManyRequests, Body: limit}},
		{"429 with seconds", Fault{Status: http.StatusTooManyRequests, Body: limit, Header: http.Header{"Retry-After": {"1"}}}},
		{"403 that is a rate limit", Fault{Status: http.StatusForbidden, Body: `{"errors": [{"code": "DENIED", "message": "You have exceeded a secondary rate limit."}]}`, Header: http.Header{"Retry-After": {"1"}}}},
		{"500", Fault{Status: http.StatusInternalServerError, Body: "oops"}},
		{"502", Fault{Status: http.StatusBadGateway}},
		{"503", Fault{Status: http.StatusServiceUnavailable, Body: `{"errors": [{"code": "UNAVAILABLE", "message": "service unavailable"}]}`}},
		{"504", Fault{Status: http.StatusGatewayTimeout}},
		{"reset", Fault{Reset: true}},
		{"body cut", Fault{CutBody: true}},
		{"body truncated", Fault{Truncate: true}},
		{"answer dropped", Fault{Drop: true}},
		{"answer cut", Fault{CutAnswer: true}},
		{"slow", Fault{Slow: 50 * time.Millisecond}},
		{"token expired", Fault{Expire: true}},
	}
}

// Random returns a hook by which that part of all requests goes wrong, each in one of some
// ways; the same seed chooses the same for the same number of request. A token has expired for no
// request twice running: one that was issued just now is good.
func Random(seed uint64, part float64, kinds []Kind) Hook {
	var one sync.Mutex
	expired := map[string]bool{}
	return func(n int, r *http.Request) Fault {
		dice := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // not a secret
		if dice.Float64() >= part {
			return Fault{}
		}
		fault, request := kinds[dice.IntN(len(kinds))].Fault, r.Method+" "+r.URL.String()
		one.Lock()
		defer one.Unlock()
		if fault.Expire && expired[request] {
			fault = Fault{}
		}
		expired[request] = fault.Expire
		return fault
	}
}
