// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// inRepository says where a file or folder is, from the top of the git repository that
// the current folder is in, or from the current folder if it is in none. What is outside
// is a usage error: another machine with the same repository would not have it.
func inRepository(path string) (string, error) {
	top, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if top, err = filepath.EvalSymlinks(top); err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	top = repositoryTop(top)
	below, err := filepath.Rel(top, path)
	if err != nil || !filepath.IsLocal(below) {
		return "", &exitError{
			code: exitUsage,
			err:  fmt.Errorf("--emit github: %s is not in %s", path, top),
			hint: "a workflow has only what is in its repository: move it there, or run cudabuild there",
		}
	}
	return filepath.ToSlash(below), nil
}

// repositoryTop returns the closest folder upwards that git keeps a repository in, and
// the folder itself if none does.
func repositoryTop(dir string) string {
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			return top
		}
		if top == filepath.Dir(top) {
			return dir
		}
	}
}
