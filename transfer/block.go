package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// ChunkSize is the maximum number of bytes of a file that are read, hashed and written at once.
	ChunkSize = 128 << 10
	// maxBlock is the body size of the largest block: a full chunk plus room for the records around it.
	maxBlock  = ChunkSize + 8<<10
	blockHead = 13 // type, number, length
)

// block is the unit that lanes carry: a number of whole records behind a frame header.
type block struct {
	buf []byte // header and body
	seq uint64

	// Guarded by the bundle.
	lane    *lane // the lane that has it, or had it last
	at      time.Time
	hedges  int
	writing int // number of lanes that are writing it now
	taken   bool
}

var blocks = sync.Pool{New: func() any { return &block{buf: make([]byte, 0, blockHead+maxBlock)} }}

func newBlock() *block {
	k := blocks.Get().(*block)
	*k = block{buf: k.buf[:blockHead]}
	return k
}

func (k *block) body() []byte { return k.buf[blockHead:] }
func (k *block) free() int    { return cap(k.buf) - len(k.buf) }

// seal writes the header; the block is immutable afterwards.
func (k *block) seal() {
	k.buf[0] = frameBlock
	binary.BigEndian.PutUint64(k.buf[1:], k.seq)
	binary.BigEndian.PutUint32(k.buf[9:], uint32(len(k.buf)-blockHead))
}

// release returns the memory to the pool.
func (k *block) release() { blocks.Put(k) }

// tryReleaseLocked releases a block that was acknowledged and that no lane is still writing.
func (k *block) tryReleaseLocked() {
	if k.taken && k.writing == 0 {
		k.taken = false // so that it is released only once
		k.release()
	}
}

// frameReader reads frames from a pipe.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader { return &frameReader{bufio.NewReaderSize(r, 4<<10)} }

// next returns a block, or the number up to which our blocks were acknowledged. It returns io.EOF at an end between two
// frames.
func (f *frameReader) next() (*block, uint64, error) {
	kind, err := f.r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	var head [blockHead - 1]byte
	switch kind {
	case frameTaken:
		if _, err := io.ReadFull(f.r, head[:takenLen-1]); err != nil {
			return nil, 0, truncated(err)
		}
		return nil, binary.BigEndian.Uint64(head[:]), nil
	case frameBlock:
		if _, err := io.ReadFull(f.r, head[:]); err != nil {
			return nil, 0, truncated(err)
		}
		n := binary.BigEndian.Uint32(head[8:])
		if n == 0 || n > maxBlock { // guard: block-size
			return nil, 0, fmt.Errorf("%w: block of %d bytes", ErrProtocol, n)
		}
		k := newBlock()
		k.seq = binary.BigEndian.Uint64(head[:])
		k.buf = k.buf[:blockHead+n]
		if _, err := io.ReadFull(f.r, k.body()); err != nil {
			k.release()
			return nil, 0, truncated(err)
		}
		return k, 0, nil
	}
	return nil, 0, fmt.Errorf("%w: frame %q", ErrProtocol, kind)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// packer collects records into blocks. Its methods may be called concurrently.
type packer struct {
	mu  sync.Mutex
	to  *bundle
	cur *block
}

// flushAt is the size at which a block is full enough to send.
const flushAt = maxBlock * 3 / 4

func (p *packer) put(kind byte, body ...[]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 16
	for _, b := range body {
		n += len(b)
	}
	k, err := p.withLocked(n)
	if err != nil {
		return err
	}
	k.buf = putRecord(k.buf, kind, body...)
	return p.full()
}

// withLocked returns the current block, with room for n bytes.
func (p *packer) withLocked(n int) (*block, error) {
	if p.cur != nil && p.cur.free() < n {
		if err := p.flushLocked(); err != nil {
			return nil, err
		}
	}
	if p.cur == nil {
		p.cur = newBlock()
	}
	return p.cur, nil
}

func (p *packer) full() error {
	if len(p.cur.buf) < flushAt {
		return nil
	}
	return p.flushLocked()
}

func (p *packer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flushLocked()
}

func (p *packer) flushLocked() error {
	if p.cur == nil || len(p.cur.buf) == blockHead {
		return nil
	}
	k := p.cur
	p.cur = nil
	return p.to.send(k)
}
