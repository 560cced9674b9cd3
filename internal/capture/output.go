// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"slices"
)

// Output is what a program wrote: all of it, or its beginning and its end.
type Output struct {
	Bytes int64  `json:"bytes"` // that were written
	Head  []byte `json:"head"`  // base64 in JSON
	Tail  []byte `json:"tail"`  // empty if Head is all
}

// Text is what was kept, with a line in between if that is not all.
func (o Output) Text() []byte {
	left := o.Bytes - int64(len(o.Head)) - int64(len(o.Tail))
	if left <= 0 {
		return slices.Concat(o.Head, o.Tail)
	}
	return slices.Concat(o.Head, fmt.Appendf(nil, "\n... %d bytes are left out here ...\n", left), o.Tail)
}
