// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nvidia

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/NVIDIA/nvidia-container-toolkit/pkg/nvcdi"
)

// Spec makes the CDI specification, as JSON, of the GPUs and slices with these UUIDs,
// which are the names of its devices. hook is the path of nvidia-cdi-hook.
func (d *Driver) Spec(uuids []string, hook string) ([]byte, error) {
	namer, err := nvcdi.NewDeviceNamer(nvcdi.DeviceNameStrategyUUID)
	if err != nil {
		return nil, err
	}
	options := []nvcdi.Option{
		nvcdi.WithMode(nvcdi.ModeNvml), nvcdi.WithNvmlLib(d.lib), nvcdi.WithDeviceNamers(namer),
		nvcdi.WithNVIDIACDIHookPath(hook), nvcdi.WithDriverRoot(d.root), nvcdi.WithLogger(logger{}),
		// It is asked for nothing that NVML does not know, and is broken in driver 565.
		nvcdi.WithFeatureFlags(nvcdi.FeatureDisableNvsandboxUtils),
	}
	if d.folder != "" {
		options = append(options, nvcdi.WithLibrarySearchPaths([]string{d.folder}))
	}
	lib, err := nvcdi.New(options...)
	if err != nil {
		return nil, fmt.Errorf("CDI specification: %w", err)
	}
	spec, err := lib.GetSpec(uuids...)
	switch slice := slices.IndexFunc(uuids, func(id string) bool { return strings.HasPrefix(id, "MIG-") }); {
	case err != nil && slice >= 0:
		return nil, fmt.Errorf("CDI specification of slice %s: %w (its nodes stand in /proc/driver/nvidia-caps/mig-minors of the host: see that nvidia-smi -L lists the slice)", uuids[slice], err)
	case err != nil:
		return nil, fmt.Errorf("CDI specification: %w", err)
	}
	return json.Marshal(spec.Raw())
}

// logger passes the library's words on. Its warnings are about optional files that
// are not there, so they are no warnings to our users.
type logger struct{}

func say(format string, args []any) {
	slog.Log(context.Background(), slog.LevelDebug, "nvcdi: "+fmt.Sprintf(format, args...))
}

func (logger) Debugf(string, ...any)               {}
func (logger) Tracef(string, ...any)               {}
func (logger) Infof(format string, args ...any)    { say(format, args) }
func (logger) Warningf(format string, args ...any) { say(format, args) }
func (logger) Errorf(format string, args ...any)   { say(format, args) }
