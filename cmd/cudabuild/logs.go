// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"

	"github.com/containerd/log"
	"google.golang.org/grpc/grpclog"
)

// routeLibraryLogs hands what containerd, BuildKit and gRPC would write to stderr to
// slog, as debugging: what matters of it comes back as an error. Call it once, before
// anything else; these loggers belong to the whole process.
func routeLibraryLogs() {
	log.L.Logger.SetOutput(io.Discard)
	log.L.Logger.AddHook(libraryLog{})
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, libraryLog{}, io.Discard)) // the second takes errors too
}

// libraryLog is a hook of containerd's logger, and the writer of gRPC's.
type libraryLog struct{}

// Levels makes the hook see all that the logger lets through.
func (libraryLog) Levels() []log.Level {
	return []log.Level{log.PanicLevel, log.FatalLevel, log.ErrorLevel, log.WarnLevel, log.InfoLevel}
}

// Fire passes an entry on.
func (libraryLog) Fire(e *log.Entry) error {
	attrs := []any{"level", e.Level.String()}
	for key, value := range e.Data {
		attrs = append(attrs, key, value)
	}
	slog.Debug(e.Message, slog.Group("library", attrs...))
	return nil
}

func (libraryLog) Write(line []byte) (int, error) {
	slog.Log(context.Background(), slog.LevelDebug, string(bytes.TrimSpace(line)))
	return len(line), nil
}
