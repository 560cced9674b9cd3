// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/support"
	"github.com/cudabuild/cudabuild/verify"
)

// question is the one that --driver and --gpu ask.
type question struct{ driver, gpu, brand, hook string }

func (q *question) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&q.driver, "driver", "", "ask one question: does it run on driver `VERSION` (with --gpu)?")
	cmd.Flags().StringVar(&q.gpu, "gpu", "", "the GPU for --driver: a `NAME` such as A100 or \"RTX 4090\", sm_NN or a compute capability")
	cmd.Flags().StringVar(&q.brand, "brand", "", "the GPU's `BRAND` (tesla, nvidia, geforce, ...) if not that of the --gpu's name")
	cmd.Flags().StringVar(&q.hook, "hook", "cdi", "what brings the driver into containers: the `MODE` cdi or legacy of NVIDIA's toolkit")
	cmd.MarkFlagsRequiredTogether("driver", "gpu")
}

func (q *question) asked() bool {
	return q.driver != "" || q.gpu != "" || q.brand != "" || q.hook != "cdi"
}

// host is what the question is about.
func (q *question) host() (compat.Host, error) {
	board, err := q.board()
	hook, bad := compat.ParseHook(q.hook)
	switch {
	case bad != nil:
		return compat.Host{}, fmt.Errorf("--hook: %w", bad)
	case q.gpu == "":
		return compat.Host{}, errors.New("--brand and --hook go with --driver and --gpu")
	case !compat.IsVersion(q.driver):
		return compat.Host{}, fmt.Errorf("--driver %q is no driver version such as 535.161.07", q.driver)
	case err != nil:
		return compat.Host{}, err
	}
	return compat.Host{Driver: q.driver, GPU: board.GPU, Brand: board.Brand, Hook: hook}, nil
}

// spelling is how an architecture may begin: sm80, SM_80, compute_80.
var spelling = regexp.MustCompile(`^(sm|compute)[_-]?`)

// board is the GPU by its name or architecture. Of an architecture alone the brand is not
// known.
func (q *question) board() (compat.Board, error) {
	board, named := compat.BoardNamed(q.gpu)
	if !named {
		gpu, err := compat.ParseTarget(spelling.ReplaceAllString(strings.ToLower(q.gpu), "sm_"))
		if err != nil {
			if several := compat.BoardsLike(q.gpu); len(several) > 1 {
				return board, fmt.Errorf("--gpu %q is the name of several GPUs: %s", q.gpu, strings.Join(several, ", "))
			}
			return board, fmt.Errorf("--gpu %q is no GPU that is known (%s); its architecture will do, such as sm_90 or 9.0", q.gpu, suggest.Hint(q.gpu, compat.BoardNames()))
		}
		if gpu.Suffix != "" {
			return board, fmt.Errorf("--gpu %q: a GPU's architecture has no suffix", q.gpu)
		}
		board.GPU = gpu
	}
	if q.brand != "" {
		board.Brand = strings.ToLower(q.brand)
		if !slices.Contains(compat.Brands(), board.Brand) {
			return board, fmt.Errorf("--brand %q is none of NVIDIA's (%s)", q.brand, suggest.Hint(q.brand, compat.Brands()))
		}
	}
	return board, nil
}

// answersDocument is what verify --driver --gpu --json prints.
type answersDocument struct {
	Version int      `json:"version"` // 1
	Answers []answer `json:"answers"` // one an image; never null
}

// answer is the JSON of one answer.
type answer struct {
	Ref      string `json:"ref"`
	Digest   string `json:"digest"`
	Platform string `json:"platform"`
	Driver   string `json:"driver"`
	GPU      string `json:"gpu"`
	Brand    string `json:"brand"` // "" where it is not known
	Hook     string `json:"hook"`  // whose ways the answer follows: program, version and mode
	compat.Prediction
	// DriverEnds is until when NVIDIA maintains the branch of the driver, nil if that is not known. It
	// changes no verdict.
	DriverEnds *support.End `json:"driver_ends,omitempty"`
}

// answer prints the answer for each image. The exit code is that of the worst: 1 for
// one that does not run, 3 for one that it could not tell.
func (q *question) answer(cmd *cobra.Command, asJSON bool, reports []verify.Report, problem error) error {
	host, err := q.host()
	if err != nil {
		return err
	}
	answers := []answer{}
	worst := &exitError{}
	if problem != nil {
		worst = &exitError{code: hint.Code(problem, exitUnknown), err: problem}
	}
	for _, r := range reports {
		p := ofAnyBrand(host, r.Predict)
		answers = append(answers, answer{r.Ref, r.Digest, r.Platform, host.Driver, host.GPU.String(), host.Brand, host.Hook.String(), p, compat.DriverEnd(host.Driver)})
		switch {
		case p.Verdict == compat.No:
			worst.code = exitFailed
		case p.Verdict == compat.Unknown && worst.code == 0:
			worst.code = exitUnknown
		}
	}
	if err := printAnswers(cmd.OutOrStdout(), asJSON, answers); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	if worst.code == 0 {
		return nil
	}
	return worst
}

// ofAnyBrand predicts for a GPU of which only the architecture is known: what boards of all
// brands that have it come to, and unknown where that is not one thing.
func ofAnyBrand(host compat.Host, predict func(compat.Host) compat.Prediction) compat.Prediction {
	brands := compat.BrandsOf(host.GPU)
	if host.Brand != "" || len(brands) == 0 {
		return predict(host)
	}
	var first compat.Prediction
	for i, brand := range brands {
		host.Brand = brand
		p := predict(host)
		if i > 0 && inWords(p.Verdict) != inWords(first.Verdict) {
			return compat.Prediction{Verdict: compat.Unknown, Why: fmt.Sprintf("it depends on the GPU's brand, so name the GPU or --brand: with %s %s; with %s %s", brands[0], inShort(first), brand, inShort(p))}
		}
		if i == 0 {
			first = p
		}
	}
	return first
}

func inShort(p compat.Prediction) string {
	return fmt.Sprintf("%s (%s)", strings.ToLower(inWords(p.Verdict)), p.Why)
}

func printAnswers(w io.Writer, asJSON bool, answers []answer) error {
	if asJSON {
		return plain.JSON(w, answersDocument{1, answers})
	}
	var page bytes.Buffer
	for _, a := range answers {
		fmt.Fprintf(&page, "%s  %s\n  driver %s, %s, %s: %s\n  %s\n", inWords(a.Verdict), oneLine(a.Ref), a.Driver, strings.TrimSuffix(a.GPU+" "+a.Brand, " "), a.Hook, a.Verdict, foreign(a.Why))
		if end := a.DriverEnds; end != nil {
			fmt.Fprintf(&page, "  %s: %s (%s)\n", end.What, end.Until(), end.Source)
		}
	}
	_, err := w.Write(page.Bytes())
	return err
}

// inWords answers the question "does it run?".
func inWords(v compat.Verdict) string {
	switch {
	case v.Runs():
		return "RUNS"
	case v == compat.No:
		return "DOES NOT RUN"
	}
	return "UNKNOWN"
}

// portability prints what the image needs and where it is predicted to run.
func portability(w *bytes.Buffer, p verify.Portability) {
	if len(p.Predictions) == 0 {
		w.WriteString("\n  portability  no CUDA runtime and no device code was found, and nothing that asks for libcuda by name\n")
		cannotStart(w, p)
		hostLibraries(w, p)
		return
	}
	w.WriteString("\n  portability  predicted, not observed\n")
	if p.Program != "" {
		fmt.Fprintf(w, "    of %s and what it loads\n", oneLine(p.Program))
	}
	fmt.Fprintf(w, "    CUDA runtime %s", orNone(p.CUDARuntime))
	if p.MinDriver != "" {
		fmt.Fprintf(w, ", oldest driver %s", p.MinDriver)
		if p.MinDriverWhy != "" {
			fmt.Fprintf(w, " (before it: %s)", foreign(p.MinDriverWhy))
		}
	}
	if withCode(p) == 0 {
		w.WriteString("\n    no device code was found that limits the GPU\n")
	} else {
		fmt.Fprintf(w, "\n    machine code in all of %s for %s; PTX in all for %s\n", counted(withCode(p), "part"), orNone(strings.Join(p.SASS, " ")), orNone(strings.Join(p.PTX, " ")))
	}
	cannotStart(w, p)
	hostLibraries(w, p)
	lines := byGPU(p.Predictions)
	for _, line := range lines {
		fmt.Fprintf(w, "    %s\n", line)
	}
	if text := branchEnds(lines); text != "" {
		fmt.Fprintf(w, "    driver branches  %s\n", text)
	}
}

// namedDriver is a driver in a line of [byGPU].
var namedDriver = regexp.MustCompile(`from driver ([0-9.]+)`)

// branchEnds says until when the branches of the drivers in some lines are maintained, each once
// and the oldest first; it is empty if no end is known.
func branchEnds(lines []string) string {
	until := map[int]string{}
	for _, found := range namedDriver.FindAllStringSubmatch(strings.Join(lines, "\n"), -1) {
		if end := compat.DriverEnd(found[1]); end != nil {
			until[compat.Major(found[1])] = fmt.Sprintf("R%d %s", compat.Major(found[1]), end.Until())
		}
	}
	var words []string
	for _, major := range slices.Sorted(maps.Keys(until)) {
		words = append(words, until[major])
	}
	return strings.Join(words, ", ")
}

func cannotStart(w *bytes.Buffer, p verify.Portability) {
	if p.CannotStart != "" {
		fmt.Fprintf(w, "    cannot start: %s\n", foreign(p.CannotStart))
	}
	if p.Unbound != "" {
		fmt.Fprintf(w, "    %s\n", foreign(p.Unbound))
	}
}

// hostLibraries names what files ask of the host's driver by name.
func hostLibraries(w *bytes.Buffer, p verify.Portability) {
	for _, h := range p.HostLibraries {
		fmt.Fprintf(w, "    %s needs the driver's %s\n", oneLine(h.By), oneLine(h.Name))
	}
}

// withCode counts the parts with device code that predictions are about.
func withCode(p verify.Portability) int {
	n := 0
	for _, part := range p.Needs.Parts {
		if len(part.SASS)+len(part.PTX) > 0 {
			n++
		}
	}
	return n
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// byGPU makes one line for GPUs with the same answer: from which driver on it is
// which verdict.
func byGPU(predictions []verify.DriverGPU) []string {
	steps := map[string]string{} // GPU -> text
	last := map[string]compat.Verdict{}
	why := map[string]string{}
	var gpus []string
	for _, p := range predictions {
		if _, seen := last[p.GPU]; !seen {
			gpus = append(gpus, p.GPU)
		}
		if last[p.GPU] != p.Verdict {
			if p.Verdict.Runs() || steps[p.GPU] != "" {
				steps[p.GPU] += fmt.Sprintf(", %s from driver %s", p.Verdict, p.Driver)
			}
			last[p.GPU] = p.Verdict
		}
		why[p.GPU] = p.Why
	}
	var lines []string
	for len(gpus) > 0 {
		first := gpus[0]
		text := strings.TrimPrefix(steps[first], ", ")
		same := func(gpu string) bool { return steps[gpu] == steps[first] && (text != "" || why[gpu] == why[first]) }
		if text == "" {
			text = fmt.Sprintf("%s: %s", last[first], foreign(why[first]))
		}
		var names []string
		for _, gpu := range gpus {
			if same(gpu) {
				names = append(names, gpu)
			}
		}
		lines = append(lines, strings.Join(names, " ")+"  "+text)
		gpus = slices.DeleteFunc(gpus, same)
	}
	return lines
}

// foreign is oneLine for sentences that hold foreign names, which may be longer.
func foreign(s string) string {
	const most = 600
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// printable is an error in whose text a registry or an image may have had a say.
type printable struct{ error }

func (p printable) Error() string { return foreign(p.error.Error()) }
func (p printable) Unwrap() error { return p.error }
