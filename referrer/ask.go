// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// address is that of a manifest, a blob or a list in the repository.
func (r *Repository) address(kind, reference string) string {
	return fmt.Sprintf("%s://%s/v2/%s/%s/%s", r.repo.Scheme(), r.repo.RegistryStr(), r.repo.RepositoryStr(), kind, reference)
}

// answer is one of a registry, read whole.
type answer struct {
	*http.Response

	mediaType types.MediaType
	body      []byte
}

// longError is an answer that has more bytes than are read.
type longError struct {
	address string
	most    int64
}

func (e *longError) Error() string {
	return fmt.Sprintf("%s gives more than %d bytes", e.address, e.most)
}

// get asks for what has most bytes at most. The error is a transport.Error for all statuses but 200 and others.
func (r *Repository) get(ctx context.Context, address string, most int64, accept []string, others ...int) (*answer, error) {
	client, err := r.pull()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", strings.Join(accept, ", "))
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if slices.Contains(others, resp.StatusCode) {
		return &answer{Response: resp}, nil
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = &longError{req.URL.Redacted(), most}
	}
	bare, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // "" says nothing
	return &answer{resp, types.MediaType(bare), body}, err
}

// manifestTypes are what is asked for.
var manifestTypes = []string{string(types.OCIManifestSchema1), string(types.OCIImageIndex), string(types.DockerManifestSchema2), string(types.DockerManifestList)}

// Manifest returns a manifest or an index to the byte, with the media type that the registry gives
// it. What has another digest is an error, and so is what has more than 4 MiB.
func (r *Repository) Manifest(ctx context.Context, digest v1.Hash) (raw []byte, mediaType types.MediaType, err error) {
	got, err := r.get(ctx, r.address("manifests", digest.String()), maxDocument, manifestTypes)
	if err == nil {
		err = check(got.body, digest)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s@%s: %w", r.repo, digest, err)
	}
	return got.body, got.mediaType, nil
}

// check compares bytes with a digest.
func check(raw []byte, want v1.Hash) error {
	got, _, err := v1.SHA256(bytes.NewReader(raw))
	if err == nil && got != want {
		err = fmt.Errorf("what the registry gives has digest %s", got)
	}
	return err
}

// readings is how often a blob is asked for whose answer breaks off.
const readings = 5

// blob reads a blob whole.
func (r *Repository) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	for reading := 1; ; reading++ {
		got, err := r.get(ctx, r.address("blobs", d.Digest.String()), d.Size, []string{"*/*"})
		brokeOff := errors.Is(err, io.ErrUnexpectedEOF) || registry.Again(err)
		if brokeOff && reading < readings {
			continue
		}
		if err == nil {
			err = check(got.body, d.Digest)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: blob %s: %w", r.repo, d.Digest, err)
		}
		return got.body, nil
	}
}

// put brings a manifest into the repository.
func (r *Repository) put(ctx context.Context, reference string, mediaType types.MediaType, raw []byte) error {
	client, err := r.push()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.address("manifests", reference), bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", string(mediaType))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return transport.CheckError(resp, http.StatusOK, http.StatusCreated, http.StatusAccepted)
}

// refused makes a [RefusedError] of an error that says that the registry takes no such manifest, or has no place to
// list it.
func (r *Repository) refused(err error) error {
	if errors.As(err, new(*NotListError)) {
		return &RefusedError{r.repo.Name(), err}
	}
	var said *transport.Error
	if !errors.As(err, &said) {
		return err
	}
	has := func(codes ...transport.ErrorCode) bool {
		return slices.ContainsFunc(said.Errors, func(d transport.Diagnostic) bool { return slices.Contains(codes, d.Code) })
	}
	refusals := []int{
		http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusNotImplemented,
		http.StatusConflict, http.StatusPreconditionFailed, // tags that never move, the list's too
	}
	switch {
	case has(transport.BlobUnknownErrorCode, transport.ManifestBlobUnknownErrorCode, transport.ManifestUnknownErrorCode):
		return err // it lost what it was sent
	case slices.Contains(refusals, said.StatusCode), has(transport.ManifestInvalidErrorCode, transport.UnsupportedErrorCode):
		return &RefusedError{r.repo.Name(), err}
	}
	return err
}
