// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// Lister says what is installed in an image. [verify.Verifier] is one.
type Lister interface {
	Inventory(ctx context.Context, ref string, img v1.Image) (verify.Inventory, error)
}

// checkLock makes sure, before anything is made, that every root of the lock is there or can be
// made, and that the packages for what is not built yet are still to be had. The error has what is missing of all
// of them.
func (r *run) checkLock(ctx context.Context) error {
	if r.Bases.Lock == nil {
		return nil
	}
	var errs []error
	checked := map[string]bool{}
	for m := range r.manifests() {
		if checked[m.baseKey()] || r.known(ctx, m) {
			continue
		}
		checked[m.baseKey()] = true
		if err := r.prepare(ctx); err != nil {
			return err
		}
		errs = append(errs, r.store(m).CheckLock(ctx, m.cell.Recipe, m.platform))
	}
	return errors.Join(errs...)
}

// strays names the packages of an image which the lock, if there is one, does not have, each in a line; it is ""
// if there are none. Those of a distribution's own lists are locked by them; a vendor's float.
func (r *run) strays(ctx context.Context, m *manifest, b built) (string, error) {
	if r.Bases.Lock == nil {
		return "", nil
	}
	img, err := r.Images.Image(b.desc)
	if err != nil {
		return "", err
	}
	list, err := r.Lister.Inventory(ctx, m.cell.Tags[0], img)
	if err != nil {
		return "", err
	}
	all := r.Bases.Lock.Strays(Packages(lock.System{OS: m.cell.OS, Platform: m.platform}, list))
	if len(all) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d packages are not as the lock has them:%s", len(all), base.Named(all)), nil
}

// Packages are those of an image's inventory that the package manager of an OS has put there.
func Packages(of lock.System, list verify.Inventory) (all []lock.Package) {
	for _, p := range list.Packages {
		if p.Manager == "dpkg" || p.Manager == "rpm" {
			all = append(all, lock.Package{System: of, Name: p.Name, Arch: p.Arch, Version: p.Version})
		}
	}
	return all
}

// straysError refuses an image with packages that the lock does not have.
type straysError struct{ text, kept string }

func (e *straysError) Error() string { return e.text }

// Hint is how the lock gets them.
func (e *straysError) Hint() string {
	return "build without --locked and run 'cudabuild lock update' to take them; the image is kept in " + e.kept
}

// otherTools says, once in a run, which tool is not of the version that the images of the lock were built with.
func (r *run) otherTools(tools map[string]string) {
	if r.Bases.Lock == nil {
		return
	}
	for name, locked := range r.Bases.Lock.Tools {
		is, ours := tools[name]
		if !ours || slices.Contains(strings.Split(locked, lock.ToolSeparator), is) {
			continue
		}
		if _, said := r.saidTools.LoadOrStore(name+" "+is, true); !said {
			r.Log.Warn("a tool is not of the locked version: images may differ from those of then", "tool", name, "version", is, "locked", locked)
		}
	}
}

// lockDigest is what the record calls the lock, "" if there is none.
func (r *run) lockDigest() string {
	if r.Bases.Lock == nil {
		return ""
	}
	return r.Bases.Lock.Digest()
}

// lockParts are what an image that is built now has of the lock.
func (r *run) lockParts() []record.Part {
	if r.Bases.Lock == nil {
		return nil
	}
	return []record.Part{{Kind: record.LockPart, Digest: r.lockDigest()}}
}
