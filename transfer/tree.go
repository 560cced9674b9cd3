// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// node is a manifest.
type node struct {
	desc    v1.Descriptor // with the artifact's type and annotations, as a list has them
	raw     []byte
	subject v1.Hash         // what it is attached to; its zero value if it is not
	blobs   []v1.Descriptor // that it names
	names   []v1.Descriptor // manifests
	listed  []v1.Descriptor // as attached to it
	noList  error           // why nobody can find what is attached to it
	bad     []string        // what is wrong with the list of what is attached to it

	wrong error // why it cannot be copied, of those in a tree with all that it names
	step  int   // what it names, or is attached to, is of steps before
}

// attached reports whether a node has a subject.
func (n *node) attached() bool { return n.subject != v1.Hash{} }

// label is how others name a manifest, whose media type need not be that.
type label struct {
	digest    v1.Hash
	mediaType types.MediaType
}

func labelOf(d v1.Descriptor) label { return label{d.Digest, d.MediaType} }

// tree is all that is copied.
type tree struct {
	read   map[label]*node // all that could be
	judged map[label]bool

	nodes []*node // what a node names, or is attached to, comes before it
	known map[v1.Hash]*node
	blobs []v1.Descriptor
	left  []string
}

// What is wrong with manifests.
var (
	errGone  = errors.New("the repository does not have it")
	errOther = errors.New("is not")
)

// grow makes a tree of what was read. What is attached to something and cannot be copied is left.
func grow(read map[label]*node, root v1.Descriptor) (*tree, error) {
	t := &tree{read: read, judged: map[label]bool{}, known: map[v1.Hash]*node{}}
	if err := t.judge(root); err != nil {
		return nil, err
	}
	t.add(root)
	seen := map[v1.Hash]bool{}
	for _, n := range t.nodes {
		for _, b := range n.blobs {
			if !seen[b.Digest] {
				t.blobs = append(t.blobs, b)
			}
			seen[b.Digest] = true
		}
	}
	return t, nil
}

// judge says why a manifest cannot be copied with all that it names, nil if it can.
func (t *tree) judge(d v1.Descriptor) error {
	n := t.read[labelOf(d)]
	if t.judged[labelOf(d)] {
		return n.wrong
	}
	t.judged[labelOf(d)] = true
	for _, below := range n.names {
		if err := t.judge(below); err != nil {
			n.wrong = fmt.Errorf("it names %s, and %w", below.Digest, err)
			break
		}
	}
	return n.wrong
}

// add takes in a manifest that can be copied: what it names, itself, and what is attached to it.
func (t *tree) add(d v1.Descriptor) *node {
	n := t.read[labelOf(d)]
	if there := t.known[d.Digest]; there != nil {
		return there
	}
	for _, below := range n.names {
		n.step = max(n.step, t.add(below).step+1)
	}
	if there := t.known[d.Digest]; there != nil { // attached to what it names
		return there
	}
	if subject := t.known[n.subject]; subject != nil {
		n.step = max(n.step, subject.step+1)
	}
	t.known[d.Digest] = n
	t.nodes = append(t.nodes, n)
	if n.noList != nil {
		t.left = append(t.left, n.noList.Error())
	}
	for _, why := range n.bad {
		t.left = append(t.left, fmt.Sprintf("the list of what is attached to %s: %s", d.Digest, why))
	}
	for _, a := range n.listed {
		err := t.judge(a)
		if err == nil && t.read[labelOf(a)].subject != d.Digest {
			err = errOther
		}
		if err != nil {
			t.left = append(t.left, fmt.Sprintf("%s is listed as attached to %s, and %v", a.Digest, d.Digest, err))
			continue
		}
		t.add(a)
	}
	return n
}
