// SPDX-License-Identifier: Apache-2.0

package loader

import "path"

// maxHops is how many links Linux follows in one path.
const maxHops = 40

// maxRemembered bounds what links remember of directories, in bytes.
const maxRemembered = 16 << 20

// links is the symbolic links of an image. A path is resolved from its first link
// to the next, and hashed as it is read: a directory 2,000 deep costs no more than its
// name is long.
type links struct {
	at         map[string]placed
	hashes     map[uint64]bool // of the paths in at
	dirs       map[string]dest // what was learned about directories
	remembered int
}

// placed is a link or a file's place in the layers.
type placed struct {
	target string
	layer  int
}

// dest is where a path leads, by how many links: more than maxHops lead nowhere.
type dest struct {
	path string
	hops int
}

func newLinks(layers []Layer) links {
	n := 0
	for _, l := range layers {
		n += len(l.Links)
	}
	return links{at: make(map[string]placed, n), hashes: make(map[uint64]bool, n), dirs: map[string]dest{}}
}

func (l *links) add(p string, to placed) {
	l.at[p] = to
	h := uint64(hashStart)
	for i := range len(p) {
		h = hashByte(h, p[i])
	}
	l.hashes[h] = true
}

// FNV-1a.
const hashStart = 14695981039346656037

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * 1099511628211 }

// first returns the length of the shortest part of p, a path, that is a link.
func (l *links) first(p string) (end int, to placed, ok bool) {
	h := uint64(hashStart)
	for i := range len(p) {
		if p[i] == '/' && l.hashes[h] {
			if to, ok := l.at[p[:i]]; ok {
				return i, to, true
			}
		}
		h = hashByte(h, p[i])
	}
	if l.hashes[h] {
		to, ok = l.at[p]
	}
	return len(p), to, ok
}

// remember keeps where a directory leads, and forgets all others if that is too much.
func (l *links) remember(dir string, d dest) {
	cost := 96
	if d.path != dir {
		cost += len(d.path)
	}
	if l.remembered += cost; l.remembered > maxRemembered {
		l.forget()
		l.remembered = cost
	}
	l.dirs[dir] = d
}

func (l *links) forget() {
	clear(l.dirs)
	l.remembered = 0
}

// Real returns p with all links followed, "" and false if they go in circles.
func (im *Image) Real(p string) (string, bool) {
	if p == "" {
		return "", true
	}
	dir := dirOf(p)
	d := im.realDir(dir)
	if d.hops > maxHops {
		return "", false
	}
	if d.path != dir {
		p = join(d.path, path.Base(p))
	}
	if to, ok := im.links.at[p]; ok {
		d = im.follow(rooted(d.path, to.target), d.hops+1)
		return d.path, d.hops <= maxHops
	}
	return p, true
}

// Followed returns the links that lead from p to where it really is, in order.
func (im *Image) Followed(p string) (links []Link) {
	for p = rooted("", p); len(links) <= maxHops; {
		end, to, ok := im.links.first(p)
		if !ok {
			break
		}
		links = append(links, Link{p[:end], to.target})
		p = rooted("", join(rooted(dirOf(p[:end]), to.target), p[min(end+1, len(p)):]))
	}
	return links
}

// realDir returns where a directory leads.
func (im *Image) realDir(dir string) dest {
	if dir == "" {
		return dest{}
	}
	d, known := im.links.dirs[dir]
	if !known {
		d = im.follow(dir, 0)
		im.links.remember(dir, d)
	}
	return d
}

// follow returns where p leads, which so many links lead to.
func (im *Image) follow(p string, hops int) dest {
	for ; hops <= maxHops && im.work(1+len(p)/32); hops++ {
		end, to, ok := im.links.first(p)
		if !ok {
			return dest{p, hops}
		}
		rest := p[min(end+1, len(p)):]
		if p = rooted(dirOf(p[:end]), to.target); rest != "" {
			p = join(p, rest)
		}
	}
	return dest{"", maxHops + 1}
}
