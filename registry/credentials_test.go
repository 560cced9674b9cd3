// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// world is what a client can reach: handlers by scheme://HOST[:PORT]. It takes down who
// was asked, and who saw a secret.
type world struct {
	http.RoundTripper

	mu           sync.Mutex
	asked, leaks []string
}

const manifest = `{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, "layers": []}`

func newWorld(t *testing.T, hosts map[string]http.HandlerFunc) *world {
	t.Helper()
	w := &world{}
	dials := map[string]string{}
	transport := &http.Transport{}
	for place, handler := range hosts {
		watched := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			w.saw(place, r)
			handler(out, r)
		})
		scheme, host, _ := strings.Cut(place, "://")
		server := httptest.NewUnstartedServer(watched)
		if scheme == "https" {
			server.StartTLS()
			transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		if !strings.Contains(host, ":") {
			host += map[string]string{"https": ":443", "http": ":80"}[scheme]
		}
		dials[host] = server.Listener.Addr().String()
	}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		to, known := dials[addr]
		if !known {
			return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("nobody at %s", addr)}
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	t.Cleanup(transport.CloseIdleConnections)
	w.RoundTripper = transport
	return w
}

// saw takes a request down.
func (w *world) saw(place string, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	all := fmt.Sprint(r.URL, r.Header, string(body))
	if _, password, _ := r.BasicAuth(); password != "" {
		all += password
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, place)
	if strings.Contains(all, "secret") && !slices.Contains(w.leaks, place) {
		w.leaks = append(w.leaks, place)
	}
}

// asks is a registry that sends clients to a token server; whoever has the secret token or
// an anonymous one gets a manifest.
func asks(realm string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "Bearer secret token", "Bearer anonymous":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = io.WriteString(w, manifest)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer service="x",realm=%q`, realm))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

// gives is a token server.
func gives(w http.ResponseWriter, r *http.Request) {
	token := "anonymous"
	_, password, _ := r.BasicAuth()
	if r.Method == http.MethodPost && r.FormValue("refresh_token") == "secret refresh" || password == "secret" {
		token = "secret token"
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token, "access_token": token})
}

// basic is a registry that wants the password itself, or nothing.
func basic(wants bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); wants && password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="https://evil.example.com/token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asks("")(w, &http.Request{Header: http.Header{"Authorization": {"Bearer anonymous"}}})
	}
}

func to(status int, address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, address+"?"+r.URL.RawQuery, status)
	}
}

// Logins.
var (
	password = authn.AuthConfig{Username: "me", Password: "secret"}
	refresh  = authn.AuthConfig{IdentityToken: "secret refresh"}
	nobody   = authn.AuthConfig{}
)

type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

const (
	reg  = "https://reg.example.com"
	auth = "https://auth.example.com"
	evil = "https://evil.example.com"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	const refused = "registry reg.example.com: "
	for _, tc := range []struct {
		name  string
		login authn.AuthConfig
		ref   string
		pin   string
		hosts map[string]http.HandlerFunc
		seen  []string // who may see a secret, and does
		wrong string   // in the error; "" for none
	}{
		{"password", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: gives}, []string{auth, reg}, ""},
		{"refresh token", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: gives}, []string{auth, reg}, ""},
		{"nobody", nobody, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: gives}, nil, ""},
		{"basic", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: basic(true)}, []string{reg}, ""},
		{"realm on itself", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				gives(w, r)
				return
			}
			asks(reg+"/token")(w, r)
		}}, []string{reg}, ""},

		{"pinned", password, "reg.example.com/ab:1", "Auth.example.com", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: gives}, []string{auth, reg}, ""},
		{"pinned with its port", password, "reg.example.com/ab:1", "auth.example.com:443", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: gives}, []string{auth, reg}, ""},
		{"pinned to another", password, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: asks(evil + "/token"), evil: gives}, nil, refused + "its token server is https://evil.example.com, and only auth.example.com may be asked"},
		{"pinned to another, refresh token", refresh, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: asks(evil + "/token"), evil: gives}, nil, "only auth.example.com may be asked"},
		{"pinned to another port", password, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: asks(auth + ":444/token"), auth + ":444": gives}, nil, "https://auth.example.com:444, and only auth.example.com"},
		{"pinned to another, nobody", nobody, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: asks(evil + "/token"), evil: gives}, nil, "only auth.example.com may be asked"},
		{"pinned, and redirected", nobody, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(302, evil), evil: gives}, nil, "only auth.example.com may be asked"},
		{"pinned, basic", password, "reg.example.com/ab:1", "auth.example.com", map[string]http.HandlerFunc{reg: basic(true)}, []string{reg}, ""},

		{"realm redirects", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(302, evil+"/token"), evil: gives}, []string{auth}, refused + "its token server sends the login on to another host, https://evil.example.com"},
		{"realm redirects with the body", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(307, evil+"/token"), evil: gives}, []string{auth}, "another host, https://evil.example.com"},
		{"realm redirects with the body for ever", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(308, evil+"/token"), evil: gives}, []string{auth}, "another host, https://evil.example.com"},
		{"realm redirects to another port", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(307, auth+":444/token"), auth + ":444": gives}, []string{auth}, "another host, https://auth.example.com:444"},
		{"realm redirects to the registry", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(307, reg+"/token")}, []string{auth}, "another host, https://reg.example.com"},
		{"realm redirects within itself", refresh, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				http.Redirect(w, r, "/token/", http.StatusTemporaryRedirect)
				return
			}
			gives(w, r)
		}}, []string{auth, reg}, ""},
		{"realm redirects, nobody", nobody, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks(auth + "/token"), auth: to(302, evil+"/token"), evil: gives}, nil, ""},
		{"realm in the clear", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: asks("http://auth.example.com/token"), "http://auth.example.com": gives}, nil, "http"},

		{"another host announces the realm", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: to(307, "https://other.example.com/v2/"), "https://other.example.com": asks(evil + "/token"), evil: gives}, nil, refused + "the login would go to https://evil.example.com, which the registry did not announce itself over https"},
		{"a text announces another realm", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+auth+`/token",service="x",realm="`+evil+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, auth: gives, evil: gives}, nil, "evil.example.com"},

		{"private address in the clear, basic", password, "10.0.0.5:5000/ab:1", "", map[string]http.HandlerFunc{"http://10.0.0.5:5000": basic(true)}, nil, "registry 10.0.0.5:5000: the login would go to http://10.0.0.5:5000, which is not encrypted"},
		{"private address in the clear, basic, nobody", nobody, "10.0.0.5:5000/ab:1", "", map[string]http.HandlerFunc{"http://10.0.0.5:5000": basic(false)}, nil, ""},
		{"private address in the clear", password, "192.168.1.1:5000/ab:1", "", map[string]http.HandlerFunc{"http://192.168.1.1:5000": asks(auth + "/token"), auth: gives}, nil, "did not announce itself over https"},
		{"private address in the clear, refresh token", refresh, "192.168.1.1:5000/ab:1", "", map[string]http.HandlerFunc{"http://192.168.1.1:5000": asks("http://192.168.1.1:5000/token")}, nil, "is not encrypted"},
		{"private address in the clear, nobody", nobody, "192.168.1.1:5000/ab:1", "", map[string]http.HandlerFunc{"http://192.168.1.1:5000": asks(auth + "/token"), auth: gives}, nil, ""},
		{"a name below localhost in the clear", password, "reg.localhost:5000/ab:1", "", map[string]http.HandlerFunc{"http://reg.localhost:5000": basic(true)}, nil, "is not encrypted"},

		{"loopback", password, "127.0.0.1:5000/ab:1", "", map[string]http.HandlerFunc{"http://127.0.0.1:5000": basic(true)}, []string{"http://127.0.0.1:5000"}, ""},
		{"loopback of six", password, "[::1]:5000/ab:1", "", map[string]http.HandlerFunc{"http://[::1]:5000": basic(true)}, []string{"http://[::1]:5000"}, ""},
		{"loopback, realm too", password, "localhost:5000/ab:1", "", map[string]http.HandlerFunc{"http://localhost:5000": asks("http://localhost:5001/token"), "http://localhost:5001": gives}, []string{"http://localhost:5000", "http://localhost:5001"}, ""},
		{"loopback, realm encrypted", password, "localhost:5000/ab:1", "", map[string]http.HandlerFunc{"http://localhost:5000": asks(auth + "/token"), auth: gives}, []string{"http://localhost:5000", auth}, ""},
		{"loopback, realm in the clear", password, "localhost:5000/ab:1", "", map[string]http.HandlerFunc{"http://localhost:5000": asks("http://auth.example.com/token"), "http://auth.example.com": gives}, nil, "http://auth.example.com, which is not encrypted"},
		{"loopback, realm in the clear, refresh token", refresh, "localhost:5000/ab:1", "", map[string]http.HandlerFunc{"http://localhost:5000": asks("http://auth.example.com/token"), "http://auth.example.com": gives}, nil, "http://auth.example.com, which is not encrypted"},

		{"manifest elsewhere", password, "reg.example.com/ab:1", "", map[string]http.HandlerFunc{reg: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer secret token" && strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, evil+"/m", http.StatusTemporaryRedirect)
				return
			}
			asks(auth+"/token")(w, r)
		}, auth: gives, evil: basic(false)}, []string{auth, reg}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.hosts)
			ref, err := name.ParseReference(tc.ref)
			if err != nil {
				t.Fatal(err)
			}
			client, err := registry.New(t.Context(), ref.Context(), registry.Options{Keychain: keychain(tc.login), Realm: tc.pin, Transport: w, Pause: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			_, err = remote.Get(ref, client.Remote()...)
			if (tc.wrong == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("Get: %v, want an error with %q", err, tc.wrong)
			}
			slices.Sort(w.leaks)
			slices.Sort(tc.seen)
			if !slices.Equal(w.leaks, tc.seen) {
				t.Errorf("secrets seen by %v, want %v", w.leaks, tc.seen)
			}
			var refused *registry.RefusedError
			if errors.As(err, &refused) && (hint.Of(err) == "" || tc.login != nobody && slices.Contains(w.asked, refused.To) && len(tc.seen) == 0 && refused.To != "http://"+ref.Context().RegistryStr()) {
				t.Errorf("%v: hint %q, asked %v", err, hint.Of(err), w.asked)
			}
		})
	}
}

// TestUploadElsewhere: where a registry sends the bytes of a blob gets the bytes.
func TestUploadElsewhere(t *testing.T) {
	t.Parallel()
	var got []byte
	w := newWorld(t, map[string]http.HandlerFunc{
		reg: func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") == "":
				asks(auth+"/token")(w, r)
			case r.Method == http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case r.Method == http.MethodPost:
				w.Header().Set("Location", evil+"/upload")
				w.WriteHeader(http.StatusAccepted)
			}
		},
		auth: gives,
		evil: func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodPatch:
				got, _ = io.ReadAll(r.Body)
				w.Header().Set("Location", "/commit")
				w.WriteHeader(http.StatusAccepted)
			default:
				w.WriteHeader(http.StatusCreated)
			}
		},
	})
	repo, err := name.NewRepository("reg.example.com/ab")
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(t.Context(), repo, registry.Options{Keychain: keychain(password), Transport: w})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteLayer(repo, static.NewLayer([]byte("blob"), types.OCILayer), client.Remote()...); err != nil || string(got) != "blob" {
		t.Errorf("WriteLayer: %v, %q arrived", err, got)
	}
	if slices.Contains(w.leaks, evil) {
		t.Error("the host of the Location saw a secret")
	}
}

// TestLayerElsewhere: neither does a host that a manifest names, nor one that a blob is at.
func TestLayerElsewhere(t *testing.T) {
	t.Parallel()
	foreign := strings.Replace(manifest, `"layers": []`, `"layers": [{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": 4, "digest": "sha256:fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8", "urls": ["`+evil+`/layer"]}]`, 1)
	w := newWorld(t, map[string]http.HandlerFunc{
		reg: func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") == "":
				asks(auth+"/token")(w, r)
			case strings.Contains(r.URL.Path, "/manifests/"):
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				_, _ = io.WriteString(w, foreign)
			default:
				http.Redirect(w, r, "https://cdn.example.com/blob", http.StatusTemporaryRedirect)
			}
		},
		auth: gives,
		evil: func(w http.ResponseWriter, r *http.Request) { asks(evil+"/token")(w, r) },
		"https://cdn.example.com": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "blob")
		},
	})
	ref, err := name.ParseReference("reg.example.com/ab:1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(t.Context(), ref.Context(), registry.Options{Keychain: keychain(password), Transport: w, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, client.Remote()...)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if blob, err := layers[0].Compressed(); err == nil {
		_, _ = io.ReadAll(blob)
	}
	if !slices.Contains(w.asked, "https://cdn.example.com") {
		t.Errorf("asked %v, want the blob's place too", w.asked)
	}
	slices.Sort(w.leaks)
	if want := []string{auth, reg}; !slices.Equal(w.leaks, want) {
		t.Errorf("secrets seen by %v, want %v", w.leaks, want)
	}
}

func TestCheckRealm(t *testing.T) {
	t.Parallel()
	for host, fine := range map[string]bool{
		"": true, "auth.docker.io": true, "localhost:5001": true, "[::1]:5001": true, "10.0.0.1": true,
		"https://auth.docker.io": false, "auth.docker.io/token": false, "me@auth.docker.io": false, "auth.docker.io:": false, ":5001": false, "a b": false, "auth.docker.io?x": false,
	} {
		if err := registry.CheckRealm(host); (err == nil) != fine || err != nil && (hint.Code(err, 0) != 2 || hint.Of(err) == "") {
			t.Errorf("CheckRealm(%q) = %v, hint %q", host, err, hint.Of(err))
		}
	}
}
