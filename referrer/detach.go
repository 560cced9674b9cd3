// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// Detach takes an artifact away from subject: out of the list under the tag, which goes with its
// last entry, and its manifest. It is no error if there is no such thing, or no place for lists, and
// was is false then. Where the registry removes no tags, an empty list stays; where it removes no
// manifests, that is the error, and a list under the tag names the artifact no more all the same.
func (r *Repository) Detach(ctx context.Context, subject, artifact v1.Hash) (was bool, err error) {
	mu, _ := r.writers.LoadOrStore(subject, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	defer mu.(*sync.Mutex).Unlock()
	was, err = r.strike(ctx, subject, artifact)
	if err == nil {
		if _, _, gone := r.Manifest(ctx, artifact); registry.Absent(gone) { // what was never there is not to be removed, which many registries refuse
			return was, nil
		}
		was, err = true, r.remove(ctx, artifact.String())
	}
	if err != nil {
		return was, fmt.Errorf("detach from %s@%s: %w", r.repo, subject, err)
	}
	return was, nil
}

// strike takes an artifact out of the list under the tag, if there is such, until it is not in it.
func (r *Repository) strike(ctx context.Context, subject, artifact v1.Hash) (was bool, err error) {
	for round := range rounds {
		begun := time.Now()
		l, err := r.list(ctx, subject)
		switch {
		case errors.As(err, new(*NotListError)):
			return was, nil
		case err != nil || l.api || !l.has(artifact):
			return was, err
		}
		was = true
		keys, entries, err := open(l.raw)
		if err != nil {
			return was, err
		}
		entries = without(entries, artifact)
		list, err := write(keys, entries)
		if err != nil {
			return was, err
		}
		if len(entries) > 0 || r.remove(ctx, Tag(subject)) != nil {
			err = r.put(ctx, Tag(subject), types.OCIImageIndex, list)
		}
		if err != nil && !registry.Again(err) {
			return was, err
		}
		if err := apart(ctx, begun, round); err != nil {
			return was, err
		}
	}
	return was, errors.New("others write the list all the time")
}

// remove removes a tag or a manifest, if there is such.
func (r *Repository) remove(ctx context.Context, reference string) (err error) {
	client, err := r.erase()
	if err != nil {
		return err
	}
	for range rounds {
		if err = r.removeOnce(ctx, client, reference); !registry.Again(err) {
			break
		}
	}
	return err
}

func (r *Repository) removeOnce(ctx context.Context, client *http.Client, reference string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.address("manifests", reference), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return transport.CheckError(resp, http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound)
}
