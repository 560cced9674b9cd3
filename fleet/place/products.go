// SPDX-License-Identifier: Apache-2.0

package place

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// productsBut returns the labels of the known boards with GPUs of one of these majors and minors whose
// brand is none of the group's, sorted; nil if there is none, or brands do not matter.
func (g group) productsBut(majors, minors []string) (labels []string) {
	for _, board := range compat.Boards() {
		major, minor, _ := strings.Cut(board.GPU.Capability(), ".")
		wrong := g.Brands != nil && !slices.Contains(g.Brands, board.Brand)
		if wrong && slices.Contains(majors, major) && slices.Contains(minors, minor) {
			labels = append(labels, productLabels(board)...)
		}
	}
	slices.Sort(labels)
	return labels
}

// productLabels are those of a board: drivers of today put the maker before the name, older
// ones do not; and GPUs that pods share are marked.
func productLabels(b compat.Board) (labels []string) {
	for _, edition := range editions(b) {
		name := strings.ReplaceAll(spelled.Replace(series[b.Brand]+b.Name+edition), " ", "-")
		for _, label := range []string{name, "NVIDIA-" + name} {
			labels = append(labels, label, label+sharedSuffix)
		}
	}
	return labels
}

// series is what NVML has before the names of package compat.
var series = map[string]string{"geforce": "GeForce ", "tesla": "Tesla "}

// spelled are words that NVML writes otherwise.
var spelled = strings.NewReplacer("Super", "SUPER", "Titan", "TITAN")

// editions are what NVML has behind the name of a workstation's board.
func editions(b compat.Board) []string {
	switch {
	case strings.HasSuffix(b.Name, " Ada"):
		return []string{" Generation"}
	case strings.HasSuffix(b.Name, " Blackwell"):
		return []string{" Workstation Edition", " Server Edition", " Max-Q Workstation Edition"}
	}
	return []string{""}
}
