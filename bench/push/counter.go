// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// counter is a server that passes requests on to a registry, and counts the bytes that they
// bring: blobs and manifests.
type counter struct {
	*httptest.Server

	sent atomic.Int64
}

func count(registry string) *counter {
	var c counter
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: registry})
		r.Out.Host = r.In.Host // or the registry sends clients to itself
	}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &countedBody{r.Body, &c.sent}
		proxy.ServeHTTP(w, r)
	}))
	return &c
}

func (c *counter) host() string { return c.Listener.Addr().String() }

type countedBody struct {
	io.ReadCloser

	sent *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.Add(int64(n))
	return n, err
}
