// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"fmt"

	"github.com/cudabuild/cudabuild/diff"
)

// Difference is that of the example, and of an image besides into which many packages came: more than a page shows at once.
func Difference() *diff.Result {
	r := Document().Changes
	var image diff.Image
	for i := range r.Images {
		switch at := &r.Images[i]; at.Cell {
		case "12.4-nbody-debian13":
			image = *at
		case "12.8-base-ubuntu22.04":
			at.TagsAdded = []string{"cuda:12.8"}
		}
	}
	image.Cell, image.Causes, image.Packages = "12.4-example-debian13", nil, nil
	for i := range 60 {
		name := fmt.Sprintf("example-%d", i)
		cause := diff.Cause{Kind: diff.Package, What: name + " 1.0-1 -> 1.0-2", Place: "package lists of debian13", Changes: 1}
		image.Causes = append(image.Causes, len(r.Causes))
		image.Packages = append(image.Packages, diff.PackageChange{Manager: "dpkg", Name: name, Arch: "amd64", Old: "1.0-1", New: "1.0-2", Cause: len(r.Causes)})
		r.Causes = append(r.Causes, cause)
	}
	r.Images = append(r.Images, image)
	return r
}
