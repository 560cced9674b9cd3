// SPDX-License-Identifier: Apache-2.0

package recipes

import "github.com/cudabuild/cudabuild/spec"

type (
	// Problem is one thing wrong with a recipe or a matrix file, and where.
	Problem = spec.Problem //nolint:errname // callers read it as a result, one line of a report
	// Problems is everything wrong with the files that were read.
	Problems = spec.Problems //nolint:errname // as Problem
)
