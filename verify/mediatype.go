// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// odd compares what the manifest calls a layer with how its blob is compressed.
func odd(mediaType types.MediaType, encoding string) (h hit, ok bool) {
	claimed, known := claimedEncoding(string(mediaType))
	switch {
	case strings.HasSuffix(string(mediaType), "+encrypted"):
		return hit{Rule: ruleUnreadable, Detail: "the layer is encrypted"}, true
	case !known:
		return hit{Rule: ruleUnreadable, Detail: fmt.Sprintf("media type %q is not known as that of a layer", mediaType)}, true
	case claimed != encoding:
		return hit{Rule: ruleMediaType, Detail: fmt.Sprintf("media type %q, but the blob is %s", mediaType, cmp.Or(encoding, "not compressed"))}, true
	}
	return hit{}, false
}

// claimedEncoding returns the encoding that a layer's media type stands for: those
// of the OCI image specification, its non-distributable ones, and docker's.
func claimedEncoding(mediaType string) (encoding string, known bool) {
	base, encoding, _ := strings.Cut(mediaType, "+")
	switch base {
	case string(types.OCIUncompressedLayer), string(types.OCIUncompressedRestrictedLayer):
		return encoding, encoding == "" || encoding == "gzip" || encoding == "zstd"
	}
	for _, docker := range []string{string(types.DockerUncompressedLayer), "application/vnd.docker.image.rootfs.foreign.diff.tar"} {
		if encoding, ok := strings.CutPrefix(mediaType, docker); ok {
			encoding = strings.TrimPrefix(encoding, ".")
			return encoding, encoding == "" || encoding == "gzip" || encoding == "zstd"
		}
	}
	return "", false
}
