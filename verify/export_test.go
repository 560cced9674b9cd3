// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// ScanArchive walks one archive without the goroutines of a stream, which make
// coverage unsteady and fuzzing slow. It returns how many findings there are.
func ScanArchive(r io.Reader, opts Options) (hits int, err error) {
	f, err := layer.Walk(r, opts.withDefaults().layers(), 0, "")
	view.New(&v1.ConfigFile{}, []*layer.Facts{f}, false).InLayer(0)
	return len(f.Hits), err
}

// ScanFacts walks one archive in the same way and returns all that was learned, as text.
func ScanFacts(r io.Reader, opts Options) (string, error) {
	f, err := layer.Walk(r, opts.withDefaults().layers(), 0, "")
	text, jsonErr := json.MarshalIndent(f, "", " ")
	if jsonErr != nil {
		panic(jsonErr)
	}
	return fmt.Sprintf("%s\npaths %x", text, f.Paths), err
}

// JudgeArchives returns the findings of an image of these archives, again without
// goroutines.
func JudgeArchives(archives ...[]byte) ([]Finding, error) {
	in, facts := inspected{config: &v1.ConfigFile{}}, []*layer.Facts{}
	for _, archive := range archives {
		f, err := layer.Walk(bytes.NewReader(archive), Options{}.withDefaults().layers(), 0, "")
		if err != nil {
			return nil, err
		}
		facts = append(facts, f)
		in.layers = append(in.layers, layerRef{mediaType: types.OCIUncompressedLayer})
	}
	return in.findings(facts, view.New(in.config, facts, false)), nil
}

// Build is what facts in the cache are of.
func Build() string { id, _ := build(); return id }

// BuildOf is that of the program at name.
func BuildOf(name string) (string, error) { return buildOf(name) }
