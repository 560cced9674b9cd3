// SPDX-License-Identifier: Apache-2.0

package base

import (
	"cmp"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// ErrUnreachable is the condition that a package repository, or the mirror in its
// place, or a registry does not answer.
var ErrUnreachable = hint.New("cannot reach the package repositories",
	"is the network up? --debian-mirror or CUDABUILD_DEBIAN_MIRROR names a mirror, http_proxy a proxy")

// UnreachableError means that a server which a recipe names does not answer. It matches
// [ErrUnreachable].
type UnreachableError struct {
	What string // "the registry"
	Err  error
}

func (e *UnreachableError) Error() string { return "cannot reach " + e.What + ": " + e.Err.Error() }

// Is makes the error match ErrUnreachable.
func (e *UnreachableError) Is(target error) bool { return target == ErrUnreachable }
func (e *UnreachableError) Unwrap() error        { return e.Err }

// Hint is what the cause says, or where the address can be changed.
func (e *UnreachableError) Hint() string {
	if text := cmp.Or(registry.Hint(e.Err), hint.Of(e.Err)); text != "" {
		return text
	}
	return "is the network up? http_proxy names a proxy; the address is one of recipes/os or recipes/repository, and --recipes DIR can give another"
}
