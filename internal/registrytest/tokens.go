// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What [Tokens] know.
const (
	User     = "me"
	Password = "the-password"
	Refresh  = "the-refresh-token"
	issuer   = "cudabuild's tests"
	service  = "registry of cudabuild's tests"
	keyID    = "key-of-the-test"
	// leeway is how long the registry takes a token after its end.
	leeway = time.Minute
)

// Tokens is a token server, as [Start] wants one. Whoever logs in gets what is asked for,
// and whoever does not may pull.
type Tokens struct {
	*Server

	key *ecdsa.PrivateKey
	ttl atomic.Int64
}

// NewTokens starts a token server. Its tokens last for an hour.
func NewTokens(t testing.TB) *Tokens {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &Tokens{key: key}
	s.Last(time.Hour)
	s.Server = Serve(t, http.HandlerFunc(s.answer))
	s.Host = "localhost" + s.Host[strings.LastIndex(s.Host, ":"):] // no client asks an address on another port for tokens
	return s
}

// Realm is the address of the server.
func (s *Tokens) Realm() string { return "http://" + s.Host + "/token" }

// Last sets how long tokens last that are issued from now on; the registry counts seconds.
func (s *Tokens) Last(d time.Duration) { s.ttl.Store(int64(d)) }

// answer gives a token, in either of the two ways that there are.
func (s *Tokens) answer(w http.ResponseWriter, r *http.Request) {
	scopes, user := r.URL.Query()["scope"], ""
	name, password, given := r.BasicAuth()
	switch {
	case r.Method == http.MethodPost:
		if err := r.ParseForm(); err != nil || r.PostForm.Get("refresh_token") != Refresh {
			http.Error(w, "no such refresh token", http.StatusUnauthorized)
			return
		}
		scopes, user = r.PostForm["scope"], User
	case given && (name != User || password != Password):
		http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}`, http.StatusUnauthorized)
		return
	case given:
		user = User
	}
	token := s.issue(user, strings.Fields(strings.Join(scopes, " ")))
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": int(time.Duration(s.ttl.Load()).Seconds())})
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// issue signs a token.
func (s *Tokens) issue(user string, scopes []string) string {
	granted := []access{}
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		i := max(0, strings.LastIndex(rest, ":"))
		actions := strings.Split(strings.TrimPrefix(rest[i:], ":"), ",")
		if user == "" {
			actions = []string{"pull"}
		}
		granted = append(granted, access{kind, rest[:i], actions})
	}
	now := time.Now()
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	signed := encode(map[string]any{"typ": "JWT", "alg": "ES256", "kid": keyID}) + "." + encode(map[string]any{
		"iss": issuer, "sub": user, "aud": service, "access": granted, "jti": base64.RawURLEncoding.EncodeToString(id),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Duration(s.ttl.Load()) - leeway).Unix(),
	})
	hash := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, hash[:])
	if err != nil {
		panic(err)
	}
	signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(document any) string {
	data, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// keys is the file by which a registry knows tokens of this server.
func (s *Tokens) keys(t testing.TB) []byte {
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	return []byte(`{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": ` + strconv.Quote(keyID) + `, "x": "` + x + `", "y": "` + y + `"}]}`)
}
