// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// Policy is the exceptions that an organisation makes from the rules. Each has an
// owner and a last day; what has expired or matches nothing is reported.
type Policy struct {
	Version    int         `yaml:"version"` // 1
	Exceptions []Exception `yaml:"exceptions"`
}

// Exception lets findings of one rule at some paths pass.
type Exception struct {
	Rule string `yaml:"rule" json:"rule"`
	// Path is a pattern over the finding's path: * and ? stop at a slash, ** does not.
	Path    string `yaml:"path" json:"path"`
	Owner   string `yaml:"owner" json:"owner"`
	Reason  string `yaml:"reason" json:"reason"`
	Expires string `yaml:"expires" json:"expires"` // the last day it holds, YYYY-MM-DD, in UTC

	line int
	last time.Time
}

// LoadPolicy reads a policy from a regular file, as [files.Open] has it. Mistakes
// name the file and the line.
func LoadPolicy(file string) (*Policy, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	p, err := ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// ParsePolicy reads a policy. Unknown keys, unknown rules and fields left out are
// errors, all of them reported at once.
func ParsePolicy(data []byte) (*Policy, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var p Policy
	if err := dec.Decode(&p); err != nil {
		return nil, err
	}
	var problems []error
	if p.Version != 1 {
		problems = append(problems, fmt.Errorf("version is %d, want 1", p.Version))
	}
	for i := range p.Exceptions {
		if err := p.Exceptions[i].check(); err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", p.Exceptions[i].line, err))
		}
	}
	return &p, errors.Join(problems...)
}

// UnmarshalYAML implements yaml.Unmarshaler to keep the line and to refuse unknown keys,
// which a decoder does not pass on.
func (e *Exception) UnmarshalYAML(node *yaml.Node) error {
	fields := map[string]*string{"rule": &e.Rule, "path": &e.Path, "owner": &e.Owner, "reason": &e.Reason, "expires": &e.Expires}
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: an exception has the keys rule, path, owner, reason, expires", node.Line)
	}
	e.line = node.Line
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field := fields[key.Value]
		if field == nil {
			return fmt.Errorf("line %d: key %q: an exception has rule, path, owner, reason, expires, each once", key.Line, key.Value)
		}
		if value.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: %s is not a text", value.Line, key.Value)
		}
		*field = value.Value
		delete(fields, key.Value)
	}
	return nil
}

func (e *Exception) check() error {
	for _, f := range []struct{ name, value string }{{"rule", e.Rule}, {"path", e.Path}, {"owner", e.Owner}, {"reason", e.Reason}, {"expires", e.Expires}} {
		if strings.TrimSpace(f.value) == "" {
			return fmt.Errorf("the exception has no %s", f.name)
		}
	}
	if rules.Load().Find(e.Rule) == nil {
		return fmt.Errorf("no rule is called %q", e.Rule)
	}
	if _, err := path.Match(e.Path, ""); err != nil {
		return fmt.Errorf("path %q: %w", e.Path, err)
	}
	last, err := time.Parse(time.DateOnly, e.Expires)
	if err != nil {
		return fmt.Errorf("expires is %q, want a day such as 2027-01-31", e.Expires)
	}
	e.last = last
	return nil
}

// covers reports whether the exception is about the finding. One about a whole layer
// has no path and is never covered.
func (e *Exception) covers(f Finding) bool {
	return f.Rule == e.Rule && f.Path != "" && globMatch(strings.TrimPrefix(e.Path, "/"), f.Path)
}

// globMatch is path.Match with "**" for any number of path elements.
func globMatch(pattern, p string) bool {
	head, rest, more := strings.Cut(pattern, "/")
	if head == "**" {
		if !more {
			return true
		}
		for {
			if globMatch(rest, p) {
				return true
			}
			_, after, ok := strings.Cut(p, "/")
			if !ok {
				return false
			}
			p = after
		}
	}
	first, after, deeper := strings.Cut(p, "/")
	ok, _ := path.Match(head, first)
	if !ok || more != deeper {
		return ok && more && rest == "**" && !deeper
	}
	return !more || globMatch(rest, after)
}

// apply marks the findings that an exception covers and adds what there is to say
// about the exceptions themselves.
func (p *Policy) apply(findings []Finding, today time.Time) []Finding {
	if p == nil {
		return findings
	}
	for i := range p.Exceptions {
		e := &p.Exceptions[i]
		expired := today.After(e.last.AddDate(0, 0, 1))
		matched := false
		for k := range findings {
			if !e.covers(findings[k]) {
				continue
			}
			matched = true
			if !expired && findings[k].Exception == nil {
				findings[k].Exception, findings[k].Severity = e, SeverityInfo
			}
		}
		switch {
		case expired:
			findings = append(findings, e.finding(ruleExpired, "expired on "+e.Expires))
		case !matched:
			findings = append(findings, e.finding(ruleUnmatched, "matches nothing"))
		}
	}
	return findings
}

// finding is what there is to say about the exception itself.
func (e *Exception) finding(rule, what string) Finding {
	return Finding{
		Rule: rule, Severity: rules.Load().Severity(rule),
		Detail: fmt.Sprintf("exception for %s at %s, owner %s: %s", e.Rule, e.Path, e.Owner, what),
	}
}
