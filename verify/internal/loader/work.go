// SPDX-License-Identifier: Apache-2.0

package loader

// What one image may cost: names that are looked up, directories that are searched and
// links that are followed, by the bytes of its facts, and bytes of paths that only
// links lead to. Debian with 1,500 programs and libraries takes a hundredth of it.
const (
	stepsAtLeast  = 5_000_000
	stepsPerByte  = 4
	maxPlacedText = 32 << 20
)

// budget counts what is done and kept for one image. It depends on nothing but the
// image, so the same image always ends alike.
type budget struct {
	steps, most int
	placed      int  // bytes of paths
	cut         bool // configuration that is not followed
}

func newBudget(layers []Layer) budget {
	b := budget{most: stepsAtLeast}
	for _, l := range layers {
		b.most += stepsPerByte * l.Weight()
		for _, h := range l.Hard {
			b.most += stepsPerByte * (len(h.Path) + len(h.Target))
		}
	}
	return b
}

// work reports whether n more steps may be taken.
func (b *budget) work(n int) bool {
	b.steps += n
	return b.steps <= b.most
}

// keep reports whether n more bytes of a path may be kept.
func (b *budget) keep(n int) bool {
	b.placed += n
	return b.placed <= maxPlacedText
}

// Exceeded says which limit was reached so far, "" if none was: what was looked up since
// may be wrong.
func (b *budget) Exceeded() string {
	switch {
	case b.steps > b.most:
		return "the libraries and links of the image lead to too many others"
	case b.cut:
		return "the files of ld.so.conf include too many others"
	case b.placed > maxPlacedText:
		return "the links of the image lead to paths that are too long"
	}
	return ""
}

// Steps returns how much has been looked up so far.
func (im *Image) Steps() int { return im.steps }

// Weight is the bytes that f keeps in memory, nearly.
func (f *Facts) Weight() int {
	n := f.Text
	for _, links := range [][]Link{f.Links, f.Cached} {
		for _, l := range links {
			n += 64 + len(l.Path) + len(l.Target)
		}
	}
	for i := range f.Objects {
		n += f.Objects[i].Weight()
	}
	for _, t := range f.Tables {
		n += t.Weight()
	}
	for _, c := range f.Configs {
		n += 64 + len(c.Path) + len(c.Text)
	}
	return n
}

// Weight is the bytes that o keeps in memory, nearly, but for its words, as others have
// the same, and its symbols.
func (o *Object) Weight() int {
	n := 256 + 64*len(o.Built) + len(o.Path) + len(o.Note) + 32*(len(o.Needed)+len(o.Defines))
	for _, v := range o.Versions {
		n += 48 + 32*len(v.Names)
	}
	return n
}
