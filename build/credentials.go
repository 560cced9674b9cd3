// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// credentials give a BuildKit, which pulls vendors' images, the user's logins to registries, the same
// that resolve them ([image.Open]). It may ask for any. So one that others can listen to gets none, and
// one that the matrix names those of the registries that the images of this run are pulled from.
func (r *run) credentials(b *builder) session.Attachable {
	given := func(string) bool { return true }
	switch {
	case !engine.Private(b.Address):
		given = func(string) bool { return false }
	case r.OfMatrix:
		given = r.pullsFrom
	}
	login := func(_ context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
		if host == authprovider.DockerHubRegistryHost {
			host = name.DefaultRegistry
		}
		registry, err := name.NewRegistry(host)
		if err != nil || !given(registry.Name()) {
			return types.AuthConfig{}, err
		}
		return login(registry)
	}
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: login})
}

// pullsFrom reports whether BuildKit pulls an image of the run from a registry: one that an OS starts
// from, or in which its root is made.
func (r *run) pullsFrom(registry string) bool {
	for m := range r.manifests() {
		os := m.cell.Recipe.OS
		if ref, err := name.ParseReference(cmp.Or(os.Image, os.Bootstrap.Image)); err == nil && ref.Context().RegistryStr() == registry {
			return true
		}
	}
	return false
}

func login(registry name.Registry) (types.AuthConfig, error) {
	authenticator, err := authn.DefaultKeychain.Resolve(registry)
	if err != nil {
		return types.AuthConfig{}, err
	}
	c, err := authenticator.Authorization()
	if err != nil {
		return types.AuthConfig{}, err
	}
	return types.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}, nil
}

// userInfo is the login in an address of apt's settings.
var userInfo = regexp.MustCompile(`://[^/"\s]+@`)

// keepLogins makes sure that no login of a mirror or a proxy, which steps cannot do without, goes to a
// BuildKit that others can listen to.
func (r *run) keepLogins() error {
	var of string
	switch {
	case r.Proxy.Apt() != "":
		of = "the proxy"
	case bytes.Contains(r.Bases.AptConfig(), []byte("Cudabuild::Login")):
		of = "the Debian mirror"
	case userInfo.Match(r.AptConfig):
		of = "the proxy of this machine's apt"
	default:
		return nil
	}
	for _, b := range r.builders {
		if !engine.Private(b.Address) {
			return hint.Usage(fmt.Sprintf("the BuildKit at %s is spoken to in the clear, and %s has a login that its steps would need", b.name(), of),
				"name it with TLS (tcp://HOST:PORT?cacert=FILE&cert=FILE&key=FILE) or by ssh://USER@HOST, or "+of+" without a login")
		}
	}
	return nil
}

// introduce says, before the first BuildKit is asked, whom the matrix has chosen, and what those do
// not get that others can listen to.
func (r *run) introduce() {
	if r.OfMatrix {
		r.Log.Warn("the matrix names the BuildKit, which gets what steps need: logins to the registries of their images, to mirror and proxy; --builder names another", "builder", r.names())
	}
	var plain []string
	for _, b := range r.builders {
		if !engine.Private(b.Address) {
			plain = append(plain, b.name())
		}
	}
	if len(plain) > 0 {
		r.Log.Warn("BuildKit is spoken to in the clear and gets no login to a registry: give its address TLS, or use ssh://", "builder", strings.Join(plain, ", "))
	}
}
