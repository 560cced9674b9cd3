// SPDX-License-Identifier: Apache-2.0

package bootstrap

import "errors"

// ErrUnreachable is the condition that a package repository, or the mirror in its
// place, or a registry does not answer.
var ErrUnreachable = errors.New("cannot reach the package repositories")

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
