// SPDX-License-Identifier: Apache-2.0

package layer

// What may be kept of one layer, in bytes with what maps and slices take. Findings, links
// at driver names and packages that are beyond it make the verdict "unknown"; what only
// explains a finding is left out. It is little beside the 48 MiB of one file that a
// layer holds while it is read.
const (
	maxText   = 16 << 20
	maxHard   = 16 << 20 // hard links whose target is not judged yet: 100,000 and more
	maxOwners = 4 << 20  // packages, and files of theirs that a rule may be about
	perEntry  = 64       // of a map or a slice
)

// room is the bytes that are left.
type room int

// take reports whether there is room for one more entry with so much text.
func (r *room) take(text int) bool {
	if text+perEntry > int(*r) {
		return false
	}
	*r -= room(text + perEntry)
	return true
}

// rooms is what one walk keeps.
type rooms struct{ text, hard, owners room }

func newRooms() rooms { return rooms{maxText, maxHard, maxOwners} }
