// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/verify"
	"github.com/cudabuild/cudabuild/verify/format"
)

// verifyFlags are the flags of `cudabuild verify`.
type verifyFlags struct {
	registryFlags

	asJSON       bool
	format       string
	allPlatforms bool
	platform     string
	cacheDir     string
	noCache      bool
	explain      string
	rules        bool
	nested       bool
	strict       bool
	policy       string
	attestations bool
	key          string
	require      string
	question     question
}

func newVerify() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE...",
		Short: "Judge images: is any piece of the NVIDIA driver in any layer?",
		Long: `Judge images: is any piece of the NVIDIA driver in any layer?

IMAGE is registry/repo:tag, registry/repo@sha256:..., oci:DIR[:TAG], oci-archive:FILE[:TAG]
or docker-archive:FILE[:REF]. oci:DIR without TAG is every image of the layout.

An image that cannot be read has the verdict unknown.
With --driver and --gpu it answers one question instead: will the image run there?
With --attestations it reads the evidence that is attached to an image in a registry.

What is known about a layer is kept, by its digest, its copy and the build of cudabuild;
the same build does not read again a copy that it knows. --no-cache reads every byte.

Exit code: 0 pass or warn, 1 fail, 2 usage, 3 unknown or could not check.
For the question: 0 it runs, 1 it does not, 3 it could not tell.
For evidence: 0 all is there and valid, 1 something is missing or does not hold, 3 it could
not be read.`,
		Example: `  cudabuild verify oci:out/images:12.4-base-debian13
  cudabuild verify --driver 535.161.07 --gpu sm_90 oci:out/images:12.4-nbody-debian13
  cudabuild verify --json --all-platforms registry.example.com/team/cuda:12.4-devel
  cudabuild verify --format sarif docker-archive:app.tar > app.sarif
  cudabuild verify --explain usr/lib/x86_64-linux-gnu/libcuda.so.1 docker-archive:app.tar
  cudabuild verify --nested --policy exceptions.yaml oci-archive:app.tar
  cudabuild verify --attestations --key cosign.pub registry.example.com/team/cuda:12.4-devel
  cudabuild verify --attestations --key cosign.pub --require matrix.yaml registry.example.com/team/cuda:12.4-devel
  cudabuild verify --rules`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.rules {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "text", "`FORM` of the answer: text, "+strings.Join(format.Names(), ", "))
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document, as --format json does")
	flags.BoolVar(&f.allPlatforms, "all-platforms", false, "judge every platform of an index")
	flags.StringVar(&f.platform, "platform", "", "the `OS/ARCH[/VARIANT]` to judge (default: of an index, linux on this machine's architecture)")
	flags.StringVar(&f.cacheDir, "cache-dir", userCache(), "`DIR` that keeps what is known about layers (env CUDABUILD_CACHE_DIR)")
	flags.BoolVar(&f.noCache, "no-cache", false, "read every layer, and keep nothing")
	flags.StringVar(&f.explain, "explain", "", "print all that each layer says about `PATH`, instead of a verdict")
	flags.BoolVar(&f.rules, "rules", false, "print the rules, and judge nothing")
	flags.BoolVar(&f.nested, "nested", false, "examine the content of packages, wheels and archives in layers too")
	flags.BoolVar(&f.strict, "strict", false, "deny CUDA's forward-compatibility package as well")
	flags.StringVar(&f.policy, "policy", "", "`FILE` with exceptions from the rules, each with an owner and a last day")
	flags.BoolVar(&f.attestations, "attestations", false, "read what is attached to the images and to those of all platforms, instead of a verdict")
	flags.StringVar(&f.key, "key", "", "public key in `FILE`, in PEM, that must have signed what --attestations reads")
	flags.StringVar(&f.require, "require", "", "`MATRIX` whose publish: must have let through what --attestations reads, or the digest of that policy, sha256:...")
	apart(cmd, "platform", "all-platforms")
	f.question.addFlags(cmd)
	f.addRegistry(cmd)
	apart(cmd, "json", "format")
	apart(cmd, "cache-dir", "no-cache")
	apart(cmd, "explain", "rules", "driver", "attestations")
	return cmd
}

// judging are the flags of who judges images.
var judging = []string{"platform", "all-platforms", "policy", "nested", "strict", "cache-dir", "no-cache"}

// userCache is where facts are kept; "" keeps none, where there is no home.
func userCache() string {
	if dir := os.Getenv("CUDABUILD_CACHE_DIR"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "cudabuild", "facts")
}

// check makes --json a format and refuses what does not go together.
func (f *verifyFlags) check() error {
	if f.asJSON {
		f.format = "json"
	}
	if f.platform != "" {
		if err := image.CheckPlatform(f.platform); err != nil {
			return err
		}
	}
	if _, err := f.question.host(); f.question.asked() && err != nil {
		return err
	}
	known := append([]string{"text"}, format.Names()...)
	switch {
	case !slices.Contains(known, f.format):
		return fmt.Errorf("--format %q: want one of %s", f.format, strings.Join(known, ", "))
	case (f.rules || f.explain != "" || f.question.asked()) && f.format != "text" && f.format != "json":
		return fmt.Errorf("--format %s is for verdicts; --rules, --explain and --driver know text and json", f.format)
	}
	return nil
}

func (f *verifyFlags) run(cmd *cobra.Command, refs []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.explain != "" && path.Clean("/"+f.explain) == "/" {
		return fmt.Errorf("--explain %q: want a path below the image's root, such as usr/lib/libcuda.so.1", f.explain)
	}
	judges := slices.IndexFunc(judging, cmd.Flags().Changed)
	switch {
	case f.attestations && judges >= 0:
		return fmt.Errorf("--%s judges images; it does not go with --attestations, which reads what is attached to all platforms", judging[judges])
	case f.key != "" && !f.attestations:
		return errors.New("--key says whose signatures --attestations takes")
	case f.require != "" && !f.attestations:
		return errors.New("--require says by which policy --attestations takes a summary; --policy has exceptions from the rules")
	case f.attestations:
		return f.readAttestations(cmd, refs)
	}
	opts := verify.Options{CacheDir: f.cacheDir, TempDir: heldIn(), Nested: f.nested, Strict: f.strict}
	if f.policy != "" {
		policy, err := verify.LoadPolicy(f.policy)
		if err != nil {
			return &exitError{code: exitUsage, err: err, hint: cmp.Or(hintOf(err), "docs/verify.md shows a policy file")}
		}
		opts.Policy = policy
	}
	if f.noCache {
		opts.CacheDir = ""
	}
	verifier := verify.New(opts)
	boundMemory(verifier.Memory())
	switch {
	case f.rules:
		return f.printRules(cmd.OutOrStdout())
	case f.explain != "":
		return f.explainPath(cmd, verifier, refs)
	}
	reports, problem := overImages(cmd.Context(), f, refs, verify.Unread, func(ctx context.Context, s image.Source) (verify.Report, error) {
		return verifier.Image(ctx, s.Ref, s.Image)
	})
	if f.question.asked() {
		return f.question.answer(cmd, f.format == "json", reports, problem)
	}
	if err := f.print(cmd, reports); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return verifyError(reports, problem)
}

// heldIn is the folder for what has to be read out of order: that of the state, if there is one
// to which this user may write, else that of temporary files, which may be in memory.
func heldIn() string {
	dir := defaultState()
	if unix.Access(dir, unix.W_OK) != nil {
		return ""
	}
	return dir
}

// boundMemory has garbage collected before it adds up; what is in use is bounded by
// the verifier itself. GOMEMLIMIT overrides it.
func boundMemory(bytes int64) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(bytes)
	}
}

// atOnce is how many references, and images of one, are looked at together. The
// layers wait for each other, the biggest first; this bounds the manifests at hand.
const atOnce = 16

// overImages calls look for every image behind refs and returns the answers in that
// order, those of unread for images that could not be read, and what went wrong.
func overImages[T any](ctx context.Context, f *verifyFlags, refs []string, unread func(ref string, err error) T, look func(context.Context, image.Source) (T, error)) ([]T, error) {
	perRef, problems := make([][]T, len(refs)), make([]error, len(refs))
	opts := image.OpenOptions{Platform: f.platform, AllPlatforms: f.allPlatforms, Registry: f.registry()}
	each(len(refs), func(i int) {
		sources, closer, err := image.Open(ctx, refs[i], opts)
		if err != nil {
			err = printable{err}
			perRef[i], problems[i] = []T{unread(refs[i], err)}, err
			return
		}
		defer closer.Close()
		errs := make([]error, len(sources))
		perRef[i] = make([]T, len(sources))
		each(len(sources), func(k int) {
			if perRef[i][k], errs[k] = look(ctx, sources[k]); errs[k] != nil {
				errs[k] = printable{errs[k]}
				perRef[i][k] = unread(sources[k].Ref, errs[k])
			}
		})
		problems[i] = errors.Join(errs...)
	})
	return slices.Concat(perRef...), errors.Join(problems...)
}

// each calls do for 0 to n-1, some at the same time, and waits for all.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

// verifyError maps verdicts and problems to an exit code: a leak that was seen
// counts more than an image that could not be.
func verifyError(reports []verify.Report, problem error) error {
	worst := &exitError{}
	if problem != nil {
		worst = &exitError{code: hint.Code(problem, exitUnknown), err: problem}
	}
	for _, r := range reports {
		switch {
		case r.Verdict == verify.Fail:
			worst.code = exitFailed
		case r.Verdict == verify.Unknown && worst.code == 0:
			worst.code = exitUnknown
		}
	}
	if worst.code == 0 {
		return nil
	}
	return worst
}

func (f *verifyFlags) print(cmd *cobra.Command, reports []verify.Report) error {
	if f.format == "text" {
		return verifyPage(cmd.OutOrStdout(), reports)
	}
	version, _ := buildVersion()
	return format.Write(cmd.OutOrStdout(), f.format, version, reports)
}
