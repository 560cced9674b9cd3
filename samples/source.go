// SPDX-License-Identifier: Apache-2.0

package samples

import "strings"

// HasKernels reports whether the sample launches kernels of its own. One without leaves that
// to libraries or to the driver.
func (s Sample) HasKernels() bool { return strings.Contains(s.Source, "<<<") }

// HasHeader reports whether the sample includes [Header].
func (s Sample) HasHeader() bool { return strings.Contains(s.Source, `#include "`+HeaderFile+`"`) }
