package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ReceiveOptions say where and how to receive.
type ReceiveOptions struct {
	Dir string // the folder to publish in; it must exist
	// Expect is how many bytes the offer announced; a disk without room for them refuses at the start. 0 is unknown.
	Expect int64
	// Names are the top-level names that were offered; nil admits any.
	Names []string
	// Limit says how much may come at the most. It is asked for each entry, from one goroutine; nil is no limit.
	Limit func() Totals
	// KeepExec lets files that are executable at the sender be executable by their owner here.
	KeepExec bool
	// Told is called from one goroutine, at most ten times a second. It may be nil.
	Told func(Progress)
}

const (
	// progressInterval is how often progress is told, here and to the sender.
	progressInterval = 100 * time.Millisecond
	// heartbeat is how often it is told even if there is none.
	heartbeat = 5 * time.Second
	// stallTimeout is how long the other side may show no progress.
	stallTimeout = time.Minute
	// abortTimeout is how long a reason may take to reach a sender.
	abortTimeout = 2 * time.Second
	// spaceEvery is after how many bytes the disk is asked again whether it has room.
	spaceEvery = 256 << 20
)

// Receive takes what Send sends and returns when it is durable under its final names and the receipt is written.
// On an error nothing is left under a final name, the staging folder is gone, and the sender is told the reason.
// The one exception is a disk that fails between publishing two top-level entries: Saved then lists what was. Once
// publishing has begun it is neither cancelled nor undone by a broken pipe: what is delivered stays delivered.
func Receive(ctx context.Context, p Pipe, opts ReceiveOptions) (Result, error) {
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, p.Interrupt)()

	r := &receiver{ctx: ctx, cancel: cancel, pipe: p, opts: opts, plan: newPlan(), syncing: make(chan struct{}, syncers)}
	err := r.run()
	r.syncs.Wait()
	if r.stage != nil {
		r.stage.remove()
	}
	cause := context.Cause(ctx)
	switch {
	case err != nil && errors.Is(cause, context.Canceled):
		err = ErrCancelled
	case err != nil && cause != nil:
		err = cause
	case err != nil:
		r.abort(err)
	}
	r.reading.Wait()
	r.result.Duration = time.Since(start)
	return r.result, err
}

// syncers is how many finished files are made durable at once: file systems put concurrent fsyncs into one
// journal commit.
const syncers = 16

type receiver struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	pipe   Pipe
	opts   ReceiveOptions
	plan   *plan
	stage  *stage

	reading sync.WaitGroup
	writing sync.Mutex // one record at a time into the pipe

	file   *os.File // under way
	now    entry
	saved  string
	got    int64
	sum    hash.Hash
	got256 digest
	// unasked counts the bytes since the disk was last asked for room.
	unasked int64
	tops    []topEntry
	result  Result

	bytes, files atomic.Int64 // verified
	phase        atomic.Int64

	syncing chan struct{}
	syncs   sync.WaitGroup
	failed  atomic.Pointer[error] // of a syncer
}

// topEntry is something to publish.
type topEntry struct {
	saved  string
	folder bool
}

type op struct {
	kind byte
	body []byte
	err  error
}

func (r *receiver) run() error {
	ops, stop := r.read() // first, so that a reason not to begin finds its way out
	defer stop()
	var err error
	if r.stage, err = openStage(r.opts.Dir, r.opts.Expect); err != nil {
		return classify(err)
	}
	done := r.report()
	defer done()
	for {
		var o op
		select {
		case o = <-ops:
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		if o.err != nil {
			return fmt.Errorf("receiving: %w", o.err)
		}
		end, err := r.take(o)
		if err == nil {
			err = r.syncError()
		}
		if err != nil {
			r.closeFile()
			return classify(err)
		}
		if !end {
			continue
		}
		if err := r.finish(); err != nil {
			return classify(err)
		}
		done() // no progress after the receipt
		t := r.result.Totals
		// If the sender is gone it does not learn that all of it is here, but here it is.
		_ = r.write(recReceipt, counts(t.Files, t.Folders, t.Bytes))
		return nil
	}
}

// read parses records on its own goroutine, ahead of the disk. After stop it reads on without keeping anything, so
// that the sender is not stuck in a write when the reason comes, until the pipe ends.
func (r *receiver) read() (ops <-chan op, stop func()) {
	out := make(chan op, ahead)
	quit := make(chan struct{})
	r.reading.Go(func() {
		in := newRecordReader(r.pipe)
		for {
			kind, body, err := in.next(buffers.get)
			if kind != recChunk {
				body = append([]byte(nil), body...)
			}
			select {
			case out <- op{kind, body, err}:
			case <-quit:
			}
			if err != nil || kind == recEnd || kind == recAbort {
				return
			}
		}
	})
	return out, sync.OnceFunc(func() { close(quit) })
}

// buffers recycles those of received chunks.
var buffers = bufferPool{size: maxChunk}

// take processes one record; true at the end of the manifest.
func (r *receiver) take(o op) (end bool, err error) {
	if r.file == nil && (o.kind == recChunk || o.kind == recFileEnd || o.kind == recDropped) ||
		r.file != nil && (o.kind == recEntry || o.kind == recEnd) {
		return false, fmt.Errorf("%w: record %q out of order", ErrProtocol, o.kind)
	}
	switch o.kind {
	case recEntry:
		return false, r.begin(o.body)
	case recChunk:
		err := r.chunk(o.body)
		buffers.put(o.body)
		return false, err
	case recFileEnd:
		return false, r.endFile(o.body)
	case recDropped, recSkipped:
		return false, r.leftOut(o)
	case recEnd:
		t, err := decodeTotals(o.body)
		if err == nil && t != r.result.Totals {
			err = fmt.Errorf("%w: %+v announced, %+v arrived", ErrProtocol, t, r.result.Totals)
		}
		return true, err
	case recAbort:
		return false, abortError(o.body)
	}
	return false, fmt.Errorf("%w: unknown record %q", ErrProtocol, o.kind)
}

func (r *receiver) begin(body []byte) error {
	e, err := decodeEntry(body)
	if err != nil {
		return err
	}
	if err := r.admit(e); err != nil {
		return err
	}
	saved, err := r.plan.add(e.path, e.folder)
	if err != nil {
		return err
	}
	if saved != e.path {
		r.result.note(Note{Path: e.path, Saved: saved})
		if err := r.write(recNote, encodeNote(e.path, saved)); err != nil {
			return err
		}
	}
	if !strings.Contains(saved, "/") {
		r.tops = append(r.tops, topEntry{saved, e.folder})
	}
	if e.folder {
		if err := r.stage.mkdir(saved, e.modTime); err != nil {
			return err
		}
		r.result.Folders++
		return nil
	}
	f, err := r.stage.create(saved)
	if err != nil {
		return err
	}
	r.file, r.now, r.saved, r.got, r.sum = f, e, saved, 0, sha256.New()
	return nil
}

// admit holds an entry against what was offered and accepted.
func (r *receiver) admit(e entry) error {
	if r.opts.Names != nil && !strings.Contains(e.path, "/") && !slices.Contains(r.opts.Names, e.path) {
		return fmt.Errorf("%w: %q", ErrTooMuch, e.path)
	}
	if r.opts.Limit == nil {
		return nil
	}
	most := r.opts.Limit()
	if e.folder && r.result.Folders >= most.Folders || !e.folder && (r.result.Files >= most.Files || e.size > most.Bytes-r.result.Bytes) {
		return ErrTooMuch
	}
	return nil
}

func (r *receiver) chunk(body []byte) error {
	if len(body) <= sha256.Size {
		return fmt.Errorf("%w: empty chunk", ErrProtocol)
	}
	want, data := body[:sha256.Size], body[sha256.Size:]
	if int64(len(data)) > r.now.size-r.got {
		return fmt.Errorf("%w: more bytes than announced", ErrProtocol)
	}
	r.got256 = sha256.Sum256(data)
	if string(want) != string(r.got256[:]) {
		return ErrDigest
	}
	if _, err := r.file.Write(data); err != nil {
		return err
	}
	r.sum.Write(want)
	r.got += int64(len(data))
	r.bytes.Add(int64(len(data)))
	if r.unasked += int64(len(data)); r.unasked >= spaceEvery {
		r.unasked = 0
		return r.stage.room()
	}
	return nil
}

func (r *receiver) endFile(body []byte) error {
	if r.got != r.now.size {
		return fmt.Errorf("%w: %d of %d bytes", ErrProtocol, r.got, r.now.size)
	}
	if string(body) != string(r.sum.Sum(nil)) {
		return ErrDigest
	}
	f, e, saved := r.file, r.now, r.saved
	r.file = nil
	r.result.Files++
	r.result.Bytes += e.size
	r.syncing <- struct{}{}
	r.syncs.Go(func() {
		defer func() { <-r.syncing }()
		if err := r.stage.seal(f, saved, e, r.opts.KeepExec); err != nil {
			r.failed.CompareAndSwap(nil, &err)
			return
		}
		r.files.Add(1)
	})
	return nil
}

func (r *receiver) syncError() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// leftOut notes what the sender could not send, and removes what had arrived of it.
func (r *receiver) leftOut(o op) error {
	if len(o.body) < 2 {
		return badRecord(o.kind)
	}
	if o.kind == recDropped {
		r.closeFile()
		r.bytes.Add(-r.got)
		if err := r.stage.discard(r.saved); err != nil {
			return err
		}
		if n := len(r.tops); n > 0 && r.tops[n-1].saved == r.saved {
			r.tops = r.tops[:n-1]
		}
	}
	r.result.note(Note{Path: string(o.body[1:]), Err: reasonErr(o.body[0])})
	return nil
}

func (r *receiver) closeFile() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

// finish makes all durable and publishes it. From here on a cancellation comes too late.
func (r *receiver) finish() error {
	r.phase.Store(int64(Finishing))
	r.syncs.Wait()
	if err := r.syncError(); err != nil {
		return err
	}
	if len(r.tops) == 0 {
		return errNothing(r.result.Notes)
	}
	if err := r.stage.syncFolders(); err != nil {
		return err
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	for _, t := range r.tops {
		name, err := r.stage.publish(t)
		if err != nil {
			return fmt.Errorf("publishing %q: %w", t.saved, err)
		}
		r.result.Saved = append(r.result.Saved, name)
		if name != t.saved {
			r.result.note(Note{Path: t.saved, Saved: name})
			_ = r.write(recNote, encodeNote(t.saved, name)) // too late to turn back
		}
	}
	return r.stage.syncInbox()
}

// errNothing says why not one entry arrived.
func errNothing(notes []Note) error {
	for _, n := range notes {
		if n.Err != nil {
			return n.Err
		}
	}
	return fmt.Errorf("%w: an empty manifest", ErrProtocol)
}
