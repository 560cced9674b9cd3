// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// needed are the absolute paths in the output of ldd.
var needed = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// Programs returns files for an image in which programs of this host run, such as "sh":
// the programs in bin/, and the libraries that they need.
func Programs(names ...string) (map[string]imagetest.Entry, error) {
	files := map[string]imagetest.Entry{}
	for _, name := range names {
		program, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(context.Background(), "ldd", program).Output()
		if err != nil {
			return nil, fmt.Errorf("ldd %s: %w", program, err)
		}
		from := map[string]string{filepath.Join("bin", name): program}
		for _, found := range needed.FindAllSubmatch(out, -1) {
			from[string(found[1][1:])] = string(found[1])
		}
		for path, file := range from {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			files[path] = imagetest.File(data)
		}
	}
	return files, nil
}
