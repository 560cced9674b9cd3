// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// code is this package's own sources and those below it. They are part of the rule set's version, so
// that facts that another version of the code has cached are never used: nobody has
// to remember to raise a number.
//
//go:embed *.go internal/*/*.go
var code embed.FS

// Rules about what a manifest or a policy says.
const (
	ruleMediaType = "media-type"
	ruleExpired   = "exception-expired"
	ruleUnmatched = "exception-unmatched"
)

// Rule is one kind of finding.
type Rule = rules.Rule

// Pattern is one way to recognise what a rule is about. The comments in internal/rules/*.yaml
// say what each field means for each kind.
type Pattern = rules.Pattern

// Rules returns the rule set, in the order of its files. The caller must not change it.
func Rules() []Rule { return rules.Load().List }

// RulesVersion identifies the rule set: a hash over the rule files and the
// sources of the code that applies them, package compat's among them.
func RulesVersion() string { return rulesVersion() }

var rulesVersion = sync.OnceValue(func() string {
	sum := sha256.New()
	eachVersioned(func(name string, data []byte) { _, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data) })
	return hex.EncodeToString(sum.Sum(nil))[:16]
})

// versioned is what the version of the rules is a hash of, by its folder in the module.
var versioned = []struct {
	dir   string
	files embed.FS
}{{"verify", code}, {"verify/internal/rules", rules.Files}, {"compat", compat.Sources}}

// eachVersioned calls do for the files, tests aside, in a fixed order.
func eachVersioned(do func(name string, data []byte)) {
	for _, v := range versioned {
		err := fs.WalkDir(v.files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
				return err
			}
			data, err := v.files.ReadFile(name)
			do(v.dir+"/"+name, data)
			return err
		})
		if err != nil {
			panic(err)
		}
	}
}
