// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// LoaderImage returns what the dynamic linker sees of a layer.
func LoaderImage(f *layer.Facts) *loader.Image {
	return newLayers([]*layer.Facts{f}).image(loader.Env{})
}

// Work judges an image that starts "run", and returns how many steps it took: paths that were looked
// up, and what package loader counts.
func Work(m *Image) (steps int) {
	m.Libcuda()
	m.Whole()
	for i := range m.layers.facts {
		m.InLayer(i)
	}
	s := newStarter(m)
	s.start([]string{"run"}, true, 0)
	return m.layers.paths.steps + m.im.Steps() + m.layers.placed + s.places
}
