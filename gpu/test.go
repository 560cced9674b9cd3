// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/usertest"
)

// Test is what is run in an image, and how what it did is read: a sample, or a test of
// somebody's own.
type Test struct {
	Name   string
	Digest string        // of the definition of a test of one's own, "" for a sample
	Expect string        // the digest of what it expects, "" for a sample
	Run    []string      // in place of the image's own command; nil for that
	More   []string      // arguments after it
	GPUs   int           // how many of those that are chosen, [usertest.All] for all
	Limit  time.Duration // 0 for the usual one
	Read   func(Ended) Output
}

// Ended is what a program left that ended by itself.
type Ended struct {
	ExitCode       int
	Stdout, Stderr []byte
}

// Own reports whether it is no sample.
func (t Test) Own() bool { return t.Digest != "" }

// Sample is the sample of that name as a test, and whether there is one: it prints a document.
func Sample(name string) (Test, bool) {
	read := func(e Ended) Output {
		out, err := ParseOutput(name, e.Stdout)
		switch {
		case len(e.Stdout) == 0: // it did not come to that
			return Output{Result: Failed, Message: fmt.Sprintf("%s: %s", usertest.Ended(e.ExitCode), Tail(e.Stderr))}
		case err != nil:
			return Output{Result: Failed, Message: fmt.Sprintf("%s, %v: %s", usertest.Ended(e.ExitCode), err, Tail(e.Stderr))}
		case out.Result == Passed && e.ExitCode != 0:
			out.Result, out.Message = Failed, fmt.Sprintf("the sample says PASS and exits with %d", e.ExitCode)
		}
		return out
	}
	return Test{Name: name, More: []string{"--json"}, GPUs: usertest.All, Read: read}, slices.Contains(samples.Names(), name)
}

// Own is a test of somebody's own: it passes if it does what is expected of it.
func Own(t usertest.Test) Test {
	read := func(e Ended) Output {
		figures, why := t.Read(e.ExitCode, e.Stdout)
		out := Output{Result: Passed}
		for name, value := range figures {
			out.Figures.measured(name, value, t.Figures[name].Lower)
		}
		if why != "" {
			out.Result, out.Message = Failed, strings.TrimSuffix(why+": "+Tail(e.Stderr), ": ")
		}
		return out
	}
	return Test{Name: t.Name, Digest: t.Digest(), Expect: t.ExpectDigest(), Run: t.Run, GPUs: t.GPUs, Limit: t.Limit, Read: read}
}

// Tail is the end of what a program said.
func Tail(text []byte) string {
	s := strings.TrimSpace(string(text))
	return strings.ToValidUTF8(s[max(0, len(s)-400):], "")
}
