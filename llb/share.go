// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"context"
	"sync"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// shared is a file system that many graphs stand on: an op and its first output.
// BuildKit's own vertices remember their bytes, but by the address of the constraints,
// which every State.Marshal makes anew: each graph on them would hash them again and
// leave one more copy. This one is marshalled by the first graph for all of them, and
// lets go of what it was made of. It serves several goroutines.
type shared struct {
	inputs []bkllb.Output

	once     sync.Once
	made     bkllb.Output // nil once the rest is known
	input    *pb.Input
	digest   digest.Digest
	op       []byte
	metadata *pb.OpMetadata
	places   []*bkllb.SourceLocation
	err      error
}

var (
	_ bkllb.Output = (*shared)(nil)
	_ bkllb.Vertex = (*shared)(nil)
)

// share returns an output to put many graphs on. They must be marshalled with equal
// constraints.
func share(made bkllb.Output) *shared {
	if s, ok := made.(*shared); ok {
		return s
	}
	s := &shared{made: made}
	for _, input := range made.Vertex(context.Background(), nil).Inputs() {
		s.inputs = append(s.inputs, share(input))
	}
	return s
}

// Marshal returns the op.
func (s *shared) Marshal(ctx context.Context, c *bkllb.Constraints) (digest.Digest, []byte, *pb.OpMetadata, []*bkllb.SourceLocation, error) {
	s.once.Do(func() {
		if s.input, s.err = s.made.ToInput(ctx, c); s.err == nil {
			s.digest, s.op, s.metadata, s.places, s.err = s.made.Vertex(ctx, c).Marshal(ctx, c)
		}
		s.made = nil
	})
	return s.digest, s.op, s.metadata, s.places, s.err
}

// Validate leaves it to Marshal.
func (s *shared) Validate(context.Context, *bkllb.Constraints) error { return nil }

// Inputs are what the op reads.
func (s *shared) Inputs() []bkllb.Output { return s.inputs }

// Output is s itself.
func (s *shared) Output() bkllb.Output { return s }

// Vertex is s itself.
func (s *shared) Vertex(context.Context, *bkllb.Constraints) bkllb.Vertex { return s }

// ToInput is how another op refers to it.
func (s *shared) ToInput(ctx context.Context, c *bkllb.Constraints) (*pb.Input, error) {
	_, _, _, _, err := s.Marshal(ctx, c)
	return s.input, err
}

// memo keeps what was made of a key. Its zero value is empty.
type memo[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V
}

func (m *memo[K, V]) find(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	return value, ok
}

// keep returns the value that is kept: the first, if two were made at once.
func (m *memo[K, V]) keep(key K, value V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.values[key]; ok {
		return first
	}
	if m.values == nil {
		m.values = map[K]V{}
	}
	m.values[key] = value
	return value
}
