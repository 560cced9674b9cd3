// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/registry"
)

// fetch returns what a registry has under a reference.
func fetch(ctx context.Context, ref name.Reference, opts registry.Options) (*remote.Descriptor, error) {
	client, err := registry.New(ctx, ref.Context(), opts)
	if err != nil {
		return nil, err
	}
	return remote.Get(ref, append(client.Remote(), remote.WithTransport(Bounded(client)))...)
}

// Bounded is a transport that hands over only manifests and indexes that can be read in
// bounded memory: the registry client reads up to 100 MiB and makes objects of them.
func Bounded(inner http.RoundTripper) http.RoundTripper { return documents{inner} }

type documents struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d documents) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || resp.StatusCode != http.StatusOK || !strings.Contains(origin(req).URL.Path, "/manifests/") {
		return resp, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if err := (*shape)(nil).check(raw); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// origin is the request whose redirects led to this one.
func origin(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}
