// SPDX-License-Identifier: Apache-2.0

// Package gpu says what an image should do on this host, and what it did.
//
// A [Host] is the machine at hand. [Select] picks GPUs of it by any of their names,
// a [Test], a sample or somebody's own, reads what its run printed, and a [Row] keeps one observation
// beside the prediction that was made before it. [Append] writes rows to a ledger
// and [Compare] compares new rows with one.
//
// Predictions and observations are never shown as each other: a row has both, made
// by different code at different times, and says whether they agree. The package
// starts nothing and asks no driver; that is done by its subpackages: rootfs unpacks
// images, container runs them, nvidia asks the driver (the only one that needs cgo);
// host puts these together; observer observes samples on it, and session runs what a user
// asks for.
package gpu
