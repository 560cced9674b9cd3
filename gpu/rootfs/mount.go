// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxStack is how many folders are mounted as one root. Their names have to fit into a
// page of memory; docker's images have up to 127 layers.
const maxStack = 150

// Mount mounts r on target. What is written there goes to the folder it returns, in the
// folder scratch, which has to be empty.
func (r Root) Mount(target, scratch string) (upper string, err error) {
	upper = filepath.Join(scratch, "upper")
	if err := errors.Join(mkdir(upper), os.Mkdir(filepath.Join(scratch, "work"), 0o755)); err != nil {
		return "", err
	}
	at, err := unix.Open(scratch, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(at)
	short := fmt.Sprintf("/proc/self/fd/%d/", at)
	lower := make([]string, len(r))
	for i, dir := range r {
		name := strconv.Itoa(i)
		if err := os.Symlink(dir, filepath.Join(scratch, name)); err != nil {
			return "", err
		}
		lower[i] = short + name
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%supper,workdir=%swork", strings.Join(lower, ":"), short, short)
	for _, feature := range []string{"metacopy", "redirect_dir"} { // with which upper has parts of files and folders
		if _, err := os.Stat("/sys/module/overlay/parameters/" + feature); err == nil {
			options += "," + feature + "=off"
		}
	}
	return upper, os.NewSyscallError("mount", unix.Mount("overlay", target, "overlay", unix.MS_NOSUID, options))
}
