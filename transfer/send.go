package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// ahead is how many buffers lie between reading the disk and writing the pipe.
	ahead = 4
	// batchSize is when collected records are handed on: large writes, and small files share one.
	batchSize = 256 << 10
)

// Send sends paths and all that is below them through p and returns when the receipt is in: then everything is
// durable on the other disk, but for what Notes lists. told is called from one goroutine with the progress that
// the receiver reports. When ctx ends the pipe is interrupted and the receiver keeps nothing.
func Send(ctx context.Context, p Pipe, paths []string, told func(Progress)) (Result, error) {
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, p.Interrupt)()

	s := &sender{ctx: ctx, batches: make(chan []byte, ahead), told: told}
	var wg sync.WaitGroup
	wg.Go(func() { // reads and hashes
		defer close(s.batches)
		if err := s.produce(paths); err != nil {
			cancel(err)
		}
	})
	wg.Go(func() { // writes; on a failure it still empties the channel, so that the producer ends
		for b := range s.batches {
			if ctx.Err() == nil {
				if _, err := p.Write(b); err != nil {
					s.writeFailed(ctx, cancel, err)
				}
			}
			batches.put(b)
		}
	})
	// The receiver reports every few seconds: silence means that it has stopped.
	s.stall = time.AfterFunc(stallTimeout, func() { cancel(ErrStalled) })
	result, err := s.answers(p)
	s.stall.Stop()
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			cause = ErrCancelled
		}
		return s.sent, cause
	}
	result.Duration = time.Since(start)
	return result, nil
}

// batches recycles the buffers of a sender: a batch, and the chunk that overfills it.
var batches = bufferPool{size: batchSize + maxChunk + 64}

type sender struct {
	ctx     context.Context
	batches chan []byte
	batch   []byte
	told    func(Progress)
	stall   *time.Timer

	mu   sync.Mutex
	sent Result // what was put into the pipe, and what was left out here
}

// writeFailed gives the reader a moment to find the receiver's own reason in the pipe: it is written before the
// receiver stops reading.
func (s *sender) writeFailed(ctx context.Context, cancel context.CancelCauseFunc, err error) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
		cancel(fmt.Errorf("sending: %w", err))
	}
}

func (s *sender) put(kind byte, body ...[]byte) error {
	if s.batch == nil {
		s.batch = batches.get(0)
	}
	s.batch = putRecord(s.batch, kind, body...)
	if len(s.batch) >= batchSize {
		return s.flush()
	}
	return nil
}

func (s *sender) flush() error {
	if len(s.batch) == 0 {
		return nil
	}
	select {
	case s.batches <- s.batch:
		s.batch = nil
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

func (s *sender) produce(paths []string) error {
	err := walk(s.ctx, paths, func(it item) error {
		if it.err != nil {
			return s.leftOut(recSkipped, it.path, it.err)
		}
		if it.folder {
			s.count(Totals{Folders: 1})
			return s.put(recEntry, it.encode())
		}
		return s.file(it)
	})
	if err != nil {
		return err
	}
	t := s.sent.Totals
	if err := s.put(recEnd, counts(t.Files, t.Folders, t.Bytes)); err != nil {
		return err
	}
	return s.flush()
}

func (s *sender) count(t Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Files += t.Files
	s.sent.Folders += t.Folders
	s.sent.Bytes += t.Bytes
}

func (s *sender) leftOut(kind byte, path string, why error) error {
	s.mu.Lock()
	s.sent.note(Note{Path: path, Err: why})
	s.mu.Unlock()
	if len(path) > MaxPath {
		path = path[:MaxPath]
	}
	return s.put(kind, []byte{reasonOf(why)}, []byte(path))
}

// file sends one file as it is while it is read. What changes under the reader is given up with the reason: never
// half of one version and half of another.
func (s *sender) file(it item) error {
	f, err := openSource(it.local)
	if err != nil {
		return s.leftOut(recSkipped, it.path, fmt.Errorf("%w: %w", ErrUnreadable, err))
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil || !before.Mode().IsRegular() {
		return s.leftOut(recSkipped, it.path, ErrSpecial)
	}
	it.size, it.modTime, it.exec = before.Size(), before.ModTime(), before.Mode()&0o100 != 0
	if err := s.put(recEntry, it.encode()); err != nil {
		return err
	}
	sum := sha256.New()
	for left := it.size; left > 0; {
		n := int(min(left, ChunkSize))
		if err := s.chunk(f, n, sum); errors.Is(err, errShort) {
			return s.leftOut(recDropped, it.path, ErrChanged)
		} else if errors.Is(err, ErrUnreadable) {
			return s.leftOut(recDropped, it.path, err)
		} else if err != nil {
			return err
		}
		left -= int64(n)
	}
	after, err := f.Stat()
	if err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return s.leftOut(recDropped, it.path, ErrChanged)
	}
	s.count(Totals{Files: 1, Bytes: it.size})
	return s.put(recFileEnd, sum.Sum(nil))
}

var errShort = errors.New("shorter than it was")

// chunk reads n bytes straight into the batch, behind the room for their digest.
func (s *sender) chunk(f *os.File, n int, sum hash.Hash) error {
	if s.batch == nil {
		s.batch = batches.get(0)
	}
	mark := len(s.batch)
	head := binary.AppendUvarint(append(s.batch, recChunk), uint64(sha256.Size+n))
	at := len(head)
	if cap(head) < at+sha256.Size+n {
		bigger := make([]byte, at, at+sha256.Size+n)
		copy(bigger, head)
		head = bigger
	}
	head = head[:at+sha256.Size+n]
	data := head[at+sha256.Size:]
	if _, err := io.ReadFull(f, data); err != nil {
		s.batch = s.batch[:mark]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errShort
		}
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	d := sha256.Sum256(data)
	copy(head[at:], d[:])
	sum.Write(d[:])
	s.batch = head
	if len(s.batch) >= batchSize {
		return s.flush()
	}
	return s.ctx.Err()
}

// answers reads what the receiver says, until the receipt.
func (s *sender) answers(p Pipe) (Result, error) {
	r := newRecordReader(p)
	var saved Result
	for {
		kind, body, err := r.next(nil)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return saved, fmt.Errorf("waiting for the receipt: %w", err)
		}
		s.stall.Reset(stallTimeout)
		switch kind {
		case recProgress:
			d := decoder{b: body}
			pr := Progress{Bytes: d.count(), Files: d.count(), Phase: Phase(d.count())}
			if d.bad || pr.Phase > Finishing {
				return saved, badRecord(kind)
			}
			if s.told != nil {
				s.told(pr)
			}
		case recNote:
			n, err := decodeNote(body)
			if err != nil {
				return saved, err
			}
			saved.note(n)
		case recAbort:
			return saved, abortError(body)
		case recReceipt:
			if saved.Totals, err = decodeTotals(body); err != nil {
				return saved, err
			}
			return s.settle(saved)
		default:
			return saved, badRecord(kind)
		}
	}
}

// settle compares the receipt with what was sent: Delivered is said of nothing else.
func (s *sender) settle(saved Result) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if saved.Totals != s.sent.Totals {
		return saved, fmt.Errorf("%w: receipt for %+v, sent %+v", ErrProtocol, saved.Totals, s.sent.Totals)
	}
	saved.Notes = append(saved.Notes, s.sent.Notes...)
	saved.Renamed += s.sent.Renamed
	saved.LeftOut += s.sent.LeftOut
	return saved, nil
}
