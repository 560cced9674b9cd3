// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// scope has the contexts of an expression by their names: "github", "matrix" and so on.
// Values are nil, bool, float64, string, []any and map[string]any, as in JSON.
type scope map[string]any

var filled = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// fill replaces every ${{ }} of a text. A text that is one expression becomes its value.
func (s scope) fill(text string) (any, error) {
	if m := filled.FindStringSubmatch(text); m != nil && m[0] == strings.TrimSpace(text) {
		return s.evaluate(m[1])
	}
	var failed error
	return filled.ReplaceAllStringFunc(text, func(found string) string {
		value, err := s.evaluate(filled.FindStringSubmatch(found)[1])
		failed = errors.Join(failed, err)
		return asText(value)
	}), failed
}

// fillAll replaces the expressions of all texts in a value of YAML.
func (s scope) fillAll(value any) (any, error) {
	switch v := value.(type) {
	case string:
		return s.fill(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = s.fillAll(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		all := map[string]any{}
		for key := range v {
			var err error
			if all[key], err = s.fillAll(v[key]); err != nil {
				return nil, err
			}
		}
		return all, nil
	case int:
		return float64(v), nil
	}
	return value, nil
}

// holds is what an `if:` says. One that asks for no status asks for success.
func (s scope) holds(condition string, success bool) (bool, error) {
	condition = strings.TrimSpace(condition)
	if m := filled.FindStringSubmatch(condition); m != nil && m[0] == condition {
		condition = m[1]
	}
	status := scope{"success": success}
	for name, value := range s {
		status[name] = value
	}
	if condition == "" {
		return success, nil
	}
	value, err := status.evaluate(condition)
	if err == nil && !regexp.MustCompile(`\b(always|success|failure|cancelled)\(`).MatchString(condition) {
		return success && truth(value), nil
	}
	return truth(value), err
}

func (s scope) evaluate(text string) (any, error) {
	p := &parser{scope: s, tokens: tokens.FindAllString(text, -1)}
	value, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is left", p.tokens[0])
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", strings.TrimSpace(text), err)
	}
	return value, nil
}

var tokens = regexp.MustCompile(`'(?:[^']|'')*'|\|\||&&|[=!]=|[!().,\[\]]|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z_][A-Za-z0-9_-]*|\*|[^\s]`)

// parser is a recursive descent through the tokens that are left.
type parser struct {
	scope  scope
	tokens []string
}

func (p *parser) take(token string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != token {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *parser) or() (any, error) {
	value, err := p.and()
	for err == nil && p.take("||") {
		var right any
		if right, err = p.and(); !truth(value) {
			value = right
		}
	}
	return value, err
}

func (p *parser) and() (any, error) {
	value, err := p.comparison()
	for err == nil && p.take("&&") {
		var right any
		if right, err = p.comparison(); truth(value) {
			value = right
		}
	}
	return value, err
}

func (p *parser) comparison() (any, error) {
	value, err := p.unary()
	if err != nil || len(p.tokens) == 0 || p.tokens[0] != "==" && p.tokens[0] != "!=" {
		return value, err
	}
	want := p.next() == "=="
	right, err := p.unary()
	return equal(value, right) == want, err
}

func (p *parser) unary() (any, error) {
	if p.take("!") {
		value, err := p.unary()
		return !truth(value), err
	}
	value, err := p.primary()
	for err == nil {
		switch {
		case p.take("."):
			value = member(value, p.next())
		case p.take("["):
			var key any
			if key, err = p.or(); err == nil && !p.take("]") {
				err = errors.New("no ]")
			}
			value = member(value, asText(key))
		default:
			return value, nil
		}
	}
	return nil, err
}

func (p *parser) primary() (any, error) {
	token := p.next()
	switch {
	case token == "(":
		value, err := p.or()
		if err == nil && !p.take(")") {
			err = errors.New("no )")
		}
		return value, err
	case strings.HasPrefix(token, "'"):
		return strings.ReplaceAll(token[1:len(token)-1], "''", "'"), nil
	case token == "true" || token == "false":
		return token == "true", nil
	case token == "null":
		return nil, nil
	case p.take("("):
		return p.call(token)
	}
	if n, err := strconv.ParseFloat(token, 64); err == nil {
		return n, nil
	}
	value, ok := p.scope[token]
	if !ok {
		return nil, fmt.Errorf("no context %q here", token)
	}
	return value, nil
}

func (p *parser) call(name string) (any, error) {
	var args []any
	for !p.take(")") {
		value, err := p.or()
		if err != nil {
			return nil, err
		}
		args = append(args, value)
		if !p.take(",") && (len(p.tokens) == 0 || p.tokens[0] != ")") {
			return nil, fmt.Errorf("%s( has no end", name)
		}
	}
	f, ok := functions[fmt.Sprintf("%s/%d", name, len(args))]
	if !ok {
		return nil, fmt.Errorf("no function %s of %d arguments", name, len(args))
	}
	return f(p.scope, args)
}

// functions are those that our workflows use, by name and number of arguments.
var functions = map[string]func(s scope, args []any) (any, error){
	"always/0":    func(scope, []any) (any, error) { return true, nil },
	"cancelled/0": func(scope, []any) (any, error) { return false, nil },
	"success/0":   func(s scope, _ []any) (any, error) { return s["success"], nil },
	"failure/0":   func(s scope, _ []any) (any, error) { return s["success"] == false, nil },
	"fromJSON/1": func(_ scope, args []any) (value any, err error) {
		return value, json.Unmarshal([]byte(asText(args[0])), &value)
	},
	"toJSON/1": func(_ scope, args []any) (any, error) {
		data, err := json.MarshalIndent(args[0], "", "  ")
		return string(data), err
	},
	"startsWith/2": func(_ scope, args []any) (any, error) {
		return strings.HasPrefix(strings.ToLower(asText(args[0])), strings.ToLower(asText(args[1]))), nil
	},
}

func member(value any, key string) any {
	if m, ok := value.(map[string]any); ok {
		return m[key]
	}
	return nil
}

func truth(value any) bool {
	return value != nil && value != false && value != "" && value != 0.0
}

// equal compares texts without regard to case, and what is of two kinds as numbers.
func equal(a, b any) bool {
	x, text := a.(string)
	y, both := b.(string)
	if text && both {
		return strings.EqualFold(x, y)
	}
	m, isNumber := number(a)
	n, areNumbers := number(b)
	return isNumber && areNumbers && m == n
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case nil:
		return 0, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		return v, true
	case string:
		if v == "" {
			return 0, true
		}
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	}
	return 0, false
}

func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return "Object"
}
