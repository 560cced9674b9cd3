// SPDX-License-Identifier: Apache-2.0

// Command sh is the whole user land of the root file system that the tests build
// on. As /bin/sh it runs the few commands that build steps use; what it installs
// are the packages of testdata/recipes.
package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	script, err := os.ReadFile(os.Args[len(os.Args)-1])
	check(err)
	for line := range strings.Lines(string(script)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "-exec":
		case words[0] == "find":
			seal()
		case words[0] == "install":
			for _, name := range strings.Fields(os.Getenv("PACKAGES")) {
				install(name)
			}
		case words[0] == "nvcc":
			copyFile(words[len(words)-1], words[len(words)-2])
		case words[0] == "cp":
			copyFile(words[1], words[2])
		default:
			check(fmt.Errorf("sh: unknown command %q", line))
		}
	}
}

func install(name string) {
	fmt.Println("unpacking", name)
	check(os.MkdirAll("/packages", 0o755))
	name, port, _ := strings.Cut(name, "-at-")
	file := "/packages/" + name
	switch name {
	case "broken":
		fmt.Fprintln(os.Stderr, "E: nobody made package broken")
		os.Exit(100)
	case "broken-on-386":
		if runtime.GOARCH == "386" {
			fmt.Fprintln(os.Stderr, "E: nobody made that for 386")
			os.Exit(100)
		}
	case "moved", "down": // in apt's words
		why := map[string]string{"moved": "404  Not Found", "down": "503  Service Unavailable"}[name]
		fmt.Fprintf(os.Stderr, "E: Failed to fetch http://own.example/pool/%s_1.2-3_amd64.deb  %s [IP: 10.0.0.1 80]\n", name, why)
		fmt.Fprintln(os.Stderr, "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?")
		os.Exit(100)
	case "by-proxy": // of a mirror whose name only a proxy knows
		check(byProxy("http://mirror.invalid/pool/by-proxy"))
	case "slow":
		fmt.Println("sleeping now")
		time.Sleep(time.Hour)
	case "awaiting": // the test that listens there, which says when to go on
		check(await(port))
	case "large": // and not compressible
		data := make([]byte, 128<<20)
		_, _ = rand.NewChaCha8([32]byte{}).Read(data)
		check(os.WriteFile(file, data, 0o644))
		return
	}
	check(os.WriteFile(file, []byte(name+"\n"), 0o644))
}

func await(port string) error {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer conn.Close()
	if word, err := io.ReadAll(conn); err != nil || string(word) != "go" {
		return fmt.Errorf("the test says %q, %w", word, err)
	}
	return nil
}

func byProxy(address string) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(os.Getenv("http_proxy"), "http://"))
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", address)
	answer, err := io.ReadAll(conn)
	if err == nil && (!strings.Contains(string(answer), " 200 ") || os.Getenv("HTTP_PROXY") == "" || os.Getenv("no_proxy") != "own.example") {
		err = fmt.Errorf("the proxy says %q", answer)
	}
	return err
}

// seal gives what is newer than EPOCH that time, so that the same step gives the same layer.
func seal() {
	seconds, err := strconv.ParseInt(os.Getenv("EPOCH"), 10, 64)
	check(err)
	epoch := time.Unix(seconds, 0)
	check(filepath.WalkDir("/", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || slices.Contains([]string{"/dev", "/proc", "/sys", "/run", "/etc"}, path) {
			return cmp.Or(err, fs.SkipDir)
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(epoch) {
			err = os.Chtimes(path, epoch, epoch)
		}
		return err
	}))
}

func copyFile(from, to string) {
	fmt.Println("copying", from)
	if strings.HasSuffix(to, "/") {
		to = filepath.Join(to, filepath.Base(from))
	}
	r, err := os.Open(from)
	check(err)
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	check(err)
	_, err = io.Copy(w, r)
	check(err)
	check(w.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
