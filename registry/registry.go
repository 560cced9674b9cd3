// SPDX-License-Identifier: Apache-2.0

// Package registry is the one client of registries: what reads images and what publishes
// them go through it. It is go-containerregistry with a transport below it that does what
// that lacks.
//
// [New] makes a [Client] for one repository, [Client.Remote] gives what remote.Get,
// remote.NewPusher and their like take, and [Client.HTTP] a logged-in client for requests
// that those have no function for. It promises:
//
//   - Credentials go to the registry itself and to the realm that it announced itself,
//     both over verified https or on loopback, and nowhere else: not to a redirect on
//     another host, not to an upload Location on one, not over plain http. Where they
//     would, there is a [RefusedError].
//   - What the registry asks to wait is waited, with a cap, and said. What may be repeated
//     is repeated with a growing pause; what may not (the bytes of a blob, its commit)
//     makes go-containerregistry start that upload over, which looks first whether the blob is there.
//   - A PUT of a tag and a DELETE are sent once. [Again] says of their error whether another
//     try makes sense; look at the tag first.
//   - Nothing lasts for ever: a registry that gives or takes nothing is given up, and an
//     answer that will not change is handed up at once, with what the registry said.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// Options tunes [New]. The zero value takes the credentials of docker and podman, and is silent.
type Options struct {
	Keychain authn.Keychain
	// Patience is how long a registry may give or take nothing, and how long it may take for
	// each 64 KiB that it gives; 0 means a minute.
	Patience time.Duration
	// Pause is the first pause after a failure where the registry names none; it doubles with
	// each further failure, up to sixteen times as much. 0 means a quarter of a second.
	Pause time.Duration
	// Realm is the HOST[:PORT] of the one token server that may be asked; "" means the one
	// that the registry announces. See [CheckRealm].
	Realm string
	// Say is told of each wait of a second or more, "ghcr.io asks to wait 30s (429)", in one
	// line; what is in it is ours. One call at a time; nil says nothing.
	Say func(line string)
	// Transport is what all requests go through at last; nil is go-containerregistry's.
	Transport http.RoundTripper
}

// Client speaks to the registry of one repository. It remembers how the registry does, so
// share it among requests that run at the same time: what one is asked to wait, all wait.
type Client struct {
	ctx   context.Context //nolint:containedctx // go-containerregistry wants it in its options
	repo  name.Repository
	auth  authn.Authenticator
	chain http.RoundTripper
}

// New looks up the credentials for a repository and returns a client that uses ctx for all
// requests. It asks the registry nothing. Errors are those of a Realm that is none, and
// of the credential helper.
func New(ctx context.Context, repo name.Repository, opts Options) (*Client, error) {
	if err := CheckRealm(opts.Realm); err != nil {
		return nil, err
	}
	auth, err := login(ctx, repo, opts.Keychain)
	if err != nil {
		return nil, fmt.Errorf("credentials for %s: %w", repo.RegistryStr(), err)
	}
	inner := remote.DefaultTransport
	if opts.Transport != nil {
		inner = opts.Transport
	}
	return &Client{ctx: ctx, repo: repo, auth: auth, chain: &waiting{
		inner: &guard{
			inner:    &patient{inner: inner, patience: cmp.Or(opts.Patience, patience)},
			registry: repo.RegistryStr(),
			pinned:   opts.Realm,
			login:    auth != authn.Anonymous,
		},
		pace: newPace(cmp.Or(opts.Pause, firstPause), opts.Say),
	}}, nil
}

// jobs is how many things are asked of registries at the same time.
const jobs = 6

// Each calls do for 0 to n-1, some at the same time, until one fails.
func Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return g.Wait()
}

// Remote returns what go-containerregistry's functions take. Of two options of one kind
// they take the last, so more may be appended.
func (c *Client) Remote() []remote.Option {
	return []remote.Option{
		remote.WithContext(c.ctx),
		remote.WithAuth(c.auth),
		remote.WithTransport(c),
		remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Steps: attempts}), // the pauses are made below
		remote.WithRetryPredicate(startsOver),
		remote.WithRetryStatusCodes(), // as are the repetitions
	}
}

// Remotes returns a puller and a pusher, each of which asks the registry once how to log in.
// More options are those that are appended to [Client.Remote].
func (c *Client) Remotes(more ...remote.Option) (*remote.Puller, *remote.Pusher, error) {
	options := append(c.Remote(), more...)
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, nil, err
	}
	pusher, err := remote.NewPusher(options...)
	return puller, pusher, err
}

// HTTP returns a client that logs in for the repository, with transport.PullScope,
// PushScope or DeleteScope. It asks the registry how.
func (c *Client) HTTP(scope string) (*http.Client, error) {
	t, err := transport.NewWithContext(c.ctx, c.repo.Registry, c.auth, c, []string{c.repo.Scope(scope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t}, nil
}

// RoundTrip implements http.RoundTripper: it sends a request as it is, without logging in.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.chain.RoundTrip(req) }

// Login returns the credentials for a repository, to hand them to somebody who pulls from it; empty if
// there are none. Of opts it takes the Keychain.
func Login(ctx context.Context, repo name.Repository, opts Options) (authn.AuthConfig, error) {
	auth, err := login(ctx, repo, opts.Keychain)
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("credentials for %s: %w", repo.RegistryStr(), err)
	}
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	return *config, nil
}

// login returns the credentials for a repository; those that hold nothing are
// authn.Anonymous, which go-containerregistry compares with.
func login(ctx context.Context, repo name.Repository, keys authn.Keychain) (authn.Authenticator, error) {
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	auth, err := authn.Resolve(ctx, keys, repo)
	if err != nil {
		return nil, err
	}
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return nil, err
	}
	if *config == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return auth, nil
}
