// SPDX-License-Identifier: Apache-2.0

package compat

// MinDriver returns the oldest driver that the tables know on which an image with
// these needs runs on the GPU, and why it does not on the one before it. If there is
// no such driver, it returns "" and why it does not run on the newest.
func MinDriver(n Needs, gpu Target) (driver, why string) {
	for _, driver := range knownDrivers() {
		p := Predict(n, Host{Driver: driver, GPU: gpu})
		if p.Verdict.Runs() {
			return driver, why
		}
		why = p.Why
	}
	return "", why
}
