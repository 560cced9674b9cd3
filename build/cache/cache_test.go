// SPDX-License-Identifier: Apache-2.0

package cache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/record"
)

func TestMain(m *testing.M) {
	_ = log.SetLevel("error") // as the command line does
	os.Exit(m.Run())
}

func store(t *testing.T) content.Store {
	t.Helper()
	s, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s content.Store, kind, text string) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: kind, Digest: digest.FromString(text), Size: int64(len(text))}
	if err := content.WriteBlob(t.Context(), s, desc.Digest.String(), bytes.NewReader([]byte(text)), desc); err != nil {
		t.Fatal(err)
	}
	return desc
}

// open opens caches in one repository, which is read and written.
func open(t *testing.T, host string, blobs content.Store, have ...content.Store) *cache.Cache {
	t.Helper()
	repo, err := name.NewRepository(host + "/team/cache")
	if err != nil {
		t.Fatal(err)
	}
	show := func(string) func(error) { return func(error) {} }
	c, err := cache.New(t.Context(), cache.Options{From: []name.Repository{repo}, To: repo}, slog.New(slog.DiscardHandler), show, blobs, have...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const configType = "application/vnd.buildkit.cacheconfig.v0"

// TestCache: what one sends another finds, and fetches what it lacks when it is read, once.
func TestCache(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	from := store(t)
	root, layer := put(t, from, ocispec.MediaTypeImageLayerZstd, "the root"), put(t, from, ocispec.MediaTypeImageLayerZstd, "a layer")
	config := put(t, from, configType, "{}")
	text, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{root, layer}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, plan := put(t, from, ocispec.MediaTypeImageManifest, string(text)), digest.FromString("plan")

	first := open(t, proxy.Host, from)
	if e := first.Find(t.Context(), "base")[0]; e.State != record.CacheMissing {
		t.Errorf("before it was sent it is %+v, want missing", e.Cache)
	}
	if sent := first.Send(t.Context(), "base", manifest, plan); sent.State != record.CacheExported || first.Sent() != root.Size+layer.Size+config.Size {
		t.Errorf("Send = %+v, %d bytes", sent, first.Sent())
	}

	have := store(t)
	put(t, have, ocispec.MediaTypeImageLayerZstd, "the root")
	second := open(t, proxy.Host, store(t), have)
	if e := second.Find(t.Context(), "base")[0]; e.State != record.CacheImported || e.Plan != plan || !second.Current(t.Context(), "base", plan) {
		t.Errorf("after it was sent it is %+v of %s, want it imported, and current", e.Cache, e.Plan)
	}
	if again := second.Send(t.Context(), "base", manifest, plan); again.State != record.CacheCurrent || second.Sent() != 0 {
		t.Errorf("Send again = %+v, %d bytes", again, second.Sent())
	}
	proxy.Forget()
	blobs := second.Content()
	for _, desc := range []ocispec.Descriptor{root, layer, config} {
		if info, err := blobs.Info(t.Context(), desc.Digest); err != nil || info.Size != desc.Size {
			t.Errorf("Info = %+v, %v", info, err)
		}
	}
	if asked := proxy.Requests(); len(asked) > 0 {
		t.Errorf("Info asked the registry: %+v", asked)
	}
	var readers sync.WaitGroup
	for range 8 {
		for text, desc := range map[string]ocispec.Descriptor{"the root": root, "a layer": layer} {
			readers.Go(func() {
				if data, err := content.ReadBlob(t.Context(), blobs, desc); err != nil || string(data) != text {
					t.Errorf("ReadBlob = %q, %v, want %q", data, err, text)
				}
			})
		}
	}
	readers.Wait()
	if n := len(proxy.Requests()); n != 1 || second.Fetched() != layer.Size {
		t.Errorf("%d requests for %d bytes, want one for %d", n, second.Fetched(), layer.Size)
	}
	if _, err := blobs.Info(t.Context(), digest.FromString("other")); !errdefs.IsNotFound(err) {
		t.Errorf("Info of what nobody has = %v, want ErrNotFound", err)
	}
	second.Close()
	if _, err := blobs.ReaderAt(t.Context(), config); !errors.Is(err, context.Canceled) {
		t.Errorf("ReaderAt after Close = %v, want Canceled", err)
	}
}

// TestOthers: what stands under a tag may be anything.
func TestOthers(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	for name, body := range map[string]string{
		"text": "x", "empty": "{}", "an image": `{"config": {"mediaType": "application/vnd.oci.image.config.v1+json"}}`,
		"no digest": `{"config": {"mediaType": "` + configType + `", "digest": "../../etc", "size": 1}}`,
		"negative":  claims(-1, 1),
		"keys":      claims(1<<30, 1),
		"a layer":   claims(1, 1<<50),
	} {
		proxy.Arm(func(int, *http.Request) registrytest.Fault {
			return registrytest.Fault{Status: http.StatusOK, Body: body, Header: http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}}}
		}, nil)
		c := open(t, proxy.Host, store(t))
		e := c.Find(t.Context(), strings.ReplaceAll(name, " ", "-"))[0]
		if state := c.State(e); state.State != record.CacheBroken || state.Reason == "" {
			t.Errorf("%s: %+v, want it broken", name, state)
		}
	}
}

// claims is a cache whose keys and one layer are said to have those sizes.
func claims(keys, layer int64) string {
	desc := func(kind, text string, size int64) string {
		return fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d}`, kind, digest.FromString(text), size)
	}
	return fmt.Sprintf(`{"config": %s, "layers": [%s]}`, desc(configType, "keys", keys), desc(ocispec.MediaTypeImageLayerZstd, "layer", layer))
}

// TestTooMuch: of a blob that does not end where it is said to no more is read than shows that.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			_, _ = io.WriteString(w, claims(1, 10))
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			for range 64 { // or until the client has had enough
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	}))
	c := open(t, server.Host, store(t))
	e := c.Find(t.Context(), "base")[0]
	if e.State != record.CacheImported {
		t.Fatalf("%+v, want it imported", e.Cache)
	}
	if _, err := c.Content().ReaderAt(t.Context(), ocispec.Descriptor{Digest: digest.FromString("layer")}); err == nil || c.Fetched() != 11 || c.State(e).State != record.CacheBroken {
		t.Errorf("ReaderAt = %v after %d bytes, cache %+v, want 11 bytes and a broken cache", err, c.Fetched(), c.State(e))
	}
}
