// SPDX-License-Identifier: Apache-2.0

package container

import "regexp"

// quoted is a name as the runtime writes it.
const quoted = `("(?:[^"\\]|\\.)*")`

// refusals are what a runtime says of a program that it cannot start, and that in words.
var refusals = []struct {
	says  *regexp.Regexp
	words string
}{
	{regexp.MustCompile(`exec: ` + quoted + `: executable file not found in \$PATH$`), "${1}: not found in the image's PATH"},
	{regexp.MustCompile(`exec: ` + quoted + `: stat .*: (?:no such file or directory|not a directory)$`), "${1}: not in the image"},
	{regexp.MustCompile(`exec: ` + quoted + `: (?:permission denied|is a directory)$`), "${1}: not executable"},
	{regexp.MustCompile(`exec (/.*): permission denied$`), `"${1}": not executable`},
	{regexp.MustCompile(`exec (/.*): exec format error$`), `"${1}": no program for this machine, and no script that names its interpreter`},
	{regexp.MustCompile(`exec (/.*): no such file or directory$`), `"${1}": its interpreter is not in the image`},
}

// InWords is what a runtime says in words, if it is that a program cannot be started.
func InWords(problem string) string {
	for _, r := range refusals {
		if found := r.says.FindStringSubmatchIndex(problem); found != nil {
			return string(r.says.ExpandString(nil, r.words, problem, found))
		}
	}
	return problem
}
