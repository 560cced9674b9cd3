// SPDX-License-Identifier: Apache-2.0

package samples

import "strings"

// HasKernels reports whether the sample has code for GPUs of its own. One without leaves that
// to libraries or to the driver.
func (s Sample) HasKernels() bool { return strings.Contains(s.Source, "__global__") }

// HasHeader reports whether the sample includes [Header].
func (s Sample) HasHeader() bool { return strings.Contains(s.Source, `#include "`+HeaderFile+`"`) }
