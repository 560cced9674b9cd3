// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

var packed = regexp.MustCompile(`<script type="application/octet-stream" id="([^"]*)">([^<]*)</script>`)

// Unpack is what a page unpacks when somebody asks for it, in its order: JSON, and of images HTML.
func Unpack(page string) (string, error) {
	var all strings.Builder
	for _, m := range packed.FindAllStringSubmatch(page, -1) {
		data, err := base64.StdEncoding.DecodeString(m[2])
		if err != nil {
			return "", fmt.Errorf("%s: %w", m[1], err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return "", fmt.Errorf("%s: %w", m[1], err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m[1], err)
		}
		var fragments []string
		if json.Unmarshal(text, &fragments) == nil {
			text = []byte(strings.Join(fragments, "\n"))
		}
		all.Write(text)
	}
	return all.String(), nil
}
