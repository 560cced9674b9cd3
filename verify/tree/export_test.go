// SPDX-License-Identifier: Apache-2.0

package tree

// NewReaderWithin is NewReader with another bound on the layers of a pair.
func NewReaderWithin(most int) *Reader {
	r := NewReader()
	r.most = most
	return r
}
