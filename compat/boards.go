// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"regexp"
	"slices"
	"strings"
)

// Board is a product with a GPU.
type Board struct {
	// Name is the product's name without its maker's, "A100" or "GeForce RTX 4090".
	Name string
	GPU  Target
	// Brand is the brand that NVML reports, as NVIDIA_REQUIRE_* spells it. Containers
	// with cuda-compat fail with error 804 on brands that are not for data centers.
	Brand string
}

// Brands are the words that NVML has for brands, as NVIDIA_REQUIRE_* spells them.
// Source: libnvidia-container src/driver.c.
func Brands() []string {
	return []string{
		"cloudgaming", "geforce", "geforcertx", "grid", "nvidia", "nvidiartx", "nvs", "quadro", "quadrortx", "tesla", "titan", "titanrtx",
		"unknown", "vapps", "vcs", "vpc", "vws",
	}
}

// series are boards of one architecture and brand, by name. "GeForce" and the like are
// left out where the rest is a name by itself.
// Sources: CUDA GPUs page (compute capability). Brands were compared with NVML only of A100,
// A30, H100, H200 and B200, in go-nvml's tables; the others follow from what NVIDIA calls
// the product, and a driver may say otherwise: --brand is for that. Boards of the old brand
// Tesla may say NVIDIA on new drivers.
var series = []struct {
	sm    int
	brand string
	names []string
}{
	{35, "tesla", []string{"K20", "K20X", "K40"}},
	{37, "tesla", []string{"K80"}},
	{50, "geforce", []string{"GTX 750", "GTX 750 Ti", "GTX 950M", "GTX 960M"}},
	{52, "tesla", []string{"M4", "M6", "M10", "M40", "M60"}},
	{52, "geforce", []string{"GTX 950", "GTX 960", "GTX 970", "GTX 980", "GTX 980 Ti", "GTX Titan X"}},
	{60, "tesla", []string{"P100"}},
	{60, "quadro", []string{"Quadro GP100"}},
	{61, "tesla", []string{"P4", "P6", "P40"}},
	{61, "geforce", []string{"GT 1030", "GTX 1050", "GTX 1050 Ti", "GTX 1060", "GTX 1070", "GTX 1070 Ti", "GTX 1080", "GTX 1080 Ti"}},
	{61, "titan", []string{"Titan X", "Titan Xp"}},
	{61, "quadro", []string{"Quadro P1000", "Quadro P2000", "Quadro P4000", "Quadro P5000", "Quadro P6000"}},
	{70, "tesla", []string{"V100"}},
	{70, "titan", []string{"Titan V"}},
	{70, "quadro", []string{"Quadro GV100"}},
	{75, "tesla", []string{"T4"}},
	{75, "quadro", []string{"T400", "T600", "T1000"}},
	{75, "geforce", []string{
		"MX450", "GTX 1650", "GTX 1650 Ti", "GTX 1650 Super", "GTX 1660", "GTX 1660 Super", "GTX 1660 Ti", "RTX 2060", "RTX 2060 Super", "RTX 2070", "RTX 2070 Super", "RTX 2080", "RTX 2080 Super", "RTX 2080 Ti",
	}},
	{75, "titan", []string{"Titan RTX"}},
	{75, "quadrortx", []string{"Quadro RTX 3000", "Quadro RTX 4000", "Quadro RTX 5000", "Quadro RTX 6000", "Quadro RTX 8000"}},
	{80, "nvidia", []string{"A100", "A100X", "A800", "A30", "A30X"}},
	{86, "nvidia", []string{"A2", "A10", "A10G", "A16", "A40"}},
	{86, "geforce", []string{"RTX 3050", "RTX 3060", "RTX 3060 Ti", "RTX 3070", "RTX 3070 Ti", "RTX 3080", "RTX 3080 Ti", "RTX 3090", "RTX 3090 Ti"}},
	{86, "nvidiartx", []string{"RTX A2000", "RTX A4000", "RTX A4500", "RTX A5000", "RTX A5500", "RTX A6000"}},
	{87, "", []string{"Orin", "Jetson AGX Orin", "Jetson Orin NX", "Jetson Orin Nano"}},
	{89, "nvidia", []string{"L2", "L4", "L20", "L40", "L40S"}},
	{89, "geforce", []string{
		"RTX 4050", "RTX 4060", "RTX 4060 Ti", "RTX 4070", "RTX 4070 Super", "RTX 4070 Ti", "RTX 4070 Ti Super", "RTX 4080", "RTX 4080 Super", "RTX 4090", "RTX 4090 D",
	}},
	{89, "nvidiartx", []string{"RTX 2000 Ada", "RTX 4000 Ada", "RTX 4000 SFF Ada", "RTX 4500 Ada", "RTX 5000 Ada", "RTX 5880 Ada", "RTX 6000 Ada"}},
	{90, "nvidia", []string{"H100", "H200", "H800", "H20", "H20-3e", "GH200"}},
	{100, "nvidia", []string{"B100", "B200", "GB200"}},
	{103, "nvidia", []string{"B300", "GB300"}},
	{110, "", []string{"Thor", "Jetson AGX Thor", "Jetson Thor"}},
	{120, "geforce", []string{"RTX 5050", "RTX 5060", "RTX 5060 Ti", "RTX 5070", "RTX 5070 Ti", "RTX 5080", "RTX 5090", "RTX 5090 D"}},
	{120, "nvidiartx", []string{"RTX PRO 4000 Blackwell", "RTX PRO 4500 Blackwell", "RTX PRO 5000 Blackwell", "RTX PRO 6000 Blackwell"}},
	{121, "nvidia", []string{"GB10"}},
}

// BoardNamed finds a board by its name, with or without its maker's, its series', its
// memory and its form, or a part of one: "a100", "RTX 4090", "NVIDIA A100-SXM4-80GB", "Tesla T4",
// "NVIDIA A10-24Q" of a virtual GPU, "NVIDIA A100-SXM4-40GB MIG 1g.5gb". A virtual GPU's
// brand is that of the software, which its last letter names.
func BoardNamed(name string) (b Board, ok bool) {
	name = partOf.ReplaceAllString(name, "")
	virtual := virtualGPU.FindStringSubmatch(name)
	if virtual != nil {
		name = virtual[1]
	}
	b, ok = physical(name)
	if ok && virtual != nil {
		b.Brand = virtualBrands[strings.ToLower(virtual[2])]
	}
	return b, ok
}

func physical(name string) (b Board, ok bool) {
	for _, s := range series {
		i := slices.IndexFunc(s.names, func(n string) bool { return plain(n) == plain(name) })
		if i >= 0 {
			return Board{s.names[i], Target{SM: s.sm}, s.brand}, true
		}
	}
	return Board{}, false
}

// BrandsOf returns the brands of the known boards with a GPU, each once, sorted.
func BrandsOf(gpu Target) (brands []string) {
	for _, s := range series {
		if s.sm == gpu.SM {
			brands = append(brands, s.brand)
		}
	}
	slices.Sort(brands)
	return slices.Compact(brands)
}

// BoardsLike returns the names of boards that a name stands for without their series:
// "RTX 6000" is that of three.
func BoardsLike(name string) (names []string) {
	short := func(n string) string {
		return strings.NewReplacer("quadro", "", "ada", "", "pro", "").Replace(workstation.ReplaceAllString(plain(n), "rtx$1"))
	}
	for _, n := range BoardNames() {
		if plain(name) != "" && short(n) == plain(name) {
			names = append(names, n)
		}
	}
	return names
}

// Boards are those that BoardNamed knows, by architecture.
func Boards() (all []Board) {
	for _, s := range series {
		for _, name := range s.names {
			all = append(all, Board{name, Target{SM: s.sm}, s.brand})
		}
	}
	return all
}

// BoardNames are the names that BoardNamed knows, in their shortest form.
func BoardNames() (names []string) {
	for _, s := range series {
		names = append(names, s.names...)
	}
	return names
}

// virtualBrands are by the last letter of a virtual GPU's name.
// Source: NVIDIA, Virtual GPU Software User Guide, "Virtual GPU Types".
var virtualBrands = map[string]string{"a": "vapps", "b": "vpc", "c": "vcs", "q": "vws"}

var (
	wordless = regexp.MustCompile(`[^a-z0-9]+`)
	// partOf is a MIG device's profile behind the GPU's name, virtualGPU the name of a
	// virtual GPU: "NVIDIA A16-2Q", "GRID A100-40C", "GRID A100D-1-10C".
	partOf     = regexp.MustCompile(`(?i) (MIG )?[0-9]g\.[0-9]+gb(\+[a-z.]+)*$`)
	virtualGPU = regexp.MustCompile(`(?i)^(?:nvidia |grid )*([a-z]+[0-9]+[a-z]*?)(?:d[xs]?|x)?(?:-[0-9])?-[0-9]+([abcq])$`)
	// workstation is a name of a workstation part without the letters before it.
	workstation = regexp.MustCompile(`^a([0-9]{4})$`)
	// family is what may stand before a name that has a letter of its own: "RTX A6000".
	family = regexp.MustCompile(`^(?:quadro)?(?:rtx)?([agkmpt][a-z]?[0-9]+[a-z]*)$`)
	// aside is what product names have around the name.
	aside = regexp.MustCompile(`^(nvidia|tesla|geforce|sxm[0-9]?|pcie?|nvl|hbm[0-9]e?|[0-9]+gb?|ac|nvgpu|laptop|gpu|generation|edition|workstation|server|superchip|with|max|q|design|pascal|blackwell)$`)
)

// plain is a name without case, blanks and what surrounds it.
func plain(name string) string {
	words := wordless.Split(strings.ToLower(name), -1)
	return family.ReplaceAllString(strings.Join(slices.DeleteFunc(words, aside.MatchString), ""), "$1")
}
