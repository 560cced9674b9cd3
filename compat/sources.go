// SPDX-License-Identifier: Apache-2.0

package compat

import "embed"

// Sources is this package's own code. Whoever keeps what it decided keeps it for these
// sources, tests aside, and no others.
//
//go:embed *.go
var Sources embed.FS
