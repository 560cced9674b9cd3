// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/registrytest"
)

// TestDamagedBlob: a registry refuses a blob that is not what its name says, and it is not sent
// again and again.
func TestDamagedBlob(t *testing.T) {
	t.Parallel()
	r, f := registrytest.Start(t, nil), newFamily(t, made{seed: 1, day: 1})
	proxy := registrytest.Proxy(t, r.Host)
	p := publisher(t, f.options(proxy.Host+"/cuda"))
	plan, err := p.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := plan.Cells[0].Uploads[0]
	path := image.BlobPath(f.images.Dir(), digest.Digest(b.Digest))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "does not have the digest that is its name") {
		t.Errorf("Run: %v", err)
	}
	if sent, _ := proxy.Blobs(); sent > 2*plan.Totals.Bytes {
		t.Errorf("%d bytes were sent of %d", sent, plan.Totals.Bytes)
	}
}
