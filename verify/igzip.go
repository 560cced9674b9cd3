// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os/exec"
	"sync/atomic"
)

// igzip decodes with a program of that name (ISA-L). It is an accelerator, not an
// authority: whatever is odd about the blob is for our own decoder to judge, so
// that the report does not depend on what is installed. Its output counts only if
// it ends well and if the last eight bytes of the blob are the checksum and the
// length of what it wrote, which rules out bytes that it ignored.
type igzip struct {
	cmd  *exec.Cmd
	out  io.ReadCloser
	stop func() bool

	fed     chan struct{} // closed when all of the blob was handed over
	blobErr error         // why the blob ended, after fed
	fedN    atomic.Int64
	tail    []byte // the last eight bytes handed over, after fed

	crc, size uint32 // of the output, as the trailer has them (RFC 1952)
}

func startIgzip(ctx context.Context, program string, blob *chunkReader) (*igzip, error) {
	z := &igzip{cmd: exec.CommandContext(ctx, program, "-d", "-c"), fed: make(chan struct{})}
	in, err := z.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if z.out, err = z.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := z.cmd.Start(); err != nil {
		return nil, errOwnDecoder
	}
	z.stop = context.AfterFunc(ctx, func() { _ = z.out.Close() }) // a killed program may leave the pipe open elsewhere
	go z.feed(in, blob)
	return z, nil
}

// feed hands the blob over. If the program does not want all of it, the rest is read
// all the same: its digest has to be known.
func (z *igzip) feed(in io.WriteCloser, blob *chunkReader) {
	defer close(z.fed)
	defer in.Close()
	for {
		if z.blobErr = blob.next(); z.blobErr != nil {
			return
		}
		p := blob.unread()
		z.tail = append(z.tail, p[max(0, len(p)-8):]...)
		z.tail = z.tail[max(0, len(z.tail)-8):]
		_, _ = in.Write(p)
		blob.advance(len(p))
		z.fedN.Add(int64(len(p)))
	}
}

// Read implements io.Reader. It returns io.EOF only for output that counts.
func (z *igzip) Read(p []byte) (int, error) {
	n, err := z.out.Read(p)
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
	z.size += uint32(n)
	if err != nil {
		err = z.verdict(err)
	}
	return n, err
}

func (z *igzip) verdict(err error) error {
	<-z.fed
	if !errors.Is(z.blobErr, io.EOF) {
		return z.blobErr
	}
	trailer := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, z.crc), z.size)
	if !errors.Is(err, io.EOF) || z.cmd.Wait() != nil || string(trailer) != string(z.tail) {
		return errOwnDecoder
	}
	return io.EOF
}

func (z *igzip) consumed() int64 { return z.fedN.Load() }

// close ends the program if it still runs, and waits for it and for feed.
func (z *igzip) close() {
	z.stop()
	_ = z.cmd.Process.Kill()
	_ = z.out.Close()
	_ = z.cmd.Wait()
	<-z.fed
}
