// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Ready finds out whether we may push, before anything is: it begins an upload of nothing
// and ends it.
func (p *Publisher) Ready(ctx context.Context) (err error) {
	client, err := p.client.HTTP(transport.PushScope)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("%s://%s/v2/%s/blobs/uploads/", p.repo.Scheme(), p.repo.RegistryStr(), p.repo.RepositoryStr())
	resp, err := ask(ctx, client, http.MethodPost, address)
	if err != nil {
		return fmt.Errorf("%s: %w", p.repo, err)
	}
	session, err := resp.Location()
	if err != nil {
		return fmt.Errorf("%s: it begins an upload and does not say where: %w", p.repo, err)
	}
	// Registries that cannot end an upload drop it after some hours.
	_, _ = ask(ctx, client, http.MethodDelete, session.String())
	return ctx.Err()
}

// ask makes a request that has no body and returns the answer, read to its end.
func ask(ctx context.Context, client *http.Client, method, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return resp, transport.CheckError(resp, http.StatusOK, http.StatusAccepted, http.StatusCreated, http.StatusNoContent)
}

// otherRepositories are those of the same registry that may have the same blobs: what the
// images stand on, and where earlier runs pushed.
func (p *Publisher) otherRepositories() []name.Repository {
	var all []name.Repository
	add := func(repo name.Repository, err error) {
		if err == nil && repo.RegistryStr() == p.repo.RegistryStr() && repo.Name() != p.repo.Name() && !slices.Contains(all, repo) {
			all = append(all, repo)
		}
	}
	for _, c := range p.Cells {
		if c.Recipe == nil {
			continue
		}
		if ref, err := name.ParseReference(c.Recipe.OS.Image); err == nil {
			add(ref.Context(), nil)
		}
	}
	if earlier, err := Journals(p.Journals); err == nil { // mounts are for speed alone
		for _, j := range earlier {
			add(ParseRepository(j.Plan().To))
		}
	}
	return all
}
