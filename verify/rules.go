// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

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

// RulesVersion identifies the rule set: a hash over the rule files. What the code makes of them
// goes by the version of cudabuild.
func RulesVersion() string { return rules.Load().Version }

// build identifies this program, all of its code, by the build ID that the Go toolchain
// notes in it, so that facts that another build has cached are never used: nobody has to remember to raise
// a number. It is "" if the program was built without one.
var build = sync.OnceValue(func() string {
	program, err := elf.Open("/proc/self/exe")
	if err != nil {
		return ""
	}
	defer program.Close()
	note := program.Section(".note.go.buildid")
	if note == nil {
		return ""
	}
	id, err := note.Data()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:8])
})
