// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// fault answers a request in its own way and reports whether it did.
type fault func(w http.ResponseWriter, r *http.Request) bool

// serve starts a registry that holds img as team/app:1 and goes wrong as told once
// it is there. It returns the reference.
func serve(t *testing.T, img v1.Image, broken fault) string {
	t.Helper()
	var armed atomic.Bool
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // the kind of logger that this registry knows
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !armed.Load() || broken == nil || !broken(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/app:1"
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, img); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	return ref
}

func verifyCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"verify", "--no-cache"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

var servedLayer = imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"etc/os-release": {Data: strings.Repeat("ID=debian\n", 1000)}}))

func isLayer(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, servedLayer.Want.String()) }

func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }

// always answers with a status for what matches.
func always(match func(*http.Request) bool, status int) fault { return times(match, status, 1<<30) }

// times does so for the first requests only.
func times(match func(*http.Request) bool, status int, n int32) fault {
	var seen atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) || seen.Add(1) > n {
			return false
		}
		w.WriteHeader(status)
		return true
	}
}

// layerBody answers with another body instead of the layer's.
func layerBody(write func(http.ResponseWriter)) fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if isLayer(r) {
			write(w)
		}
		return isLayer(r)
	}
}

// flushed sends the header, which tells no length unless one was set, and a body.
func flushed(w http.ResponseWriter, body []byte) {
	_ = http.NewResponseController(w).Flush()
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
}

// inPieces sends the first n bytes of the layer, and the rest after a while.
func inPieces(n int) fault {
	return layerBody(func(w http.ResponseWriter) {
		flushed(w, servedLayer.Data[:n])
		time.Sleep(50 * time.Millisecond) // or they may arrive together
		flushed(w, servedLayer.Data[n:])
	})
}

// breaksOffAt resets the connection after n bytes of the layer, the first times.
func breaksOffAt(n int, times int32) fault {
	var seen atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !isLayer(r) || seen.Add(1) > times {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(servedLayer.Data)))
		flushed(w, servedLayer.Data[:n])
		panic(http.ErrAbortHandler)
	}
}

// rawChunks sends the layer in chunks: this, the rest of the layer in one, that.
func rawChunks(first, last string, data []byte) fault {
	return layerBody(func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s%x\r\n%s\r\n%s", first, len(data), data, last)
	})
}

// lengthOff says a wrong length of the layer.
func lengthOff(by int) fault {
	return layerBody(func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(len(servedLayer.Data)+by))
		flushed(w, servedLayer.Data[:min(len(servedLayer.Data), len(servedLayer.Data)+by)])
	})
}

// encoded says that the body was compressed on the way.
func encoded(body []byte) fault {
	return layerBody(func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		flushed(w, body)
	})
}

func TestVerifyRegistryTrouble(t *testing.T) {
	t.Parallel()
	half := servedLayer.Data[:len(servedLayer.Data)/2]
	flipped := bytes.Clone(servedLayer.Data)
	flipped[4] ^= 1 // gzip's time stamp: the content stays, the digest does not
	for _, tc := range []struct {
		name   string
		broken fault
		code   int
		says   string // on stderr, or on stdout if the code is 0
	}{
		{"well", nil, 0, "PASS"},
		{"busy for a while", times(isLayer, http.StatusTooManyRequests, 2), 0, "PASS"},
		{"down for a while", times(isManifest, http.StatusServiceUnavailable, 2), 0, "PASS"},
		{"broken for a while", times(isManifest, http.StatusInternalServerError, 2), 0, "PASS"},
		{"busy", always(isLayer, http.StatusTooManyRequests), exitUnknown, "429"},
		{"down", always(isManifest, http.StatusInternalServerError), exitUnknown, "500"},
		{"no such blob", always(isLayer, http.StatusNotFound), exitUnknown, "404"},
		{"no such manifest", always(isManifest, http.StatusNotFound), exitUnknown, "404"},
		{"not allowed", always(isManifest, http.StatusForbidden), exitUnknown, "403"},
		{"not allowed, and what to do", always(isManifest, http.StatusForbidden), exitUnknown, "\ncudabuild: hint: log in with 'docker login'"},
		{"ends early", layerBody(func(w http.ResponseWriter) { flushed(w, half) }), exitUnknown, "broke off after"},
		{"breaks off", layerBody(func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(servedLayer.Data)))
			flushed(w, half)
			panic(http.ErrAbortHandler)
		}), exitUnknown, "broke off after"},
		{"breaks off at first", breaksOffAt(len(servedLayer.Data)/2, 2), 0, "PASS"},
		{"breaks off after a byte at first", breaksOffAt(1, 2), 0, "PASS"},
		{"first byte alone", inPieces(1), 0, "PASS"},
		{"three bytes first", inPieces(3), 0, "PASS"},
		{"last byte alone", inPieces(len(servedLayer.Data) - 1), 0, "PASS"},
		{"byte by byte", layerBody(func(w http.ResponseWriter) {
			for _, b := range servedLayer.Data {
				flushed(w, []byte{b})
			}
		}), 0, "PASS"},
		{"chunks with extensions", rawChunks("1;a=b\r\n\x1f\r\n", "0;c=d\r\nX-Trailer: x\r\n\r\n", servedLayer.Data[1:]), 0, "PASS"},
		{"an empty chunk in the middle", rawChunks("1\r\n\x1f\r\n0\r\n\r\n", "0\r\n\r\n", servedLayer.Data[1:]), exitUnknown, "broke off after"},
		{"no last chunk behind all of it", rawChunks("", "", servedLayer.Data), 0, "PASS"},
		{"length too small", lengthOff(-1), exitUnknown, "does not match"},
		{"length too large", lengthOff(1), exitUnknown, "does not match"},
		{"compressed on the way", encoded(imagetest.Encode(imagetest.Gzip, servedLayer.Data)), 0, "PASS"},
		{"said to be compressed on the way", encoded(servedLayer.Data), exitUnknown, "checksum"},
		{"hangs up", layerBody(func(http.ResponseWriter) { panic(http.ErrAbortHandler) }), exitUnknown, "EOF"},
		{"other bytes", layerBody(func(w http.ResponseWriter) { flushed(w, flipped) }), exitUnknown, "checksum"},
		{"bytes behind the blob", layerBody(func(w http.ResponseWriter) { flushed(w, append(bytes.Clone(servedLayer.Data), "more"...)) }), 0, "PASS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := verifyCommand(t, serve(t, imagetest.New(servedLayer), tc.broken))
			said := stderr
			if tc.code == 0 {
				said = stdout
			}
			if code != tc.code || !strings.Contains(said, tc.says) || tc.code != 0 && strings.Contains(stdout, "PASS") {
				t.Errorf("exit code %d, want %d and %q\nstdout: %s\nstderr: %s", code, tc.code, tc.says, stdout, stderr)
			}
		})
	}
}

// TestVerifyForeignErrors: what a registry says reaches page, terminal and document
// short and printable.
func TestVerifyForeignErrors(t *testing.T) {
	t.Parallel()
	ref := serve(t, imagetest.New(servedLayer), func(w http.ResponseWriter, r *http.Request) bool {
		if isManifest(r) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "no \x1b[31mred\x07 \u202eimage\nPASS  "+strings.Repeat("A", 60_000))
		}
		return isManifest(r)
	})
	for _, form := range []string{"text", "json"} {
		code, stdout, stderr := verifyCommand(t, "--format", form, ref)
		said := stdout + stderr
		if code != exitUnknown || !strings.Contains(stdout, "no ?[31mred? ?image?PASS  AAAA") || strings.ContainsAny(said, "\x1b\x07\u202e") || len(said) > 2500 {
			t.Errorf("exit code %d\nstdout: %q\nstderr: %q", code, stdout, stderr)
		}
	}
}

// rawManifest is an image with another manifest.
type rawManifest struct {
	v1.Image
	data []byte
}

func (r rawManifest) RawManifest() ([]byte, error) { return r.data, nil }
func (r rawManifest) Manifest() (*v1.Manifest, error) {
	return v1.ParseManifest(bytes.NewReader(r.data))
}
func (r rawManifest) Digest() (v1.Hash, error) { return imagetest.Digest(r.data), nil }
func (r rawManifest) Size() (int64, error)     { return int64(len(r.data)), nil }

// changed returns an image whose manifest was changed.
func changed(t *testing.T, change func(*v1.Manifest)) v1.Image {
	t.Helper()
	img := imagetest.New(servedLayer)
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	change(m)
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return rawManifest{img, data}
}

func TestVerifyOddManifests(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a URL of the manifest was followed") }))
	defer elsewhere.Close()
	for _, tc := range []struct {
		name   string
		change func(*v1.Manifest)
		code   int
		says   string
	}{
		{"no image", func(m *v1.Manifest) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }, exitUnknown, "not a container image"},
		{"huge config", func(m *v1.Manifest) { m.Config.Size = 1 << 40 }, exitUnknown, "config of 1099511627776 bytes"},
		{"encrypted layer", func(m *v1.Manifest) { m.Layers[0].MediaType += "+encrypted" }, exitUnknown, "the layer is encrypted"},
		{"unknown layer", func(m *v1.Manifest) { m.Layers[0].MediaType = "application/x" }, exitUnknown, "not known as that of a layer"},
		{"other compression", func(m *v1.Manifest) { m.Layers[0].MediaType = "application/vnd.oci.image.layer.v1.tar+zstd" }, 0, "but the blob is gzip"},
		{"layer elsewhere", func(m *v1.Manifest) { m.Layers[0].URLs = []string{elsewhere.URL} }, exitUnknown, "not followed"},
		{"inline layer", func(m *v1.Manifest) { m.Layers[0].Data = servedLayer.Data }, 0, "PASS"},
		{"other inline layer", func(m *v1.Manifest) { m.Layers[0].Data = []byte("other") }, exitUnknown, "size"},
		{"too many layers", func(m *v1.Manifest) {
			for range 2000 {
				m.Layers = append(m.Layers, m.Layers[0])
			}
		}, exitUnknown, "2001 layers"},
		{"a layer more than the config", func(m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }, exitUnknown, "names 2 layers, the config 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := verifyCommand(t, serveRaw(t, changed(t, tc.change)))
			if code != tc.code || !strings.Contains(stdout+stderr, tc.says) || tc.code != 0 && strings.Contains(stdout, "PASS") {
				t.Errorf("exit code %d, want %d and %q\nstdout: %s\nstderr: %s", code, tc.code, tc.says, stdout, stderr)
			}
		})
	}
}

// serveRaw serves a manifest that a client would refuse to push.
func serveRaw(t *testing.T, img v1.Image) string {
	t.Helper()
	data, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, imagetest.New(servedLayer), func(w http.ResponseWriter, r *http.Request) bool {
		if !isManifest(r) {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write(data)
		return true
	})
}

func TestVerifySchema1(t *testing.T) {
	t.Parallel()
	ref := serve(t, imagetest.New(servedLayer), func(w http.ResponseWriter, r *http.Request) bool {
		if !isManifest(r) {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
		_, _ = io.WriteString(w, `{"schemaVersion": 1, "name": "team/app", "tag": "1", "fsLayers": [], "history": []}`)
		return true
	})
	if code, _, stderr := verifyCommand(t, ref); code != exitUnknown || !strings.Contains(stderr, "schema 1") {
		t.Errorf("exit code %d, want %d and the reason: %s", code, exitUnknown, stderr)
	}
}

// serveIndex serves an index and what is in it.
func serveIndex(t *testing.T, index v1.ImageIndex) string {
	t.Helper()
	ref := serve(t, imagetest.New(servedLayer), nil)
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parsed, index); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestVerifyAttestations holds that what is no image in an index is left out, and that
// nothing else is.
func TestVerifyAttestations(t *testing.T) {
	t.Parallel()
	unknown := &v1.Platform{OS: "unknown", Architecture: "unknown"}
	marked := map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	image := mutate.IndexAddendum{Add: imagetest.New(servedLayer), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}}
	leak := imagetest.New(imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"usr/bin/nvidia-smi": {Mode: 0o755}})))
	entry := func(p *v1.Platform, annotations map[string]string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: leak, Descriptor: v1.Descriptor{Platform: p, Annotations: annotations}}
	}
	for _, tc := range []struct {
		name   string
		second mutate.IndexAddendum // beside the image
		flags  []string
		code   int
	}{
		{"attestation", entry(unknown, marked), []string{"--all-platforms"}, 0},
		{"attestation, one platform", entry(unknown, marked), []string{"--platform", "linux/arm64"}, 0},
		{"not marked", entry(unknown, nil), []string{"--all-platforms"}, exitFailed},
		{"not marked, one platform", entry(unknown, nil), []string{"--platform", "linux/arm64"}, 0},
		{"of a platform", entry(&v1.Platform{OS: "linux", Architecture: "s390x"}, marked), []string{"--all-platforms"}, exitFailed},
		{"of no platform", entry(nil, marked), []string{"--all-platforms"}, exitFailed},
	} {
		ref := serveIndex(t, mutate.AppendManifests(empty.Index, image, tc.second))
		code, stdout, stderr := verifyCommand(t, append(tc.flags, ref)...)
		if code != tc.code || strings.Count(stdout, "PASS") != 1 {
			t.Errorf("%s: exit code %d, want %d\nstdout: %s\nstderr: %s", tc.name, code, tc.code, stdout, stderr)
		}
	}
	const odd = "application/vnd.example.manifest.v9+json"
	ref := serveIndex(t, mutate.AppendManifests(empty.Index, image, mutate.IndexAddendum{Add: static.NewLayer([]byte("{}"), odd)}))
	if code, _, stderr := verifyCommand(t, "--all-platforms", ref); code != exitUnknown || !strings.Contains(stderr, odd) {
		t.Errorf("unknown media type: exit code %d, want %d and the type: %s", code, exitUnknown, stderr)
	}
	if code, stdout, stderr := verifyCommand(t, ref); code != 0 { // the only image that is one
		t.Errorf("unknown media type, one platform: exit code %d, %s%s", code, stdout, stderr)
	}
	ref = serveIndex(t, mutate.AppendManifests(empty.Index, entry(unknown, marked)))
	for _, flags := range [][]string{nil, {"--all-platforms"}} {
		code, _, stderr := verifyCommand(t, append(flags, ref)...)
		if code != exitUnknown || !strings.HasSuffix(stderr, "no such image: the index names none\n") {
			t.Errorf("nothing but an attestation, %v: exit code %d, %s", flags, code, stderr)
		}
	}
}

func TestVerifyLogsIn(t *testing.T) { // not parallel: it changes the environment
	ref := serve(t, imagetest.New(servedLayer), func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if code, _, stderr := verifyCommand(t, ref); code != exitUnknown || !strings.Contains(stderr, "401") {
		t.Errorf("without a password: exit code %d, %s", code, stderr)
	}
	host, _, _ := strings.Cut(ref, "/")
	config := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte("me:secret")))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := verifyCommand(t, ref); code != 0 || !strings.Contains(stdout, "PASS") {
		t.Errorf("with a password: exit code %d, %s%s", code, stdout, stderr)
	}
}
