// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
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
// a number. The error says why it has none.
var build = sync.OnceValues(func() (string, error) { return buildOf("/proc/self/exe") })

// buildOf identifies the program at name. Only the toolchain's own IDs say which code it is: hashes of what
// went in and of what came out, a/b/c/d. Another one (-ldflags=-buildid=release) may stand in many programs.
func buildOf(name string) (string, error) {
	program, err := elf.Open(name)
	if err != nil {
		return "", fmt.Errorf("the build ID of this program, by which facts are kept, cannot be read: %w", err)
	}
	defer program.Close()
	note := program.Section(".note.go.buildid")
	if note == nil {
		return "", errors.New("this program has no build ID, by which facts are kept")
	}
	data, err := note.Data()
	if err != nil {
		return "", fmt.Errorf("the build ID of this program, by which facts are kept, cannot be read: %w", err)
	}
	if id := noteText(data, program.ByteOrder); strings.Count(id, "/") != 3 {
		return "", fmt.Errorf("the build ID of this program, by which facts are kept, is not one of the Go toolchain: %q", id)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// noteText returns the description of an ELF note of the name "Go", which is 4 bytes long with its padding; "" if it is cut off.
func noteText(note []byte, order binary.ByteOrder) string {
	const head = 16 // sizes of name and description, type, name
	if len(note) < head || uint64(order.Uint32(note[4:])) > uint64(len(note)-head) {
		return ""
	}
	return string(note[head:][:order.Uint32(note[4:])])
}
