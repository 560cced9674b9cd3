// SPDX-License-Identifier: Apache-2.0

// Package reporttest makes documents to draw in tests: [Big] is of any size. All of them
// are stand-ins, and say so in the names that they show.
package reporttest
