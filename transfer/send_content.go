package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"os"

	"github.com/zeebo/xxh3"
)

// The content of a file, from the source to the lanes.

// content sends one file. A file that changes while it is read is dropped with that reason, so that a mix of two
// versions is never sent. A file that has only grown is sent up to the announced size.
func (s *sender) content(f *os.File, it item, w want) error {
	grew, err := s.body(f, it, w)
	switch {
	case errors.Is(err, errRefused):
		return s.endRefused(it)
	case errors.Is(err, errShort):
		return s.leftOut(recDropped, it, s.shorter(f, it))
	case errors.Is(err, ErrChanged), errors.Is(err, ErrUnreadable):
		return s.leftOut(recDropped, it, err)
	case err != nil:
		return err
	}
	s.count(Totals{Files: 1, Bytes: it.size})
	if grew {
		s.mu.Lock()
		s.sent.note(Note{Path: it.path, Saved: it.path, Err: ErrGrew})
		s.mu.Unlock()
		return s.out.put(recFileEnd, []byte{reasonOf(ErrGrew)})
	}
	return s.out.put(recFileEnd)
}

// endRefused ends a file that the receiver has left out and noted. It counts as sent and as refused.
func (s *sender) endRefused(it item) error {
	s.count(Totals{Files: 1, Bytes: it.size})
	return s.out.put(recDropped, counts(it.index), []byte{reasonOf(ErrCancelled)})
}

// errRefused ends the content of a file that the receiver cannot store.
var errRefused = errors.New("refused by the receiver")

// shorter returns why a file ended before its size: it was truncated, or the system does not report its size.
func (s *sender) shorter(f *os.File, it item) error {
	if now, err := f.Stat(); err == nil && stampOf(now) == it.stamp {
		return ErrUnsized
	}
	return ErrChanged
}

// body sends what the receiver requested of a file and checks that it was all one version; grew reports that the file
// is longer now.
func (s *sender) body(f *os.File, it item, w want) (grew bool, err error) {
	pos := w.from
	if pos > it.size || !s.fits(f, w) {
		pos = 0
	}
	if err := s.out.put(recData, counts(it.index, pos)); err != nil {
		return false, err
	}
	s.sums.Reset()
	err = spans(f, pos, it, w, func(kind byte, off, n int64) error {
		if kind != recChunk {
			return s.out.put(kind, counts(n))
		}
		return s.chunk(f, it, off, int(n))
	})
	if err != nil {
		return false, err
	}
	now, err := f.Stat()
	switch {
	case err != nil, now.Size() < it.size:
		return false, ErrChanged
	case stampOf(now) == it.stamp:
		return now.Size() > it.size, nil
	case pos > 0, len(w.equal) > 0: // what the receiver already had is of the state before
		return false, ErrChanged
	}
	return now.Size() > it.size, s.again(f, it, w, s.sums.Sum128())
}

// again rereads a file whose state has changed while it was sent: its name, mode or time changed, or it has grown.
// The part that was sent must be unchanged.
func (s *sender) again(f *os.File, it item, w want, sent xxh3.Uint128) error {
	k := newBlock()
	defer k.release()
	sums := xxh3.New()
	err := spans(f, 0, it, w, func(kind byte, off, n int64) error {
		if err := s.ctx.Err(); err != nil {
			return context.Cause(s.ctx)
		}
		if kind != recChunk {
			return nil
		}
		sum, err := readChunk(f, off, k.buf[:n])
		addSum(sums, off, sum)
		return err
	})
	if err == nil && sums.Sum128() != sent {
		return ErrChanged
	}
	return err
}

func addSum(h *xxh3.Hasher, off int64, sum digest) {
	var b [8 + digestSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(off))
	copy(b[8:], sum[:])
	_, _ = h.Write(b[:])
}

// spans walks the content of a file from pos to its size: chunks, holes, and pieces that the receiver already has.
func spans(f *os.File, pos int64, it item, w want, each func(kind byte, off, n int64) error) error {
	size, sparse := it.size, isSparse(it.info)
	for pos < size {
		from, to := pos, size
		if sparse {
			from, to = nextData(f, pos, size)
		}
		if from > pos {
			if err := each(recHole, pos, from-pos); err != nil {
				return err
			}
			pos = from
		}
		for pos < to {
			kind, n := byte(recChunk), min(to-pos, ChunkSize-pos%ChunkSize)
			if w.same(pos) {
				kind, n = recKeep, min(to-pos, w.piece-pos%w.piece)
			}
			if err := each(kind, pos, n); err != nil {
				return err
			}
			pos += n
		}
	}
	return nil
}

// fits reports whether the last bytes that the receiver has of a file match the file as it is now.
func (s *sender) fits(f *os.File, w want) bool {
	if w.lastN == 0 {
		return w.from == 0
	}
	data := make([]byte, w.lastN)
	sum, err := readChunk(f, w.from-w.lastN, data)
	return err == nil && sum == w.last
}

// chunk reads n bytes straight into the block, behind the space reserved for their digest.
func (s *sender) chunk(f *os.File, it item, off int64, n int) error {
	if err := s.ctx.Err(); err != nil {
		return context.Cause(s.ctx)
	}
	if s.isRefusedFile(it.index) {
		return errRefused
	}
	p := &s.out
	p.mu.Lock()
	defer p.mu.Unlock()
	head := counts(off)
	k, err := p.withLocked(16 + len(head) + digestSize + n)
	if err != nil {
		return err
	}
	mark := len(k.buf)
	b := append(k.buf, recChunk)
	b = binary.AppendUvarint(b, uint64(len(head)+digestSize+n))
	b = append(b, head...)
	at := len(b)
	b = b[:at+digestSize+n]
	sum, err := s.opts.Shared.chunk(it, f, off, b[at+digestSize:])
	if err != nil {
		k.buf = k.buf[:mark]
		return err
	}
	copy(b[at:], sum[:])
	addSum(s.sums, off, sum)
	k.buf = b
	return p.full()
}
