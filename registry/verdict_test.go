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

func TestUnread(t *testing.T) {
	t.Parallel()
	answer := func(status int) error { return &transport.Error{StatusCode: status} }
	for _, test := range []struct {
		err            error
		absent, unread bool
	}{
		{nil, false, false},
		{errors.New("it has the key twice"), false, false},
		{answer(http.StatusNotFound), true, false},
		{answer(http.StatusForbidden), false, true},
		{answer(http.StatusTooManyRequests), false, true},
		{answer(http.StatusBadGateway), false, true},
		{&url.Error{Op: "Get", Err: io.EOF}, false, true},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false, true},
		{io.ErrUnexpectedEOF, false, true},
		{context.Canceled, false, true},
		{context.DeadlineExceeded, false, true},
	} {
		err := test.err
		if err != nil {
			err = fmt.Errorf("blob: %w", err)
		}
		if absent, unread := registry.Absent(err), registry.Unread(err); absent != test.absent || unread != test.unread {
			t.Errorf("%v: absent %t, unread %t, want %t, %t", err, absent, unread, test.absent, test.unread)
		}
	}
}
