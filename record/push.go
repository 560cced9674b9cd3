// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"io/fs"
	"time"
)

// maxPushes is how many pushes a record keeps; the oldest go first.
const maxPushes = 20

// Push is one run of publishing.
type Push struct {
	At     time.Time `json:"at"`
	Run    string    `json:"run"` // its ID, by which its journal is found
	To     string    `json:"to"`  // repository
	Phases []Phase   `json:"phases"`
}

// Phase is how far a phase of it came.
type Phase struct {
	Name    string  `json:"phase"`
	Done    int     `json:"done"` // blobs, images, gates or tags
	Of      int     `json:"of"`
	Bytes   int64   `json:"bytes"` // sent, or read
	OfBytes int64   `json:"of_bytes"`
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason"` // why it did not end well, "" if it did
}

// Left is how long the phase will take yet, as far as its bytes say; 0 if they say nothing.
func (p Phase) Left() time.Duration {
	if p.Bytes <= 0 || p.Bytes >= p.OfBytes {
		return 0
	}
	return time.Duration(p.Seconds * float64(p.OfBytes-p.Bytes) / float64(p.Bytes) * float64(time.Second)).Round(time.Second)
}

// Pushed adds a push to the record in a file, which must be there. The file changes whole
// or not at all.
func Pushed(path string, push Push) error {
	return change(path, func(earlier *Run) (*Run, error) {
		if earlier == nil {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		earlier.Pushes = append(earlier.Pushes, push)
		earlier.Pushes = earlier.Pushes[max(0, len(earlier.Pushes)-maxPushes):]
		return earlier, nil
	})
}
