// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cudabuild/cudabuild/recipes"
)

// Put keeps a root that was made elsewhere as the one that [Store.Base] returns for
// that OS, until its recipe changes. Root and index write tar archives: the root
// file system, and a tree with sources.list and lists/.
func (s *Store) Put(ctx context.Context, r *recipes.Recipe, platform string, epoch time.Time, root, index func(io.Writer) error) (b Base, err error) {
	o := r.OS
	b = Base{OS: o.Name, Platform: platform, Recipe: recipeDigest(r, platform), Epoch: epoch}
	if b.Root, err = s.image(ctx, b, "root of "+o.Name, root); err != nil {
		return Base{}, fmt.Errorf("put %s: %w", o.Name, err)
	}
	if b.Lists, err = s.image(ctx, b, "package lists of "+o.Name, index); err != nil {
		return Base{}, fmt.Errorf("put %s: %w", o.Name, err)
	}
	return b, s.save(b)
}
