// SPDX-License-Identifier: Apache-2.0

package compat

// MinDriver returns the oldest driver that the tables know on which an image with
// these needs runs on the GPU, and why it does not on the one before it: because of
// its programs and libraries if they fail there, else because of its requirements.
// If there is no such driver, it returns "" and why it does not run on the newest.
func MinDriver(n Needs, gpu Target) (driver, why string) {
	silent, last := n, Host{GPU: gpu}
	silent.Require = nil
	reason := func() string {
		if p := Predict(silent, last); !p.Verdict.Runs() {
			return p.Why
		}
		return Predict(n, last).Why
	}
	for _, driver := range knownDrivers() {
		h := Host{Driver: driver, CUDA: DriverCUDA(driver), GPU: gpu}
		if n.Admits(h) && Predict(silent, h).Verdict.Runs() {
			if last.Driver == "" {
				return driver, ""
			}
			return driver, reason()
		}
		last = h
	}
	return "", reason()
}
