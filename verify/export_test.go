// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// ScanArchive walks one archive without the goroutines of a stream, which make
// coverage unsteady and fuzzing slow. It returns how many findings there are.
func ScanArchive(r io.Reader, opts Options) (hits int, err error) {
	w := newWalker(rules.Load(), opts.withDefaults())
	err = w.walk(r)
	f := w.finish()
	newView(f).linkHits(0)
	newView(f).packageHits(0)
	return len(f.Hits), err
}

// ScanFacts walks one archive in the same way and returns all that was learned, as text.
func ScanFacts(r io.Reader, opts Options) (string, error) {
	w := newWalker(rules.Load(), opts.withDefaults())
	err := w.walk(r)
	f := w.finish()
	text, jsonErr := json.MarshalIndent(f, "", " ")
	if jsonErr != nil {
		panic(jsonErr)
	}
	return fmt.Sprintf("%s\npaths %x", text, f.Paths), err
}

// JudgeArchives returns the findings of an image of these archives, again without
// goroutines.
func JudgeArchives(archives ...[]byte) ([]Finding, error) {
	in, layers, err := walkArchives(archives)
	if err != nil {
		return nil, err
	}
	return assemble(in, layers, mergedView(in, layers).all()), nil
}

func walkArchives(archives [][]byte) (in inspected, layers *view, err error) {
	var facts []*layerFacts
	for _, archive := range archives {
		w := newWalker(rules.Load(), Options{}.withDefaults())
		if err := w.walk(bytes.NewReader(archive)); err != nil {
			return in, nil, err
		}
		facts = append(facts, w.finish())
		in.layers = append(in.layers, layerRef{mediaType: types.OCIUncompressedLayer})
	}
	in.config = &v1.ConfigFile{}
	return in, newView(facts...), nil
}

// LoaderImage returns what the dynamic linker sees of an archive.
func LoaderImage(r io.Reader) (*loader.Image, error) {
	w := newWalker(rules.Load(), Options{}.withDefaults())
	err := w.walk(r)
	return newView(w.finish()).image(loader.Env{}), err
}

// Work judges an image of these archives, which starts what FuzzWork calls "run", and returns how many steps it took to put the
// layers together: paths that were looked up, and what package loader counts.
func Work(archives ...[]byte) (steps int, err error) {
	in, layers, err := walkArchives(archives)
	if err != nil {
		return 0, err
	}
	m := mergedView(in, layers)
	m.libcuda()
	s := m.scope()
	assemble(in, layers, m.all())
	demandOf(in, layers, s)
	st := newStarter(m, layers)
	st.start([]string{"run"}, true, 0)
	return layers.paths.steps + m.im.Steps() + layers.placed + st.places, nil
}

// SweepCache bounds a cache.
func SweepCache(dir string, most int64) { sweepCache(dir, most) }

// VersionedFiles returns the files that the version of the rules covers.
func VersionedFiles() (names []string) {
	eachVersioned(func(name string, _ []byte) { names = append(names, name) })
	return names
}
