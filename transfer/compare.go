package transfer

import (
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

// digestRange reads n bytes at off and returns their digest. It gives up with ErrInterrupted when quit is closed.
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
			return out, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		_, _ = h.Write(b)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	h.Sum(out[:0])
	return out, nil
}

// piecesOf are the digests of a file's pieces.
func piecesOf(quit <-chan struct{}, f io.ReaderAt, size int64) (want, error) {
	w := want{piece: pieceFor(size)}
	for off := int64(0); off < size; off += w.piece {
		sum, err := digestRange(quit, f, off, min(w.piece, size-off))
		if err != nil {
			return want{}, err
		}
		w.pieces = append(w.pieces, sum)
	}
	return w, nil
}
