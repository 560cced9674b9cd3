// SPDX-License-Identifier: Apache-2.0

package rpmdb

// Blobs hands out the headers of a database in SQLite.
func Blobs(data []byte, each func([]byte) error) error { return sqlite(data, each) }
