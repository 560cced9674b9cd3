// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/session"
)

// gpuList is the value of --gpus: all, none, or names with commas. It takes docker's spelling, too.
type gpuList string

// Set reads "0,1" and "all" as well as docker's device=0, "device=0,1" with its own quotes, count=all,
// and driver=nvidia and capabilities=... beside them.
func (l *gpuList) Set(text string) error {
	if !strings.Contains(text, "=") {
		return l.choose(strings.Split(text, ","))
	}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	var names []string
	for _, field := range fields {
		key, value, set := strings.Cut(field, "=")
		switch {
		case !set && len(names) > 0, !set && field == "all": // device=0,1 without docker's quotes
			names = append(names, field)
		case key == "device" && value == "":
			return fmt.Errorf("%q names no GPU: want device=LIST", field)
		case key == "device":
			names = append(names, value)
		case key == "count" && (value == "all" || value == "-1"):
			names = append(names, "all")
		case key == "count", !set:
			return fmt.Errorf("%q: a number of any GPUs cannot be asked for: name them, as in --gpus 0,1", field)
		case key == "driver" && (value == "nvidia" || value == "cdi"), key == "capabilities": // all of the driver comes
		default:
			return fmt.Errorf("%q: want device=LIST, count=all, driver=nvidia or capabilities=LIST", field)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%q names no GPU: want all or device=LIST", text)
	}
	return l.choose(names)
}

// choose takes names that mean one thing together: all and none stand alone, and no name is empty.
func (l *gpuList) choose(names []string) error {
	list := strings.Join(names, ",")
	names = strings.Split(list, ",") // device=0,1 in quotes is one field
	for _, name := range names {
		switch name = strings.TrimSpace(name); {
		case name == "" && list != "":
			return fmt.Errorf("%q: there is an empty name in it", list)
		case len(names) > 1 && slices.Contains([]string{"all", "none", "void"}, name):
			return fmt.Errorf("%q: %s stands alone", list, name)
		}
	}
	*l = gpuList(list)
	return nil
}

func (l *gpuList) String() string { return string(*l) }

// Type names the value in help.
func (*gpuList) Type() string { return "LIST" }

// cdiKind begins docker's --device of a GPU.
const cdiKind = "nvidia.com/gpu="

// addDevice is what --device does: with GPUs what --gpus does, and nothing else.
func (f *runFlags) addDevice(text string) error {
	name, isGPU := strings.CutPrefix(text, cdiKind)
	if !isGPU || slices.Contains([]string{"", "none", "void"}, name) || strings.Contains(name, ",") {
		return fmt.Errorf("%q: containers get GPUs and no other device: want nvidia.com/gpu=all, an index or a UUID", text)
	}
	if f.devices = append(f.devices, name); slices.Contains(f.devices, "all") {
		f.devices = []string{"all"}
	}
	f.gpus = gpuList(strings.Join(f.devices, ","))
	return nil
}

// habits reads what users of docker write besides.
func (f *runFlags) habits(r *session.Request) error {
	if f.cmd.Flags().Changed("gpus") && len(f.devices) > 0 {
		return errors.New("--gpus and --device both choose GPUs: say one of them")
	}
	switch f.ipc {
	case "", "private", "shareable":
	case "host":
		if !r.Engine.OfDaemon() {
			return errors.New("--ipc host: the container has a namespace of its own, in that of the run; /dev/shm has half of the memory there: leave it out, or say --shm-size")
		}
		r.Open.HostIPC = true
	default:
		return fmt.Errorf("--ipc %q: want private or host", f.ipc)
	}
	if f.runtime != "" && !strings.HasPrefix(f.runtime, "nvidia") {
		return fmt.Errorf("--runtime %q: want nvidia, which brings the driver; it is what run does by itself", f.runtime)
	}
	if f.shm != "" {
		var err error
		if r.Open.ShmBytes, err = parseSize(f.shm); err != nil || r.Open.ShmBytes <= 0 {
			return fmt.Errorf("--shm-size %q: want a size such as 64m or 8g", f.shm)
		}
	}
	for _, text := range f.ulimits {
		l, err := parseUlimit(text)
		if err != nil {
			return fmt.Errorf("--ulimit %q: %w", text, err)
		}
		r.Bounds.Ulimits = append(r.Bounds.Ulimits, l)
	}
	return nil
}

// parseUlimit reads NAME=SOFT[:HARD].
func parseUlimit(text string) (l container.Ulimit, err error) {
	name, values, _ := strings.Cut(text, "=")
	if !slices.Contains(container.Ulimits, name) {
		return l, fmt.Errorf("want NAME=SOFT[:HARD] with one of %s", strings.Join(container.Ulimits, ", "))
	}
	soft, hard, two := strings.Cut(values, ":")
	if !two {
		hard = soft
	}
	var err1, err2 error
	l.Name = name
	l.Soft, err1 = strconv.ParseInt(soft, 10, 64)
	l.Hard, err2 = strconv.ParseInt(hard, 10, 64)
	switch {
	case err1 != nil || err2 != nil || l.Soft < -1 || l.Hard < -1:
		return l, errors.New("want numbers, -1 for no bound")
	case l.Hard != -1 && (l.Soft == -1 || l.Soft > l.Hard):
		return l, errors.New("the soft bound is above the hard one")
	}
	return l, nil
}
