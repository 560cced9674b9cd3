// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Current returns what a reference names, nil if it names nothing.
func Current(ctx context.Context, puller *remote.Puller, ref name.Reference) (*v1.Descriptor, error) {
	desc, err := puller.Head(ctx, ref) // which no registry counts as a pull
	if Absent(err) {
		return nil, nil
	}
	return desc, err
}

// removals is how often a removal is asked for where the registry was busy, or nobody knows what came of it.
const removals = 10

// Remove removes what a tag or a digest names; it is no error if there is no such thing. A registry cannot
// compare and remove: look, unless it is nil, is asked right before each request whether to send it,
// for much may have happened in the wait after one that failed.
func Remove(ctx context.Context, pusher *remote.Pusher, ref name.Reference, look func() (bool, error)) error {
	for removal := 1; ; removal++ {
		if look != nil {
			if on, err := look(); err != nil || !on {
				return err
			}
		}
		err := pusher.Delete(ctx, ref)
		switch {
		case err == nil, Absent(err):
			return nil
		case !Again(err), removal == removals:
			return err
		}
	}
}

// Refused reports an answer that will not change: the registry does not do what it was asked to, or not for us.
func Refused(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && !Busy(err) && answer.StatusCode >= http.StatusBadRequest && answer.StatusCode < http.StatusInternalServerError
}

// Unsupported reports an answer to [Remove] by which a registry says that it removes nothing of that kind, whoever
// asks. Versions 2 of the distribution project's registry remove manifests by digest only, and call a tag a wrong digest.
func Unsupported(err error) bool {
	var answer *transport.Error
	if !Refused(err) || !errors.As(err, &answer) {
		return false
	}
	return answer.StatusCode == http.StatusMethodNotAllowed ||
		answer.StatusCode == http.StatusBadRequest && slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
			return d.Code == transport.UnsupportedErrorCode || d.Code == transport.DigestInvalidErrorCode
		})
}
