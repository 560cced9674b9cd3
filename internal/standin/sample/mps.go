// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Under these names the program stands in for others.
const (
	nameControl = "nvidia-cuda-mps-control"
	nameNBody   = "nbody"
)

func mpsSocket() string { return filepath.Join(os.Getenv("CUDA_MPS_PIPE_DIRECTORY"), "control") }

// control is the daemon with -f, else the program that gives it commands.
func control() int {
	if len(os.Args) > 1 && os.Args[1] == "-f" {
		return daemon()
	}
	command, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	answer, err := ask(command)
	if err != nil {
		say("Cannot find MPS control daemon process")
		return 1
	}
	say(answer)
	return 0
}

func ask(command string) (string, error) {
	c, err := net.Dial("unix", mpsSocket()) //nolint:noctx // a stand-in on a socket of its own
	if err != nil {
		return "", err
	}
	defer c.Close()
	fmt.Fprintln(c, strings.TrimSpace(command))
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer), err
}

// daemon writes its log in the words of NVIDIA's, with a server from start_server on.
func daemon() int {
	l, err := net.Listen("unix", mpsSocket()) //nolint:noctx // as above
	if err != nil {
		say(err.Error())
		return 1
	}
	log, err := os.Create(filepath.Join(os.Getenv("CUDA_MPS_LOG_DIRECTORY"), "control.log")) //nolint:gosec // the test that starts it says where
	if err != nil {
		say(err.Error())
		return 1
	}
	server, clients := "", ""
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		command, _ := bufio.NewReader(c).ReadString('\n')
		switch command = strings.TrimSpace(command); {
		case command == "quit":
			return 0
		case strings.HasPrefix(command, "start_server"):
			server = "42"
		case strings.HasPrefix(command, "client"):
			clients += " 7"
			fmt.Fprintln(log, "NEW CLIENT 7 from user 0: Server already exists,", command)
		}
		if command == "get_client_list "+server {
			fmt.Fprintln(c, clients)
		} else {
			fmt.Fprintln(c, server)
		}
		_ = c.Close()
	}
}

// nbody prints nbody's document, after it has told the daemon, if there is one.
func nbody() {
	if _, err := os.Stat(mpsSocket()); err == nil {
		if _, err := ask("client of " + os.Getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE") + " percent"); err != nil {
			say(err.Error())
		}
	}
	data, _ := json.Marshal(map[string]any{
		"version": 1, "sample": "nbody", "result": "PASS", "error_code": 0, "error": nil, "libcuda_path": "/stand-in/libcuda.so.1",
		"bodies": 1000, "precision": "single", "gflops": 100, "interactions_per_second": 5e9,
	})
	say(string(data))
}
