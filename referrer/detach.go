// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// Detach takes an artifact away from subject: out of the list under the tag, which goes with its
// last entry, and its manifest. It is no error if there is no such thing. Where the registry
// removes no tags, an empty list stays; where it removes no manifests, that is the error, and a
// list under the tag names the artifact no more all the same.
func (r *Repository) Detach(ctx context.Context, subject, artifact v1.Hash) error {
	mu, _ := r.writers.LoadOrStore(subject, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	defer mu.(*sync.Mutex).Unlock()
	if err := r.strike(ctx, subject, artifact); err != nil {
		return fmt.Errorf("detach from %s@%s: %w", r.repo, subject, err)
	}
	if err := r.remove(ctx, artifact.String()); err != nil {
		return fmt.Errorf("detach from %s@%s: %w", r.repo, subject, err)
	}
	return nil
}

// strike takes an artifact out of the list under the tag, if there is such, until it is not in it.
func (r *Repository) strike(ctx context.Context, subject, artifact v1.Hash) error {
	for range rounds {
		l, err := r.list(ctx, subject)
		if err != nil || l.api || !l.has(artifact) {
			return err
		}
		list, left, err := l.without(artifact)
		if err != nil {
			return err
		}
		if left == 0 {
			if err := r.remove(ctx, Tag(subject)); err == nil || registry.Again(err) {
				continue
			}
		}
		if _, err := r.put(ctx, Tag(subject), types.OCIImageIndex, list); err != nil && !registry.Again(err) {
			return err
		}
	}
	return errors.New("others write the list all the time")
}

// without returns the list with one entry less, and how many are left.
func (l *listing) without(artifact v1.Hash) (list []byte, left int, err error) {
	index := map[string]json.RawMessage{}
	var entries []json.RawMessage
	if err := json.Unmarshal(l.raw, &index); err != nil {
		return nil, 0, err
	}
	if err := json.Unmarshal(index["manifests"], &entries); err != nil {
		return nil, 0, err
	}
	entries = slices.DeleteFunc(entries, func(raw json.RawMessage) bool {
		var d v1.Descriptor
		return json.Unmarshal(raw, &d) == nil && d.Digest == artifact
	})
	if index["manifests"], err = json.Marshal(entries); err != nil {
		return nil, 0, err
	}
	list, err = json.Marshal(index)
	return list, len(entries), err
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
