package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
)

// SendOptions configure Send.
type SendOptions struct {
	// Listing is what was offered. Without it, Paths are listed first, with everything below them.
	Listing *Listing
	Paths   []string
	// Links sends symbolic links that stay inside their folder as links. Other links, and all links without it, are
	// left out.
	Links bool
	// Shared is common to Sends of the same paths to several receivers; nil reads the files for this Send alone.
	Shared *Shared
	// Sent means that an earlier Send to the same receiver has reported Result.Sent: the receiver may have everything, and
	// repeats its receipt then. Without it, only a receipt for what this Send sends is accepted.
	Sent bool
	// OnEnd is called once everything was sent, before the receiver learns that nothing follows: until then, it cannot
	// have everything. It may be nil.
	OnEnd func()
	// OnProgress is called from one goroutine with the progress that the receiver reports. It may be nil.
	OnProgress func(Progress)
}

const (
	// announced is how many files the sender announces ahead of their content, when it has to ask what the receiver
	// has.
	announced = 4096
	// digesters is how many files are digested at once for a receiver that compares.
	digesters = 2
	// lastWord is how long a reason, or a receipt, may take to reach the other side.
	lastWord = 2 * time.Second
)

// Send sends what is listed over the lanes that arrive, and returns when it has the receipt: then everything is
// durable on the other disk, except what Notes lists. When all lanes have ended, Send returns their last error;
// called again, with new lanes to a Receive with the same ID, it resumes where the receiver stopped. When ctx ends,
// the lanes are interrupted; only the receiver knows whether it keeps what it has. A *Failure says at which entry,
// and on which side, Send failed.
func Send(ctx context.Context, lanes <-chan Pipe, opts SendOptions) (Result, error) {
	start := time.Now()
	b := newBundle()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { b.fail(causeOf(ctx)) })()
	b.attachAll(lanes)

	s := &sender{
		ctx: ctx, b: b, opts: opts, out: packer{to: b}, announced: make(chan item, announced),
		wants: map[int64]want{}, came: make(chan struct{}, 1), begun: make(chan byte, 1), dropped: map[int64]bool{},
		sums: xxh3.New(), skipped: map[string]bool{}, ahead: map[int64]item{}, digesting: map[int64]struct{}{}, refusals: map[int64]struct{}{}, passed: make(chan struct{}), toDigest: make(chan toDigest, announced+2),
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.produce()
		if err == nil {
			return
		}
		if ctx.Err() == nil { // the cause is on this side
			s.failed = err
			s.give(err)
		}
		cancel(err)
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
	if err != nil {
		if s.failed != nil {
			err = s.failed
		} else if Passing(err) && context.Cause(ctx) != nil {
			err = causeOf(ctx)
		}
		s.mu.Lock()
		result = s.sent
		s.mu.Unlock()
	}
	result.Sent, result.Repeated = s.ended, s.repeated
	result.Moved = b.sentBytes()
	result.Duration = time.Since(start)
	return result, err
}

// causeOf returns why ctx has ended. The program's own shutdown counts as ErrInterrupted, which keeps the staged
// data.
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

	path      string // of the previous entry
	tops      []top
	skipped   map[string]bool // folders that are not sent, with everything below them
	sums      *xxh3.Hasher    // over the digests of the current file
	failed    error           // why this side could not send; set before ctx ends
	grown     int64           // bytes by which files have grown since they were listed
	progress  perSecond       // records of the receiver
	listed    int64           // listed sizes of the files so far
	files     int64           // number of announced files; guarded by mu
	announced chan item
	passed    chan struct{} // closed when the turn of all files has passed
	toDigest  chan toDigest
	begun     chan byte // from the receiver: its flags
	came      chan struct{}

	mu     sync.Mutex
	asking bool  // the receiver wants to be asked
	told   int64 // number of announced files
	turn   int64 // of these, the first whose turn has not passed
	wants  map[int64]want
	ahead  map[int64]item // files whose digests may be requested
	// digesting are the files whose digests are requested and not sent yet.
	digesting map[int64]struct{}
	sent      Result // what the manifest holds, and what was left out here

	dropped        map[int64]bool     // files that were announced and then dropped here
	refused        Totals             // of sent, what the receiver could not store
	ended          bool               // the end is sent, or about to be
	repeated       bool               // the receiver has repeated the receipt for an earlier Send
	receiptLeftOut int64              // entries that the receipt counts as left out, on either side
	refusals       map[int64]struct{} // by file number, those that the receiver refused
}

// give sends the receiver the reason why nothing more will come.
func (s *sender) give(err error) {
	if s.b.alive() == nil && s.out.put(recAbort, encodeAbort(err)) == nil && s.out.flush() == nil {
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
		for range digesters {
			contents.Go(s.digests)
		}
	}
	err := s.list(func(l *Listing) error {
		src := newSource(l.tops)
		defer src.close()
		return l.each(s.ctx, func(e listed) error { return s.offer(src, e, ask, links) })
	}, contents.Go)
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
	t, notes := s.sent.Totals, s.sent.Notes
	nothing := t == (Totals{}) && len(notes) > 0
	s.ended = !nothing
	s.mu.Unlock()
	if nothing {
		return &Failure{Path: notes[0].Path, Err: notes[0].Err}
	}
	if s.opts.OnEnd != nil {
		s.opts.OnEnd()
	}
	if err := s.out.put(recEnd, t.encode()); err != nil {
		return err
	}
	return s.out.flush()
}

// list calls do with the listing of what to send, which may still grow.
func (s *sender) list(do func(*Listing) error, start func(func())) error {
	l := s.opts.Listing
	if l == nil {
		var err error
		if l, err = NewListing(s.opts.Paths, ListOptions{Links: s.opts.Links}); err != nil {
			return err
		}
		start(func() { _, _ = l.Fill(s.ctx, nil) }) // the listing reports its error at the end
	}
	s.tops = l.tops // before anything is announced
	return do(l)
}

// offer adds a listed entry to the manifest in its current state, or reports why it is left out. Without ask its
// content follows at once.
func (s *sender) offer(src *source, e listed, ask, links bool) error {
	f, it := s.find(src, e, ask, links)
	if f != nil {
		defer f.Close()
	}
	if it.err == nil && s.skipped[path.Dir(e.path)] { // the folder is not the one that was listed
		it.err = ErrVanished
	}
	if it.err != nil {
		if e.kind == kindFolder {
			s.skipped[e.path] = true
		}
		return s.leftOut(recSkipped, it, it.err)
	}
	if it.kind != kindFile {
		return s.announce(it)
	}
	s.listed += e.size
	if !s.accepts(it.size - e.size) {
		it.err = fmt.Errorf("%w: it has become larger than what was offered", ErrChanged)
		return s.leftOut(recSkipped, it, it.err)
	}
	it.index = s.files
	if !ask {
		return s.push(f, it)
	}
	s.mu.Lock()
	s.files++
	s.told = s.files
	s.ahead[it.index] = it
	s.mu.Unlock()
	if err := s.announce(it); err != nil {
		return err
	}
	select {
	case s.announced <- it:
		return nil
	default: // the limit is reached: let the receiver see the entries
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
}

// find returns a listed entry in its current state. Without ask, a file is open already, because its content follows.
func (s *sender) find(src *source, e listed, ask, links bool) (*os.File, item) {
	it := item{entry: entry{path: e.path, kind: e.kind}}
	switch {
	case e.why != 0:
		it.err = reasonErr(e.why)
		return nil, it
	case e.kind == kindLink && !links:
		it.err = ErrSpecial
		return nil, it
	case e.kind == kindFile && !ask:
		f, it := src.openFile(e.path)
		if !errors.Is(it.err, ErrSpecial) {
			return f, it
		}
	}
	it = src.look(e.path, links)
	switch {
	case it.err != nil:
	case it.kind != e.kind:
		it.err = errOtherType
	case e.kind == kindFile && !ask: // it was something else a moment ago
		it.err = ErrChanged
	}
	return nil, it
}

// accepts reports whether the receiver accepts a file that has grown by some bytes since it was listed. More than that
// is not sent in part: the file may have been replaced, and the beginning of its new version is worth nothing.
func (s *sender) accepts(growth int64) bool {
	if growth <= 0 {
		return true
	}
	if s.grown+growth > min(32<<20, s.listed/32+32<<10) { // guard: replaced-while-waiting
		return false
	}
	s.grown += growth
	return true
}

// announce adds an entry to the manifest.
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

// leftOut notes an entry that is not sent. A dropped file was announced, a skipped entry was not.
func (s *sender) leftOut(kind byte, it item, why error) error {
	why = classify(why)
	if errors.Is(why, ErrResources) { // it can be read later
		return at(it.path, why)
	}
	s.mu.Lock()
	_, refused := s.refusals[it.index]
	if refused = refused && kind == recDropped; !refused {
		s.sent.note(Note{Path: it.path, Err: why})
		s.dropped[it.index] = s.dropped[it.index] || kind == recDropped
	}
	s.mu.Unlock()
	if refused {
		return s.endRefused(it)
	}
	if kind == recDropped {
		return s.out.put(kind, counts(it.index), []byte{reasonOf(why)})
	}
	return s.out.put(kind, []byte{reasonOf(why)}, []byte(it.path[:min(len(it.path), MaxPath)]))
}

// push sends a file without asking first, because the receiver has no part of any file.
func (s *sender) push(f *os.File, it item) error {
	s.mu.Lock()
	s.files++
	s.mu.Unlock()
	if err := s.announce(it); err != nil {
		return err
	}
	return s.content(f, it, want{})
}

// open opens a file and records its current state.
func (s *sender) open(src *source, it *item) (*os.File, error) {
	f, now, err := src.open(it.path, it.info)
	if err != nil {
		return nil, err
	}
	it.describe(now)
	return f, nil
}

// contents answers the receiver's requests in the order of the manifest.
func (s *sender) contents() error {
	defer close(s.passed)
	var src *source
	for it := range s.announced {
		if src == nil { // whatever is announced was listed before
			src = newSource(s.tops)
			defer src.close()
		}
		w, err := s.wanted(it.index)
		if err != nil {
			return err
		}
		if w.identical {
			s.count(Totals{Files: 1, Bytes: it.size})
			if err := s.out.put(recSame, counts(it.index)); err != nil {
				return err
			}
			continue
		}
		if w.have {
			s.count(Totals{Files: 1, Bytes: it.size})
			continue
		}
		now := it
		f, err := s.open(src, &now)
		if err == nil && now.size < it.size {
			_ = f.Close()
			err = ErrChanged
		}
		if err != nil {
			if err := s.leftOut(recDropped, it, err); err != nil {
				return err
			}
			continue
		}
		if now.stamp != it.stamp { // the receiver has part of another version
			it.stamp, w = now.stamp, want{}
		}
		err = s.content(f, it, w)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted waits for the receiver's request for a file.
func (s *sender) wanted(index int64) (want, error) {
	for flushed := false; ; {
		s.mu.Lock()
		w, ok := s.wants[index]
		if ok {
			s.turn = index + 1
			delete(s.wants, index)
			delete(s.ahead, index)
		}
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
