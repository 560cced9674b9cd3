// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// oddType compares what the manifest calls a layer with how its blob is compressed. rule is "" if
// they agree.
func oddType(mediaType types.MediaType, encoding string) (rule, detail string) {
	claimed, known := claimedEncoding(string(mediaType))
	switch {
	case strings.HasSuffix(string(mediaType), "+encrypted"):
		return rules.Unreadable, "the layer is encrypted"
	case !known:
		return rules.Unreadable, fmt.Sprintf("media type %q is not known as that of a layer", mediaType)
	case claimed != encoding:
		return ruleMediaType, fmt.Sprintf("media type %q, but the blob is %s", mediaType, cmp.Or(encoding, "not compressed"))
	}
	return "", ""
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
