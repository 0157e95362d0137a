package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// SendOptions say what to send, and how.
type SendOptions struct {
	Paths []string
	// Links sends symbolic links that stay inside their folder as links; others, and all without it, are left out.
	Links bool
	// Shared is common to Sends of the same paths to several receivers; nil reads for this one alone.
	Shared *Shared
	// Told is called from one goroutine with the progress that the receiver reports. It may be nil.
	Told func(Progress)
}

const (
	// announced is how many files the sender tells of ahead of their content, when it has to ask what is there.
	announced = 4096
	// maxWanted is how many digests of pieces the receiver may have told of files that it is not their turn yet.
	maxWanted = (maxCompared + 2) * maxPieces
	// lastWord is how long a reason, or a receipt, may take to reach the other side.
	lastWord = 2 * time.Second
)

// Send sends paths and all that is below them over the lanes that come, and returns when the receipt is in: then
// everything is durable on the other disk, but for what Notes lists. When all lanes have gone it returns their last
// error; called again, with new lanes to a Receive with the same ID, it goes on where the receiver stopped. When ctx
// ends the lanes are interrupted; whether the receiver keeps what it has is the receiver's to know.
func Send(ctx context.Context, lanes <-chan Pipe, opts SendOptions) (Result, error) {
	start := time.Now()
	b := newBundle()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { b.fail(causeOf(ctx)) })()
	b.attachAll(lanes)

	s := &sender{
		ctx: ctx, b: b, opts: opts, out: packer{to: b}, announced: make(chan item, announced),
		wants: map[int64]want{}, came: make(chan struct{}, 1), begun: make(chan byte, 1),
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.produce(); err != nil {
			s.give(err)
			cancel(err)
		}
	})
	result, err := s.answers()
	if err == nil {
		_ = b.drain(lastWord)
		b.close()
		cancel(nil)
	} else {
		b.fail(err)
		cancel(err)
	}
	wg.Wait()
	b.wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = causeOf(ctx)
	}
	if err != nil {
		s.mu.Lock()
		result = s.sent
		s.mu.Unlock()
	}
	result.Moved = b.sentBytes()
	result.Duration = time.Since(start)
	return result, err
}

// causeOf is why ctx has ended, with the program's own end as a cancellation that leaves what is there.
func causeOf(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return ErrInterrupted
}

type sender struct {
	ctx  context.Context
	b    *bundle
	opts SendOptions
	out  packer

	path      string // of the entry before
	files     int64  // announced
	announced chan item
	begun     chan byte // from the receiver: its flags
	came      chan struct{}

	mu     sync.Mutex
	asking bool  // the receiver wants to be asked
	told   int64 // files that were announced
	pieces int   // digests in wants
	wants  map[int64]want
	sent   Result // what the manifest holds, and what was left out here
}

// give tells the receiver why there will be no more.
func (s *sender) give(err error) {
	if s.b.alive() == nil && s.out.put(recAbort, []byte{reasonOf(err)}) == nil && s.out.flush() == nil {
		_ = s.b.drain(lastWord)
	}
}

func (s *sender) produce() error {
	var flags byte
	select {
	case flags = <-s.begun:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	ask, links := flags&goAsk != 0, s.opts.Links && flags&goLinks != 0
	s.mu.Lock()
	s.asking = ask
	s.mu.Unlock()
	var contents sync.WaitGroup
	var failed error
	if ask {
		contents.Go(func() { failed = s.contents() })
	}
	err := walk(s.ctx, s.opts.Paths, links, func(it item) error {
		if it.err != nil {
			return s.leftOut(recSkipped, it, it.err)
		}
		if it.kind != kindFile {
			return s.announce(it)
		}
		it.index = s.files
		s.files++
		if !ask {
			return s.push(it)
		}
		s.mu.Lock()
		s.told = s.files
		s.mu.Unlock()
		if err := s.announce(it); err != nil {
			return err
		}
		select {
		case s.announced <- it:
			return nil
		default: // as many as may be ahead: let the receiver see them
		}
		if err := s.out.flush(); err != nil {
			return err
		}
		select {
		case s.announced <- it:
			return nil
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	})
	close(s.announced)
	if err == nil {
		err = s.out.flush()
	}
	contents.Wait()
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	t := s.sent.Totals
	s.mu.Unlock()
	if err := s.out.put(recEnd, t.encode()); err != nil {
		return err
	}
	return s.out.flush()
}

// announce puts an entry into the manifest.
func (s *sender) announce(it item) error {
	switch it.kind {
	case kindFolder:
		s.count(Totals{Folders: 1})
	case kindLink:
		s.count(Totals{Links: 1})
	}
	before := s.path
	s.path = it.path
	return s.out.put(recEntry, it.encode(before))
}

func (s *sender) count(t Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Files += t.Files
	s.sent.Folders += t.Folders
	s.sent.Links += t.Links
	s.sent.Bytes += t.Bytes
}

// leftOut notes what is not sent. A dropped file was announced, a skipped entry was not.
func (s *sender) leftOut(kind byte, it item, why error) error {
	s.mu.Lock()
	s.sent.note(Note{Path: it.path, Err: why})
	s.mu.Unlock()
	if kind == recDropped {
		return s.out.put(kind, counts(it.index), []byte{reasonOf(why)})
	}
	return s.out.put(kind, []byte{reasonOf(why)}, []byte(it.path[:min(len(it.path), MaxPath)]))
}

// push sends a file that the receiver wants as all others: nothing of it is there.
func (s *sender) push(it item) error {
	f, err := s.open(&it)
	if err != nil {
		return s.leftOut(recSkipped, it, err)
	}
	defer f.Close()
	if err := s.announce(it); err != nil {
		return err
	}
	return s.content(f, it, want{})
}

// open opens a file and takes its state as it is now.
func (s *sender) open(it *item) (*os.File, error) {
	f, err := openSource(it.local)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	now, err := f.Stat()
	if err != nil || !now.Mode().IsRegular() {
		_ = f.Close()
		return nil, ErrSpecial
	}
	it.size, it.modTime, it.exec, it.stamp = now.Size(), now.ModTime(), now.Mode()&0o100 != 0, stampOf(now)
	return f, nil
}

// contents answers the receiver's wants in the order of the manifest.
func (s *sender) contents() error {
	for it := range s.announced {
		w, err := s.wanted(it.index)
		if err != nil {
			return err
		}
		if w.have {
			s.count(Totals{Files: 1, Bytes: it.size})
			continue
		}
		announced := it.stamp
		f, err := s.open(&it)
		if err == nil && it.stamp != announced {
			_ = f.Close()
			err = ErrChanged // since it was announced, with another size perhaps
		}
		if err != nil {
			if err := s.leftOut(recDropped, it, err); err != nil {
				return err
			}
			continue
		}
		err = s.content(f, it, w)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted waits for what the receiver says of a file.
func (s *sender) wanted(index int64) (want, error) {
	for flushed := false; ; {
		s.mu.Lock()
		w, ok := s.wants[index]
		s.pieces -= len(w.pieces)
		delete(s.wants, index)
		s.mu.Unlock()
		if ok {
			return w, nil
		}
		if !flushed {
			flushed = true
			if err := s.out.flush(); err != nil {
				return want{}, err
			}
			continue
		}
		select {
		case <-s.came:
		case <-s.ctx.Done():
			return want{}, context.Cause(s.ctx)
		}
	}
}

// content sends one file as it is while it is read. What changes under the reader is given up with the reason: never
// half of one version and half of another.
func (s *sender) content(f *os.File, it item, w want) error {
	same, err := s.body(f, it, w)
	if err == nil {
		after, statErr := f.Stat()
		if statErr != nil || stampOf(after) != it.stamp {
			err = ErrChanged
		}
	}
	switch {
	case errors.Is(err, errShort):
		err = ErrChanged
		fallthrough
	case errors.Is(err, ErrChanged), errors.Is(err, ErrUnreadable):
		return s.leftOut(recDropped, it, err)
	case err != nil:
		return err
	}
	s.count(Totals{Files: 1, Bytes: it.size})
	if same {
		return s.out.put(recSame, counts(it.index))
	}
	return s.out.put(recFileEnd)
}

// body sends what the receiver wants of a file; same tells that it has all of it.
func (s *sender) body(f *os.File, it item, w want) (same bool, err error) {
	differs := func(int64) bool { return true } // by the offset of a piece
	if w.piece > 0 {
		equal, err := compare(s.b.quit, f, it.size, w)
		if err != nil || equal == nil {
			return err == nil && equal == nil, err
		}
		differs = func(off int64) bool { p := off / w.piece; return p >= int64(len(equal)) || !equal[p] }
	}
	pos := w.from
	if pos > it.size || !s.fits(f, it, w) {
		pos = 0
	}
	if err := s.out.put(recData, counts(it.index, pos)); err != nil {
		return false, err
	}
	sparse := false
	if info, err := f.Stat(); err == nil {
		sparse = isSparse(info)
	}
	for pos < it.size {
		from, to := pos, it.size
		if sparse {
			from, to = nextData(f, pos, it.size)
		}
		if from > pos {
			if err := s.out.put(recHole, counts(from-pos)); err != nil {
				return false, err
			}
			pos = from
		}
		for pos < to {
			n := min(to-pos, ChunkSize-pos%ChunkSize)
			if w.piece > 0 && !differs(pos) {
				n = min(to-pos, w.piece-pos%w.piece)
				if err := s.out.put(recKeep, counts(n)); err != nil {
					return false, err
				}
			} else if err := s.chunk(f, it, pos, int(n)); err != nil {
				return false, err
			}
			pos += n
		}
	}
	return false, nil
}

// fits tells whether what the receiver has last of a file is what stands there now.
func (s *sender) fits(f *os.File, it item, w want) bool {
	if w.lastN == 0 {
		return w.from == 0
	}
	data := make([]byte, w.lastN)
	sum, err := readChunk(f, w.from-w.lastN, data)
	return err == nil && sum == w.last
}

// compare reads a file in the receiver's pieces and tells which are the same; nil if all are, and there are no more.
func compare(quit <-chan struct{}, f *os.File, size int64, w want) ([]bool, error) {
	same := make([]bool, 0, len(w.pieces))
	all := true
	for i, theirs := range w.pieces {
		off := int64(i) * w.piece
		if off >= size {
			return same, nil
		}
		sum, err := digestRange(quit, f, off, min(w.piece, size-off))
		if err != nil {
			return nil, err
		}
		same = append(same, sum == theirs)
		all = all && sum == theirs
	}
	if all && (size+w.piece-1)/w.piece == int64(len(w.pieces)) {
		return nil, nil
	}
	return same, nil
}

// chunk reads n bytes straight into the block, behind the room for their digest.
func (s *sender) chunk(f *os.File, it item, off int64, n int) error {
	if err := s.ctx.Err(); err != nil {
		return context.Cause(s.ctx)
	}
	p := &s.out
	p.mu.Lock()
	defer p.mu.Unlock()
	head := counts(off)
	k, err := p.with(16 + len(head) + digestSize + n)
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
	k.buf = b
	return p.full()
}

// answers reads what the receiver says, until the receipt.
func (s *sender) answers() (Result, error) {
	var saved Result
	for {
		k, err := s.b.recv()
		if err != nil {
			return saved, fmt.Errorf("waiting for the receipt: %w", err)
		}
		in := records{k.body()}
		for {
			kind, body, ok, err := in.next()
			if err == nil && !ok {
				break
			}
			var end bool
			if err == nil {
				end, err = s.answer(kind, body, &saved)
			}
			if err != nil {
				return saved, err
			}
			if end {
				s.b.done(k)
				return s.settle(saved)
			}
		}
		s.b.done(k)
	}
}

// answer takes one record; true at the receipt.
func (s *sender) answer(kind byte, body []byte, saved *Result) (end bool, err error) {
	switch kind {
	case recGo:
		if len(body) != 1 {
			return false, badRecord(kind)
		}
		select {
		case s.begun <- body[0]:
		default:
			return false, badRecord(kind)
		}
	case recWant:
		index, w, err := decodeWant(body)
		if err != nil {
			return false, err
		}
		s.mu.Lock()
		_, twice := s.wants[index]
		if s.pieces += len(w.pieces); twice || !s.asking || index >= s.told || s.pieces > maxWanted {
			err = badRecord(kind)
		}
		s.wants[index] = w
		s.mu.Unlock()
		select {
		case s.came <- struct{}{}:
		default:
		}
		return false, err
	case recProgress:
		d := decoder{b: body}
		pr := Progress{Bytes: d.count(), Files: d.count(), Phase: Phase(d.count())}
		if !d.end() || pr.Phase > Full {
			return false, badRecord(kind)
		}
		if s.opts.Told != nil {
			s.opts.Told(pr)
		}
	case recNote:
		n, err := decodeNote(body)
		if err != nil {
			return false, err
		}
		saved.note(n)
	case recAbort:
		return false, abortError(body)
	case recReceipt:
		d := decoder{b: body}
		unchanged := d.count()
		saved.Totals, err = decodeTotals(d.b)
		saved.Unchanged = unchanged
		return true, err
	default:
		return false, badRecord(kind)
	}
	return false, nil
}

// settle compares the receipt with what was sent: Delivered is said of nothing else. A receipt that comes before the
// end of the manifest is that of an earlier attempt, whose receipt was lost.
func (s *sender) settle(saved Result) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == 0 && s.sent.Totals == (Totals{}) {
		return saved, nil
	}
	if saved.Totals != s.sent.Totals {
		return saved, fmt.Errorf("%w: receipt for %+v, sent %+v", ErrProtocol, saved.Totals, s.sent.Totals)
	}
	saved.Notes = append(saved.Notes, s.sent.Notes...)
	saved.Renamed += s.sent.Renamed
	saved.LeftOut += s.sent.LeftOut
	return saved, nil
}
