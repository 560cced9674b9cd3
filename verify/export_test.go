// SPDX-License-Identifier: Apache-2.0

package verify

import "io"

// ScanArchive walks one archive without the goroutines of a stream, which make
// coverage unsteady and fuzzing slow. It returns how many findings there are.
func ScanArchive(r io.Reader, opts Options) (hits int, err error) {
	w := newWalker(loadRules(), opts.withDefaults())
	err = w.walk(r)
	f := w.finish()
	view{f}.linkHits(0)
	view{f}.packageHits(0)
	return len(f.Hits), err
}
