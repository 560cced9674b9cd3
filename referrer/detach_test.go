// SPDX-License-Identifier: Apache-2.0

package referrer_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
)

// TestDetach: what is taken away is in no list, and with the last artifact the list goes.
func TestDetach(t *testing.T) {
	t.Parallel()
	for kind, server := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			repository := server.Host + "/team/cuda"
			subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
			first, second := attach(t, r, subject, artifact(1), true), attach(t, r, subject, artifact(2), true)
			for _, there := range []bool{true, false} { // the second time there is nothing to do
				if was, err := r.Detach(t.Context(), subject.Digest, first); err != nil || was != there {
					t.Fatalf("Detach: %v, %v, want %v", was, err, there)
				}
				if found := listed(t, r, subject); len(found) != 1 || found[0].Digest != second.String() {
					t.Errorf("listed are %v, want the second", found)
				}
			}
			if _, err := r.Detach(t.Context(), subject.Digest, second); err != nil {
				t.Fatal(err)
			}
			if found := listed(t, r, subject); len(found) > 0 {
				t.Errorf("listed are %v", found)
			}
			repo, err := name.NewRepository(repository)
			if err != nil {
				t.Fatal(err)
			}
			for _, ref := range []name.Reference{repo.Tag(referrer.Tag(subject.Digest)), repo.Digest(second.String())} {
				if _, err := remote.Head(ref); err == nil {
					t.Errorf("%s is there", ref)
				}
			}
			attach(t, r, subject, artifact(2), true)
		})
	}
}

// TestDetachStays: where nothing is removed an artifact is in no list under a tag all the same.
func TestDetachStays(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, withAPI(false))
	server.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodDelete {
			return registrytest.Fault{Status: http.StatusMethodNotAllowed, Body: `{"errors": [{"code": "UNSUPPORTED", "message": "no deletes"}]}`}
		}
		return registrytest.Fault{}
	}, nil)
	repository := server.Host + "/team/cuda"
	subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
	digest := attach(t, r, subject, artifact(1), true)
	var said *transport.Error
	if _, err := r.Detach(t.Context(), subject.Digest, digest); !errors.As(err, &said) || said.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("Detach: %v, want what the registry says", err)
	}
	if found := listed(t, r, subject); len(found) > 0 {
		t.Errorf("listed are %v", found)
	}
}
