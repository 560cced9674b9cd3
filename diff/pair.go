// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// pair is what is known of two images when the causes of their differences are looked for.
type pair struct {
	*causes
	made

	old, now side
	steps    []stepChange
	date     int                   // the cause that dates have moved, -1 if they have not
	unknown  map[string]string     // managers whose packages cannot be compared, with why
	packages map[tree.Owner]*moved // those that changed
	first    [2]map[int]*moved     // by layer of the old image and of the new one, the first package that changed in it
	// firstOfAll is the first package that changed, nil if none has.
	firstOfAll *moved
	inside     map[string]int // folders in which something was added or removed, with the cause of that
}

func (p *pair) trees() [2]*tree.Tree { return [2]*tree.Tree{p.old.tree, p.now.tree} }

// change is a path that a container sees otherwise.
type change struct {
	path     string
	how      []string
	old, now *tree.Node
	owners   []tree.Owner
}

// compare fills what differs between two images, as far as they can be read. Its only error is that of ctx.
func (c *comparison) compare(ctx context.Context, is *Image, old, now Version, notes made) error {
	p := &pair{
		causes: c.causes, made: notes, packages: map[tree.Owner]*moved{}, first: [2]map[int]*moved{{}, {}}, inside: map[string]int{},
	}
	var oldErr, nowErr error
	p.old, oldErr = readSide(old)
	p.now, nowErr = readSide(now)
	is.Platform = cmp.Or(p.now.platform(), p.old.platform())
	is.OldDigest, is.NewDigest = p.old.digest, p.now.digest
	is.OldSize, is.NewSize = cmp.Or(p.old.size(), is.OldSize), cmp.Or(p.now.size(), is.NewSize)
	is.State = Changed
	switch {
	case p.old.digest == p.now.digest && p.old.digest != "":
		is.State = Same
		return nil
	case oldErr != nil || nowErr != nil:
		is.unread(oldErr, nowErr)
		is.Causes = notes.causes(c.causes)
		return context.Cause(ctx)
	case c.left <= 0:
		is.State, is.Why = Unread, "so much changed in the images before it that it is to be compared alone"
		is.Causes = notes.causes(c.causes)
		return nil
	}
	p.old.where, p.now.where = old.askedAt(p.old.config), now.askedAt(p.now.config)
	p.steps, p.old.stepAt, p.now.stepAt = compareSteps(p.old.steps, p.now.steps)
	p.date = p.dates()
	if !slices.Equal(p.old.config.RootFS.DiffIDs, p.now.config.RootFS.DiffIDs) {
		p.compareTrees(ctx, c.reader, is, old, now)
		for _, f := range is.Files {
			c.left -= len(f.Path) + len(f.Old) + len(f.New)
		}
	}
	is.Config = p.values(len(is.Files) > 0 || is.State == Unread)
	for _, side := range []struct {
		name string
		err  error
	}{{"old", old.MadeErr}, {"new", now.MadeErr}} {
		if side.err != nil {
			is.Why = strings.TrimPrefix(fmt.Sprintf("%s; how the %s image was made is not known: %v", is.Why, side.name, side.err), "; ")
		}
	}
	return context.Cause(ctx)
}

// compareTrees fills what differs in the files.
func (p *pair) compareTrees(ctx context.Context, reader *tree.Reader, is *Image, old, now Version) {
	var err error
	if p.old.tree, p.now.tree, err = reader.Pair(ctx, old.Image, now.Image); err != nil {
		of := func(d v1.Hash) bool {
			layer := (*tree.LayerError)(nil)
			return errors.As(err, &layer) && layer.DiffID == d.String()
		}
		if slices.ContainsFunc(p.old.config.RootFS.DiffIDs, of) { // of a layer that both have the old side's is read
			is.unread(err, nil)
		} else {
			is.unread(nil, err)
		}
		is.Causes = p.made.causes(p.causes)
		return
	}
	p.unknown = p.unknownManagers()
	is.Packages = p.packageChanges()
	is.Files = p.files(p.changes())
	if len(p.unknown) > 0 {
		is.Why = "packages are not known: " + strings.Join(slices.Sorted(maps.Values(p.unknown)), "; ")
	}
}

// unread notes of which side what cannot be read, and why.
func (i *Image) unread(old, now error) {
	var why []string
	if old != nil {
		why = append(why, "old image: "+old.Error())
	}
	if now != nil {
		why = append(why, "new image: "+now.Error())
	}
	i.State, i.Why = Unread, strings.Join(why, "; ")
}

// dates returns the cause of changed dates, -1 if none has changed.
func (p *pair) dates() int {
	switch lists := p.lists(); {
	case lists != "":
		return p.of(Date, lists, "")
	case !p.old.config.Created.Equal(p.now.config.Created.Time):
		return p.of(Date, fmt.Sprintf("created %s -> %s", stamp(p.old.config.Created.Time), stamp(p.now.config.Created.Time)), "")
	}
	return -1
}

// changes are the paths that differ, with who owns them.
func (p *pair) changes() (all []*change) {
	oldOwners, nowOwners := p.old.tree.Owners(), p.now.tree.Owners()
	tree.Compare(p.old.tree, p.now.tree, func(at string, old, now *tree.Node) {
		all = append(all, &change{at, how(old, now), old, now, slices.Concat(oldOwners[at], nowOwners[at])})
	})
	return all
}

// how says in what two nodes differ.
func how(old, now *tree.Node) (all []string) {
	switch {
	case old == nil:
		return []string{"added"}
	case now == nil:
		return []string{"removed"}
	case old.Type != now.Type:
		return []string{"type"}
	}
	for _, part := range []struct {
		name    string
		differs bool
	}{
		{"content", old.Size != now.Size || old.Sum != now.Sum || old.Device != now.Device},
		{"target", old.Target != now.Target},
		{"hard link", old.Link != now.Link},
		{"mode", old.Mode != now.Mode},
		{"owner", old.UID != now.UID || old.GID != now.GID},
		{"attributes", old.Attributes != now.Attributes},
		{"time", old.Time != now.Time},
	} {
		if part.differs {
			all = append(all, part.name)
		}
	}
	return all
}

// only reports whether nothing but these differs.
func (c *change) only(parts ...string) bool {
	return !slices.ContainsFunc(c.how, func(h string) bool { return !slices.Contains(parts, h) })
}

// layers are those that a change comes from, -1 on a side that has nothing.
func (c *change) layers() (old, now int) {
	old, now = -1, -1
	if c.old != nil {
		old = c.old.Layer
	}
	if c.now != nil {
		now = c.now.Layer
	}
	return old, now
}

// files finds the cause of each change, what is inside a folder before the folder.
func (p *pair) files(changes []*change) []FileChange {
	all := make([]FileChange, len(changes))
	for i, c := range slices.Backward(changes) {
		f := FileChange{Path: valid(c.path), How: strings.Join(c.how, ","), Old: words(c.how[0], c.old), New: words(c.how[0], c.now), Cause: p.fileCause(c)}
		if dir, _ := path.Split(c.path); !c.only("content", "mode", "owner", "attributes", "time") {
			p.inside[strings.TrimSuffix(dir, "/")] = f.Cause
		}
		all[i] = f
	}
	return all
}

// words says what a node has of what differs, where that is short.
func words(how string, n *tree.Node) string {
	if n == nil {
		return ""
	}
	switch how {
	case "mode":
		return fmt.Sprintf("%04o", n.Mode)
	case "owner":
		return fmt.Sprintf("%d:%d", n.UID, n.GID)
	case "target":
		return valid(n.Target)
	case "hard link":
		return cmp.Or(n.Link, "a file of its own")
	case "time":
		return time.Unix(n.Time[0], n.Time[1]).UTC().Format(time.RFC3339Nano)
	case "attributes":
		return strings.ReplaceAll(n.Attributes, "\x00", " ")
	}
	if n.Type == tar.TypeReg {
		return fmt.Sprintf("%d bytes", n.Size)
	}
	if n.Device != [2]int64{} {
		return fmt.Sprintf("%s %d:%d", typeNames[n.Type], n.Device[0], n.Device[1])
	}
	return typeNames[n.Type]
}

// valid is a name as JSON can have it: one that is no UTF-8 has escapes, as tar and ls show it.
func valid(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return plain.Text(name)
}

var typeNames = map[byte]string{
	tar.TypeDir: "folder", tar.TypeSymlink: "link", tar.TypeChar: "character device", tar.TypeBlock: "block device", tar.TypeFifo: "pipe",
}
