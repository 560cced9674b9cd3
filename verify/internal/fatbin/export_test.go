// SPDX-License-Identifier: Apache-2.0

package fatbin

// Work returns how many bytes were looked at, each as often as it was.
func (s *Scanner) Work() int { return s.work }
