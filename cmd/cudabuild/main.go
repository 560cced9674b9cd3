// SPDX-License-Identifier: Apache-2.0

// Command cudabuild builds and verifies driver-agnostic CUDA images.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	routeLibraryLogs()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // most commands end before garbage matters
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
