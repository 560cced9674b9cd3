// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/report"
)

// perBundle is how many images are unpacked at a time: enough for their words to be packed well, and unpacked in some milliseconds.
const perBundle = 48

// bundle is JSON in gzip in base64, which the script unpacks when it is asked for.
type bundle struct {
	ID   string // "data-grids", "data-packages", "data-images-0"
	Text template.HTML
}

// bundles are the details:
//
//	data-grids     what is needed to show the answers of other drivers and GPUs
//	data-packages  what packages there are, and which each layer brings
//	data-images-N  images as HTML, perBundle of them
func bundles(d *report.Document) ([]bundle, error) {
	var all []bundle
	add := func(id string, v any) error {
		b, err := pack(v)
		all = append(all, bundle{id, b})
		return err
	}
	if err := add("data-grids", gridsOf(d)); err != nil {
		return nil, err
	}
	if err := add("data-packages", packagesOf(d)); err != nil {
		return nil, err
	}
	v := viewer(d)
	for start := 0; start < len(d.Images); start += perBundle {
		var texts []string
		for i := start; i < min(start+perBundle, len(d.Images)); i++ {
			var b bytes.Buffer
			if err := pages.ExecuteTemplate(&b, "image", v.image(i)); err != nil {
				return nil, fmt.Errorf("page: image %s: %w", d.Images[i].ID, err)
			}
			texts = append(texts, plain.Text(b.String()))
		}
		if err := add(fmt.Sprintf("data-images-%d", start/perBundle), texts); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func pack(v any) (template.HTML, error) {
	var b bytes.Buffer
	to := base64.NewEncoder(base64.StdEncoding, &b)
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	e := json.NewEncoder(z)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	if err := to.Close(); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil //nolint:gosec // base64
}

// grids is the answers as the script wants them. Equal grids stand in it once.
type grids struct {
	Drivers [][]string `json:"drivers"` // branch, version, "ended" or "", "here" if a host has it or ""
	GPUs    [][]string `json:"gpus"`    // architecture, name, models that were seen
	Answers [][]any    `json:"answers"` // index into marks, verdict, why, indexes of rows
	Grids   [][]int    `json:"grids"`
	// Images have the index of the grid that is the worst of all platforms, and then that of each platform; -1 is none.
	Images [][]int `json:"images"`
}

func gridsOf(d *report.Document) grids {
	g := grids{}
	ranks := make([]int, len(d.Answers))
	for i, a := range d.Answers {
		ranks[i] = rank(a)
		g.Answers = append(g.Answers, []any{ranks[i], plain.Text(a.Verdict), plain.Text(a.Why), a.Rows})
	}
	for _, driver := range d.Drivers {
		ended, here := "", ""
		if driver.Ended {
			ended = "ended"
		}
		if len(driver.Hosts) > 0 {
			here = "here"
		}
		g.Drivers = append(g.Drivers, []string{plain.Text(driver.Branch), plain.Text(driver.Version), ended, here})
	}
	for _, gpu := range d.GPUs {
		g.GPUs = append(g.GPUs, []string{plain.Text(gpu.Arch), plain.Text(gpu.Name), plain.Text(list(gpu.Seen))})
	}
	known := map[string]int{}
	index := func(answers []int) int {
		if len(answers) == 0 {
			return -1
		}
		key := fmt.Sprint(answers)
		i, ok := known[key]
		if !ok {
			i = len(g.Grids)
			known[key], g.Grids = i, append(g.Grids, answers)
		}
		return i
	}
	for _, image := range d.Images {
		of := []int{index(merge(d, image, ranks))}
		for _, p := range image.Platforms {
			of = append(of, index(p.Grid))
		}
		g.Images = append(g.Images, of)
	}
	return g
}

// packages is what the layers bring. Equal packages stand in it once.
type packages struct {
	Packages [][4]string `json:"packages"` // name, version, architecture, manager
	Layers   [][]int     `json:"layers"`   // indexes into Packages
}

func packagesOf(d *report.Document) packages {
	var p packages
	known := map[report.Package]int{}
	for _, layer := range d.Layers {
		of := []int{}
		for _, pkg := range layer.Packages {
			i, ok := known[pkg]
			if !ok {
				i = len(p.Packages)
				known[pkg] = i
				p.Packages = append(p.Packages, [4]string{plain.Text(pkg.Name), plain.Text(pkg.Version), plain.Text(pkg.Arch), plain.Text(pkg.Manager)})
			}
			of = append(of, i)
		}
		p.Layers = append(p.Layers, of)
	}
	return p
}
