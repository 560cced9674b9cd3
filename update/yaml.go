// SPDX-License-Identifier: Apache-2.0

package update

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// value is what stands for a key of a mapping, nil if nothing does.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// entry sets a key of a mapping. What is replaced leaves its comments.
func entry(mapping *yaml.Node, key string, to *yaml.Node) {
	if old := value(mapping, key); old != nil {
		to.HeadComment, to.LineComment, to.FootComment = old.HeadComment, old.LineComment, old.FootComment
		*old = *to
		return
	}
	mapping.Content = append(mapping.Content, word(key), to)
}

// below returns the mapping that stands for a key, and puts an empty one there if there is none.
func below(mapping *yaml.Node, key string) *yaml.Node {
	if value(mapping, key) == nil {
		entry(mapping, key, &yaml.Node{Kind: yaml.MappingNode, Style: mapping.Style & yaml.FlowStyle})
	}
	return value(mapping, key)
}

func word(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func words(texts []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range texts {
		n.Content = append(n.Content, word(text))
	}
	return n
}

func encode(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
