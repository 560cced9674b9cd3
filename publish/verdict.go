// SPDX-License-Identifier: Apache-2.0

package publish

import "errors"

// Verdict is a [FailedError] that names the tags that may not move, the gates that failed and evidence that
// cannot be signed, nil if there is none. A gate that is missing is not among them: what answers it may come
// while the images are staged.
func (plan *Plan) Verdict() error {
	return failed(errors.Join(plan.refused(), plan.failedGates(Failed), plan.unsigned()), "")
}
