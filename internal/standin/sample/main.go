// SPDX-License-Identifier: Apache-2.0

// Command sample stands in for deviceQuery where there is no GPU: it prints the same
// document, made from the files that a runtime hook would have brought. Under other
// names it stands in for nbody and for the MPS control daemon. With an argument it does something else that tests of containers look at.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if filepath.Base(os.Args[0]) == nameControl {
		os.Exit(control()) //nolint:forbidigo // this is a program
	}
	switch os.Args[len(os.Args)-1] {
	case "sleep":
		time.Sleep(time.Hour)
	case "shout":
		line := []byte(strings.Repeat("x", 1<<20))
		for range 64 {
			_, _ = os.Stdout.Write(line)
		}
	case "confess":
		confess()
	case "compute":
		compute()
	case "seven":
		os.Exit(7) //nolint:forbidigo // this is a program
	default:
		if filepath.Base(os.Args[0]) == nameNBody {
			nbody()
			return
		}
		query()
	}
}

// compute maps the driver's library, as a program that uses the GPU does, and says a figure.
func compute() {
	found, _ := filepath.Glob("/usr/lib/x86_64-linux-gnu/libcuda.so.*.*")
	for _, file := range found {
		if f, err := os.Open(file); err == nil {
			_, _ = unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
		}
	}
	time.Sleep(500 * time.Millisecond)
	say("tflops=41.5")
	say("ok")
}

// confess says what the process may do.
func confess() {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		for _, key := range []string{"CapPrm", "CapBnd", "NoNewPrivs", "Seccomp:"} {
			if strings.HasPrefix(line, key) {
				say(strings.Join(strings.Fields(line), " "))
			}
		}
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		say("interface " + i.Name)
	}
	if os.WriteFile("/written", nil, 0o600) == nil {
		say("the root is writable")
	}
	if _, err := os.Open("/dev/mem"); !errors.Is(err, os.ErrNotExist) {
		say("there is a /dev/mem")
	}
	say("visible " + os.Getenv("NVIDIA_VISIBLE_DEVICES"))
}

var gpuNode = regexp.MustCompile(`^nvidia[0-9]+$`)

// query prints deviceQuery's document: a device for each node, and the driver's CUDA
// from the environment variable that the test has set.
func query() {
	doc := map[string]any{"version": 1, "sample": "deviceQuery", "result": "PASS", "error_code": 0, "error": nil, "driver_version": 13000, "runtime_version": 12040}
	var devices []map[string]any
	nodes, _ := os.ReadDir("/dev")
	for _, n := range nodes {
		if gpuNode.MatchString(n.Name()) {
			devices = append(devices, map[string]any{"name": "stand-in " + n.Name(), "uuid": nil})
		}
	}
	found, _ := filepath.Glob("/usr/lib/x86_64-linux-gnu/libcuda.so.*.*")
	if len(found) > 0 {
		doc["libcuda_path"] = found[0]
	}
	doc["devices"] = devices
	code := 0
	if len(devices) == 0 {
		doc["result"], doc["error_code"], doc["error"], doc["driver_version"] = "WAIVED", 35, "no driver", 0
		code = 2
	}
	data, _ := json.Marshal(doc)
	say(string(data))
	os.Exit(code) //nolint:forbidigo // this is a program
}

func say(line string) { fmt.Fprintln(os.Stdout, line) }
