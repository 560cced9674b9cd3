// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/record"
)

// source is a blob of a repository as a layer that can be uploaded to another one.
type source struct {
	ctx   context.Context //nolint:containedctx // a layer is opened without one
	from  side
	desc  v1.Descriptor
	meter *record.Meter
	broke atomic.Bool // it could not be read to its end
}

var errCompressed = errors.New("only its compressed form is known")

func (s *source) Digest() (v1.Hash, error)             { return s.desc.Digest, nil }
func (s *source) DiffID() (v1.Hash, error)             { return v1.Hash{}, errCompressed }
func (s *source) Size() (int64, error)                 { return s.desc.Size, nil }
func (s *source) MediaType() (types.MediaType, error)  { return types.OCILayer, nil } // for logs alone
func (s *source) Uncompressed() (io.ReadCloser, error) { return nil, errCompressed }

// Compressed returns a reader that asks for the blob when it is read: of the two that an
// upload opens, one is not.
func (s *source) Compressed() (io.ReadCloser, error) { return &stream{source: s}, nil }

// stream reads a blob, whose digest is checked at its end.
type stream struct {
	source *source
	blob   io.ReadCloser
	read   int64
}

func (r *stream) Read(p []byte) (int, error) {
	if r.blob == nil {
		if err := r.open(); err != nil {
			r.source.broke.Store(true)
			return 0, err
		}
	}
	n, err := r.blob.Read(p)
	r.read += int64(n)
	r.source.meter.Add(0, int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		r.source.broke.Store(true)
	}
	return n, err
}

func (r *stream) open() error {
	layer, err := r.source.from.puller.Layer(r.source.ctx, r.source.from.repo.Digest(r.source.desc.Digest.String()))
	if err == nil {
		r.blob, err = layer.Compressed()
	}
	return err
}

// Close takes back what was counted of a reading that ended early.
func (r *stream) Close() error {
	if r.read < r.source.desc.Size {
		r.source.meter.Add(0, -r.read)
		r.read = 0
	}
	if r.blob == nil {
		return nil
	}
	return r.blob.Close()
}
