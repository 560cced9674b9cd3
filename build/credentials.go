// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
)

// credentials give BuildKit, which pulls vendors' images, the user's logins to registries,
// the same that resolve them ([image.Open]).
func credentials() session.Attachable {
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: login})
}

func login(_ context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
	if host == authprovider.DockerHubRegistryHost {
		host = name.DefaultRegistry
	}
	registry, err := name.NewRegistry(host)
	if err != nil {
		return types.AuthConfig{}, err
	}
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
