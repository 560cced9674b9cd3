// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
)

func newLock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Keep what images are made of, to make them again",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLockUpdate())
	return cmd
}

// lockHint is what makes a lock.
const lockHint = "'cudabuild matrix' and then 'cudabuild lock update' write it, to be committed beside the matrix"

// lockFile is where the lock of the selected matrix is.
func (s *selection) lockFile() (string, error) {
	if s.file == "-" {
		return "", hint.Usage("the lock is beside the matrix, and that is read from stdin", "name the matrix with --file")
	}
	return lock.Beside(s.file), nil
}

// readLock reads it. That it cannot be used is an error of usage.
func (s *selection) readLock() (*lock.Lock, error) {
	path, err := s.lockFile()
	if err != nil {
		return nil, err
	}
	l, err := lock.Read(path)
	switch {
	case errors.Is(err, lock.ErrNone):
		return nil, &exitError{code: exitUsage, err: err, hint: lockHint}
	case err != nil:
		return nil, &exitError{code: exitUsage, err: err, hint: "take it as it was committed, or " + lockHint}
	}
	return l, nil
}

// systemsOf are those that cells are built for, in their order.
func systemsOf(cells []matrix.Cell) (all []lock.System) {
	for _, c := range cells {
		for _, platform := range c.Platforms {
			if s := (lock.System{OS: c.OS, Platform: platform}); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// lockIfAny is readLock where there may be none: nil.
func (s *selection) lockIfAny() (*lock.Lock, error) {
	if s.file == "-" {
		return nil, nil
	}
	l, err := s.readLock()
	if errors.Is(err, lock.ErrNone) {
		return nil, nil
	}
	return l, err
}

// datePlace is where the moment of the lock stands in the address of a mirror by date.
const datePlace = "{date}"

// hold reads the lock that the run is to be held to, and gives the mirror its date. Without
// --locked it does nothing. What nobody typed is looked at only where it is used.
func (f *matrixFlags) hold(cells []matrix.Cell, given bool) error {
	used := given || slices.ContainsFunc(cells, mirrored)
	if !f.locked {
		if used && strings.Contains(f.mirror, datePlace) {
			return hint.Usage("the mirror's address has {date}, which is that of a lock", "give --locked, or the date itself")
		}
		return nil
	}
	l, err := f.readLock()
	if err != nil {
		return err
	}
	systems := systemsOf(cells)
	for _, s := range systems {
		if _, ok := l.Root(s); !ok || len(l.ListsOf(s)) == 0 {
			return hint.Usage(fmt.Sprintf("%s has nothing of %s", lock.Beside(f.file), s), lockHint)
		}
	}
	f.lock = l
	f.mirror = strings.ReplaceAll(f.mirror, datePlace, l.Date(systems...).Format(lock.DateFormat))
	return nil
}
