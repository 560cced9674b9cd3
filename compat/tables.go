// SPDX-License-Identifier: Apache-2.0

package compat

// release is one CUDA release, its first driver, and the newest PTX ISA that this
// driver compiles.
type release struct{ cuda, driver, ptx string }

// releases has one row for each CUDA release, oldest first.
// Sources: CUDA release notes, table "CUDA Toolkit and Corresponding Driver
// Versions" (rows of the first general release); PTX ISA 9.4, table "PTX Release
// History". 6.5: release notes of that time. 12.7 was a driver only; of 13.4 only
// the branch is known.
var releases = []release{
	{"6.5", "340.29", "4.1"},
	{"7.0", "346.46", "4.2"},
	{"7.5", "352.31", "4.3"},
	{"8.0", "367.48", "5.0"},
	{"9.0", "384.81", "6.0"},
	{"9.1", "390.46", "6.1"},
	{"9.2", "396.26", "6.2"},
	{"10.0", "410.48", "6.3"},
	{"10.1", "418.39", "6.4"},
	{"10.2", "440.33", "6.5"},
	{"11.0", "450.51.05", "7.0"},
	{"11.1", "455.23", "7.1"},
	{"11.2", "460.27.03", "7.2"},
	{"11.3", "465.19.01", "7.3"},
	{"11.4", "470.42.01", "7.4"},
	{"11.5", "495.29.05", "7.5"},
	{"11.6", "510.39.01", "7.6"},
	{"11.7", "515.43.04", "7.7"},
	{"11.8", "520.61.05", "7.8"},
	{"12.0", "525.60.13", "8.0"},
	{"12.1", "530.30.02", "8.1"},
	{"12.2", "535.54.03", "8.2"},
	{"12.3", "545.23.06", "8.3"},
	{"12.4", "550.54.14", "8.4"},
	{"12.5", "555.42.02", "8.5"},
	{"12.6", "560.28.03", "8.5"},
	{"12.7", "565", "8.6"},
	{"12.8", "570.26", "8.7"},
	{"12.9", "575.51.03", "8.8"},
	{"13.0", "580.65.06", "9.0"},
	{"13.1", "590.44.01", "9.1"},
	{"13.2", "595.45.04", "9.2"},
	{"13.3", "610.43.02", "9.3"},
	{"13.4", "615", "9.4"},
}

// branch is a driver branch and the CUDA release that its drivers report.
type branch struct {
	major int
	cuda  string
	// listed branches are those that hosts stay on for long (long-term support and
	// production); a table of predictions has a column for each.
	listed bool
}

// branches is sorted. A major number in between belongs to the branch below it.
// Source: the rows of releases; 430, 435 and 565 from the drivers' own reports;
// "listed" from the data-center driver pages and NVIDIA's requirement strings. Of 620, a
// branch with long-term support, they do not say which release it is of: at least that of
// the branch before it.
var branches = []branch{
	{340, "6.5", true},
	{346, "7.0", false},
	{352, "7.5", false},
	{361, "8.0", false},
	{384, "9.0", true},
	{387, "9.1", false},
	{390, "9.1", true},
	{396, "9.2", false},
	{410, "10.0", false},
	{418, "10.1", true},
	{440, "10.2", true},
	{450, "11.0", true},
	{455, "11.1", false},
	{460, "11.2", true},
	{465, "11.3", false},
	{470, "11.4", true},
	{495, "11.5", false},
	{510, "11.6", true},
	{515, "11.7", true},
	{520, "11.8", false},
	{525, "12.0", true},
	{530, "12.1", false},
	{535, "12.2", true},
	{545, "12.3", false},
	{550, "12.4", true},
	{555, "12.5", false},
	{560, "12.6", false},
	{565, "12.7", false},
	{570, "12.8", true},
	{575, "12.9", false},
	{580, "13.0", true},
	{590, "13.1", true},
	{595, "13.2", true},
	{610, "13.3", true},
	{615, "13.4", false},
	{620, "", true},
}

// minorFloors maps a CUDA major release to the oldest Linux driver that runs every
// minor release of it (minor-version compatibility).
// Source: NVIDIA, CUDA Compatibility guide, "Minor Version Compatibility".
var minorFloors = map[int]string{
	11: "450.80.02",
	12: "525.60.13",
	13: "580.65.06",
}

// architecture is a GPU generation by its compute capability without the dot.
type architecture struct {
	sm   int
	name string
	// first and last are the driver branches that know it; last 0 means that none
	// has dropped it yet.
	first, last int
	// tegra parts (Jetson, DRIVE) have drivers of their own, and their SASS is not
	// compatible with that of other GPUs of the same major number.
	tegra bool
	// listed architectures have a row in a table of predictions.
	listed bool
}

// architectures is sorted by sm.
// Sources: data-center driver pages, architecture matrix (last); PTX ISA 9.4,
// table "PTX Release History", and nvcc's manual (first release of each target,
// hence its driver branch; before 340 where it is older than every table here).
var architectures = []architecture{
	{sm: 20, name: "Fermi", first: 340, last: 390},
	{sm: 21, name: "Fermi", first: 340, last: 390},
	{sm: 30, name: "Kepler", first: 340, last: 470},
	{sm: 32, name: "Tegra K1", tegra: true},
	{sm: 35, name: "Kepler", first: 340, last: 470, listed: true},
	{sm: 37, name: "Kepler", first: 340, last: 470},
	{sm: 50, name: "Maxwell", first: 340, last: 580},
	{sm: 52, name: "Maxwell", first: 340, last: 580, listed: true},
	{sm: 53, name: "Tegra X1", tegra: true},
	{sm: 60, name: "Pascal", first: 361, last: 580, listed: true},
	{sm: 61, name: "Pascal", first: 361, last: 580, listed: true},
	{sm: 62, name: "Tegra X2", tegra: true},
	{sm: 70, name: "Volta", first: 384, last: 580, listed: true},
	{sm: 72, name: "Xavier", tegra: true},
	{sm: 75, name: "Turing", first: 410, listed: true},
	{sm: 80, name: "Ampere", first: 450, listed: true},
	{sm: 86, name: "Ampere", first: 455, listed: true},
	{sm: 87, name: "Orin", tegra: true},
	{sm: 89, name: "Ada", first: 520, listed: true},
	{sm: 90, name: "Hopper", first: 520, listed: true},
	{sm: 100, name: "Blackwell", first: 570, listed: true},
	{sm: 101, name: "Thor", tegra: true},
	{sm: 103, name: "Blackwell", first: 575, listed: true},
	{sm: 110, name: "Thor", tegra: true},
	{sm: 120, name: "Blackwell", first: 570, listed: true},
	{sm: 121, name: "Blackwell", first: 575, listed: true},
}

// forwardBranches lists, by the CUDA release of a cuda-compat package, the driver
// branches that NVIDIA's own images with that package admit.
// Source: NVIDIA_REQUIRE_CUDA of nvidia/cuda, all variants of a release together
// (docs/portability.md). A release that is not here: every older branch.
var forwardBranches = map[string][]int{
	"10.0": {384},
	"10.1": {396, 410, 418},
	"10.2": {384, 396, 410, 418, 440},
	"11.0": {418},
	"11.1": {418, 450},
	"11.2": {418, 440, 450},
	"11.3": {418, 440, 450},
	"11.4": {418, 440, 450, 460},
	"11.5": {418, 440, 450, 460, 470},
	"11.6": {418, 440, 450, 460, 470},
	"11.7": {450, 470, 510},
	"11.8": {450, 470, 510, 515},
	"12.0": {450, 470, 510, 515},
	"12.1": {470, 525},
	"12.2": {470, 525},
	"12.3": {470, 525, 535},
	"12.4": {470, 525, 535},
	"12.5": {470, 535, 550},
	"12.6": {470, 535, 550},
	"12.8": {470, 535, 550, 560, 565},
	"12.9": {535, 550, 560, 565, 570},
	"13.0": {535, 550, 565, 570, 575},
	"13.1": {535, 550, 570, 575, 580},
	"13.2": {535, 570, 580, 590},
}
