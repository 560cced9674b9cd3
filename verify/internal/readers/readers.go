// SPDX-License-Identifier: Apache-2.0

// Package readers has what is needed around readers of files and archives.
package readers

import (
	"errors"
	"io"
	"sync"
)

// Buffers are for what is read and not kept.
var Buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// Fill reads until buf is full or r ends; unlike io.ReadFull it reports the end as io.EOF.
func Fill(r io.Reader, buf []byte) (n int, err error) { return AtLeast(r, buf, len(buf)) }

// AtLeast reads until buf has least bytes or r ends; unlike io.ReadAtLeast it reports the
// end as io.EOF, and an error also if it came with the last of the bytes.
func AtLeast(r io.Reader, buf []byte, least int) (n int, err error) {
	for n < least && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// Drain reads r to its end, in larger pieces than io.Discard does.
func Drain(r io.Reader) error {
	buf := Buffers.Get().(*[32 << 10]byte)
	defer Buffers.Put(buf)
	for {
		switch _, err := r.Read(buf[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Discard reads n bytes of r. The error is io.EOF if there are fewer.
func Discard(r io.Reader, n int64) error {
	part := io.LimitedReader{R: r, N: n}
	if err := Drain(&part); err != nil {
		return err
	}
	if part.N > 0 {
		return io.EOF
	}
	return nil
}

// NoEOF makes an end where there must be more an error.
func NoEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Counter counts bytes and keeps the error of the reader below, but for the end.
type Counter struct {
	R   io.Reader
	N   int64
	Err error
}

func (c *Counter) Read(p []byte) (int, error) {
	n, err := c.R.Read(p)
	c.N += int64(n)
	if err != nil && err != io.EOF {
		c.Err = err
	}
	return n, err
}
