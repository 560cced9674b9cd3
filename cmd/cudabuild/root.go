// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/disk"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/registry"
)

// Exit codes, the same for every subcommand (docs/exit-codes.md).
const (
	exitFailed      = 1   // checked and failed
	exitUsage       = 2   // usage, or an invalid matrix
	exitUnknown     = 3   // could not check
	exitInterrupted = 130 // SIGINT or SIGTERM
)

// exitError carries the exit code of err, and what to do next if that is known.
// An empty err prints nothing: the answer is on stdout already.
type exitError struct {
	code    int
	err     error
	hint    string // in place of what err says itself
	program bool   // the code is that of a program that was run
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run executes one command line and returns the process's exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return conclude(ctx, usage(cmd, err), stderr)
}

// usage gives an error without a code of its own the code of a usage error: it comes
// from flags and arguments.
func usage(cmd *cobra.Command, err error) error {
	if coded := (*exitError)(nil); err == nil || errors.As(err, &coded) {
		return err
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) && path.Op == "write" || disk.Full(err) {
		return &exitError{code: exitUnknown, err: err} // the answer itself could not be written
	}
	return &exitError{code: exitUsage, err: err, hint: cmp.Or(hint.Of(err), "run '"+cmd.CommandPath()+" --help'")}
}

// unknown gives an error that kept a command from its work an exit code: its own, else 3.
func unknown(err error) error {
	if coded := (*exitError)(nil); err == nil || errors.As(err, &coded) {
		return err
	}
	return &exitError{code: hint.Code(err, exitUnknown), err: err}
}

// hintOf is what to do about an error: what is known of registries, or what it says itself.
func hintOf(err error) string {
	if text := cmp.Or(registry.Hint(err), hint.Of(err)); text != "" || !disk.Full(err) {
		return text
	}
	return disk.Hint
}

// conclude prints err with its hint and maps it to an exit code.
func conclude(ctx context.Context, err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	stderr = plain.To(stderr)
	coded := &exitError{code: exitUsage, err: err}
	errors.As(err, &coded)
	if ctx.Err() != nil && !coded.program {
		fmt.Fprintln(stderr, "cudabuild: interrupted")
		return exitInterrupted
	}
	if coded.err != nil {
		fmt.Fprintf(stderr, "cudabuild: error: %v\n", coded.err)
	}
	if text := cmp.Or(coded.hint, hintOf(coded.err)); text != "" {
		fmt.Fprintf(stderr, "cudabuild: hint: %s\n", text)
	}
	return coded.code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "cudabuild",
		Short:             "Build and verify driver-agnostic CUDA images",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	verbosity := root.PersistentFlags().CountP("verbose", "v", "say more on stderr (twice for all)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		levels := []slog.Level{slog.LevelWarn, slog.LevelInfo, slog.LevelDebug}
		options := &slog.HandlerOptions{Level: levels[min(*verbosity, len(levels)-1)]}
		slog.SetDefault(slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options)))
		return checkFlags(cmd)
	}
	root.AddCommand(newVersion())
	root.AddCommand(newVerify(), newEmit())
	root.AddCommand(newPlan(), newExplain(), newDiff())
	root.AddCommand(newMatrix(), newExport(), newPush(), newCopy(), newRetire(), newPrune(), newLock())
	root.AddCommand(newGPU(), newHost(), newInside(), newSchema())
	root.AddCommand(newFleet(), newRecipes(), newReport())
	running, verbose := newRun(), *root.PersistentFlags().Lookup("verbose")
	verbose.Shorthand = "" // there it is --volume's
	running.Flags().AddFlag(&verbose)
	root.AddCommand(running)
	return root
}
