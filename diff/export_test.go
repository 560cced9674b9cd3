// SPDX-License-Identifier: Apache-2.0

package diff

// ImagesWithin is Images with another bound of paths.
var ImagesWithin = images
