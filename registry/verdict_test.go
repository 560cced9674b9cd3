// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/cudabuild/cudabuild/registry"
)

func TestAbsent(t *testing.T) {
	t.Parallel()
	answer := func(status int) error { return &transport.Error{StatusCode: status} }
	for _, test := range []struct {
		err    error
		absent bool
	}{
		{nil, false},
		{errors.New("it has the key twice"), false},
		{answer(http.StatusNotFound), true},
		{answer(http.StatusForbidden), false},
		{answer(http.StatusTooManyRequests), false},
		{answer(http.StatusBadGateway), false},
		{&url.Error{Op: "Get", Err: io.EOF}, false},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false},
		{io.ErrUnexpectedEOF, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
	} {
		err := test.err
		if err != nil {
			err = fmt.Errorf("blob: %w", err)
		}
		if absent := registry.Absent(err); absent != test.absent {
			t.Errorf("%v: absent %t, want %t", err, absent, test.absent)
		}
	}
}
