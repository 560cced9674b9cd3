// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"os"

	"github.com/containerd/log"
	"google.golang.org/grpc/grpclog"
)

// rawLogs is the scripts' command `rawlogs [-vv]`: libraries say something on their own.
func rawLogs() {
	routeLibraryLogs()
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if len(os.Args) > 1 {
		options.Level = slog.LevelDebug
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, options)))
	log.L.WithField("ref", "layer-1").Error("words of containerd")
	log.L.Warn("a warning of containerd")
	grpclog.Error("words of gRPC")
}
