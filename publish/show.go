// SPDX-License-Identifier: Apache-2.0

package publish

import "github.com/cudabuild/cudabuild/record"

// The phases in their order, as the record and the screen name them.
const (
	Preflight = "preflight"
	Upload    = "upload"
	ReadBack  = "read back"
	Gating    = "gate"
	Attach    = "attach"
	Promote   = "promote"
)

// Phase is how far a phase came.
type Phase = record.Phase

// Show is told of a phase.
type Show = record.Show
