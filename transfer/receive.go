package transfer

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ReceiveOptions say where and how to receive.
type ReceiveOptions struct {
	Dir string // the folder to publish in; it must exist
	// ID names the transfer, 1 to 64 of a-z and 0-9: a call with the ID of an earlier one goes on with what is here of
	// it. Empty is a new one each time. One call at a time for an ID.
	ID string
	// Key binds what is here to who sends it: with another key it is not gone on with.
	Key string
	// Resume tells that an earlier call has begun it: if nothing is here any more that is ErrGone.
	Resume bool
	// Expect is how many bytes the offer announced; a disk without room for them refuses at the start. 0 is unknown.
	Expect int64
	// Reserve is how many bytes stay free on the disk: 0 for the larger of 1 GiB and a twentieth of it (but no more than
	// a tenth), less than 0 for none.
	Reserve int64
	// Names are the top-level names that were offered; nil admits any.
	Names []string
	// Limit says how much may come at the most. It is asked for each entry, from one goroutine; nil is no limit.
	Limit func() Totals
	// Existing says what becomes of entries whose name is taken; Choose, if set, is asked for each such top-level name. It
	// runs on a goroutine of its own, since it may wait for a person: if Receive ends before it does, its answer counts for
	// nothing.
	Existing Existing
	Choose   func(name string) Existing
	// KeepExec lets files that are executable at the sender be executable by their owner here.
	KeepExec bool
	// Links takes symbolic links that stay inside their folder; without it the sender leaves them out.
	Links bool
	// Known tells the IDs of transfers that are to go on some time: what is here of them stays, however old. It may be nil.
	Known func(id string) bool
	// Told is called from one goroutine, at most ten times a second. It may be nil.
	Told func(Progress)

	check func(op, name string) error // tests make the file system fail with it
	boot  string                      // and pretend another run of the system
}

const (
	// progressInterval is how often progress is told, here and to the sender.
	progressInterval = 100 * time.Millisecond
	// heartbeat is how often it is told even if there is none.
	heartbeat = 5 * time.Second
	// commitEvery and commitBlocks are after how much the journal is written, at the most.
	commitEvery  = 1 << 20
	commitBlocks = 32
	// maxCompared is how many files may have been compared whose turn has not come.
	maxCompared = 64
	// maxPathBytes bounds the paths of one transfer, which are kept in memory.
	maxPathBytes = 128 << 20
	// syncEvery and syncWait are after how many bytes, or how long, what has arrived is made durable on the way.
	syncEvery = 8 << 20
	syncWait  = 2 * time.Second
	// spaceEvery is after how many bytes the disk is asked again whether it has room, roomWait how often while it has none.
	spaceEvery = 16 << 20
	roomWait   = 500 * time.Millisecond
)

// Receive takes what Send sends and returns when it is durable under its final names and the receipt is written. When
// it ends before, nothing is under a final name. What has arrived stays in the staging folder for a call with the
// same ID, for a week, unless the transfer was cancelled by either side or the sender broke a rule; the sender is told
// the reason. While the disk is full it waits. Once publishing has begun it is neither cancelled nor undone by broken
// lanes: what is delivered stays delivered, and a later call with the same ID gives the receipt again.
func Receive(ctx context.Context, lanes <-chan Pipe, opts ReceiveOptions) (Result, error) {
	start := time.Now()
	b := newBundle()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { b.fail(causeOf(ctx)) })()
	b.attachAll(lanes)

	r := newReceiver(ctx, b, opts)
	err := r.run()
	if err != nil {
		err = classify(err)
		if b.alive() == nil {
			r.give(err)
		}
		b.fail(err)
	}
	b.wait()
	r.end(err)
	r.result.Moved = b.sentBytes()
	r.result.Duration = time.Since(start)
	return r.result, err
}

// Recover completes a transfer of which everything has arrived before the program ended, without its sender: true if
// it is published now, by this call or before.
func Recover(opts ReceiveOptions) (Result, bool, error) {
	opts.Resume = true
	b := newBundle()
	defer b.wait()
	defer b.fail(errEnded)
	r := newReceiver(context.Background(), b, opts)
	var err error
	if r.stage, err = openStage(opts); err != nil {
		return Result{}, false, err
	}
	defer r.stage.close()
	if r.stage.past.ended == nil {
		return Result{}, false, nil
	}
	err = r.again()
	return r.result, err == nil, classify(err)
}

// drops tells an end after which nothing is kept: somebody wanted it so, or the sender cannot be trusted.
func drops(err error) bool {
	for _, e := range []error{ErrCancelled, ErrProtocol, ErrBadName, ErrTooMany, ErrTooMuch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func newReceiver(ctx context.Context, b *bundle, opts ReceiveOptions) *receiver {
	return &receiver{
		ctx: ctx, b: b, opts: opts, out: packer{to: b}, plan: newPlan(), pending: map[int64]*incoming{},
		merging: map[string]Existing{}, synced: make(chan error, 1), compared: make(chan struct{}, maxCompared),
	}
}

type receiver struct {
	ctx   context.Context
	b     *bundle
	opts  ReceiveOptions
	out   packer
	plan  *plan
	stage *stage
	ask   bool

	path    string // of the entry before
	paths   int    // bytes of all
	index   int64  // of the next file
	seen    Totals // announced
	pending map[int64]*incoming
	cur     *incoming // whose content comes
	tops    []topEntry
	merging map[string]Existing // by top-level name: goes into what is there
	parts   []part              // of those
	links   []part
	result  Result

	blocks  []*block // processed, not in the journal yet
	blocked int      // bytes of them

	dirty     []string // files that were written and not synced
	dirtyN    int64
	syncing   bool
	syncStart time.Time
	syncTo    int64 // the journal's length when the sync under way began
	durable   int64
	lost      bool // a sync has failed: what came since the one before is unknown
	synced    chan error

	unasked     int64 // bytes since the disk was last asked for room
	toCompare   chan *incoming
	compared    chan struct{} // one for each file that was compared and whose turn has not come
	comparisons sync.WaitGroup
	same        []unchanged
	reporting   func()

	bytes, files atomic.Int64 // verified
	phase        atomic.Int64
}

// incoming is a file that was announced and is not whole.
type incoming struct {
	entry
	index int64
	saved string
	from  int64 // what is here of it
	held  *held

	part int // its place in parts and tops; -1 is none
	top  int

	compared chan struct{} // nil if there is nothing to compare with; closed when that is done
	sums     want
	old      *os.File
	oldStamp uint64
	slot     bool  // it has a place in receiver.compared
	proven   int64 // the piece of the old file that was digested again, and one

	f      *os.File
	pos    int64
	tail   *tail
	marked int64 // of pos, what is in the journal
}

// unchanged is a file that was there already.
type unchanged struct {
	saved string
	stamp uint64
}

// topEntry is something to publish at the top level.
type topEntry struct {
	saved     string
	kind      kind
	unchanged bool // it is there already
	gone      bool // it was dropped
}

// part is an entry below a top-level name that goes into what is there, or a link.
type part struct {
	entry
	saved string
	gone  bool // it was dropped, or is there already
}

func (r *receiver) run() error {
	var err error
	if r.stage, err = openStage(r.opts); err != nil {
		return err
	}
	past := r.stage.past
	if past != nil && past.ended != nil {
		r.phase.Store(int64(Finishing))
		if err := r.again(); err != nil {
			return err
		}
		return r.receipt()
	}
	r.ask = past != nil || r.opts.Existing != KeepBoth || r.opts.Choose != nil
	if past != nil {
		r.durable = past.durable
		for _, h := range past.order {
			r.plan.hold(h.saved)
			if h.fresh && h.pos > 0 { // written by a program that died before it was durable
				r.dirty = append(r.dirty, h.saved)
				r.dirtyN += h.pos
			}
		}
		n, files := past.bytes()
		r.bytes.Store(n)
		r.files.Store(files)
	}
	flags := byte(0)
	if r.ask {
		flags |= goAsk
	}
	if r.opts.Links {
		flags |= goLinks
	}
	if err := r.out.put(recGo, []byte{flags}); err != nil {
		return err
	}
	if err := r.out.flush(); err != nil {
		return err
	}
	r.reporting = r.report()
	defer r.reporting()
	if err := r.takeAll(); err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	r.reporting() // no progress after the receipt
	return r.receipt()
}
