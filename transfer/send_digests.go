package transfer

import (
	"errors"
	"io"

	"github.com/zeebo/blake3"
)

// digestRange reads n bytes at off and returns their digest. It returns ErrInterrupted when quit is closed.
func digestRange(quit <-chan struct{}, f io.ReaderAt, off, n int64) (out pieceDigest, err error) {
	k := newBlock()
	defer k.release()
	buf := k.buf[:ChunkSize]
	h := blake3.New()
	for n > 0 {
		select {
		case <-quit:
			return out, ErrInterrupted
		default:
		}
		b := buf[:min(n, ChunkSize)]
		if _, err := f.ReadAt(b, off); err != nil {
			if errors.Is(err, io.EOF) {
				return out, errShort
			}
			return out, unreadable(err)
		}
		_, _ = h.Write(b)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	h.Sum(out[:0])
	return out, nil
}

// toDigest is a file whose digests the receiver has requested.
type toDigest struct {
	item
	piece int64
}

// digests answers a receiver that already has a file of the same name. The receiver does the comparison, so the sender
// learns only whether the receiver's file is identical to its own, and nothing that helps it to guess a different one.
func (s *sender) digests() {
	var src *source
	send := func(t toDigest) error {
		if src == nil { // whatever is requested was listed before
			src = newSource(s.tops)
		}
		return s.sendDigests(src, t)
	}
	defer func() {
		if src != nil {
			src.close()
		}
	}()
	for {
		select {
		case t := <-s.toDigest:
			if send(t) != nil {
				return
			}
			continue
		default:
		}
		if s.out.flush() != nil { // digests are sent together, until there are no more requests
			return
		}
		select {
		case t := <-s.toDigest:
			if send(t) != nil {
				return
			}
		case <-s.passed:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *sender) sendDigests(src *source, t toDigest) error {
	body := counts(t.index)
	if sums, err := s.piecesOf(src, t); err == nil { // a file that cannot be read is left out when its turn comes
		for _, sum := range sums {
			body = append(body, sum[:]...)
		}
	}
	s.mu.Lock()
	delete(s.digesting, t.index) // before the receiver can answer
	s.mu.Unlock()
	return s.out.put(recSums, body)
}

// piecesOf returns the digests of a file's pieces.
func (s *sender) piecesOf(src *source, t toDigest) ([]pieceDigest, error) {
	f, now, err := src.open(t.path, t.info)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if stampOf(now) != t.stamp {
		return nil, ErrChanged
	}
	var sums []pieceDigest
	for off := int64(0); off < t.size; off += t.piece {
		sum, err := digestRange(s.ctx.Done(), f, off, min(t.piece, t.size-off))
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return sums, nil
}
