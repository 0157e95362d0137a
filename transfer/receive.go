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
	// ID identifies the transfer. It consists of 1 to 64 characters from a-z and 0-9; a call with the ID of an earlier
	// one resumes it. If it is empty, each call starts a new transfer. Only one call at a time may use an ID.
	ID string
	// Key binds the staged data to its sender: a call with another key does not resume it.
	Key string
	// Resume means that an earlier call has begun the transfer: if none of its data is left, the error is ErrGone.
	Resume bool
	// Began is what OnBegin was called with for this ID, and means that the transfer began in that folder: if its data is
	// not in Dir, and Dir is another folder, such as the mount point of a disk that is not mounted, the error is
	// ErrUnmounted. It may be empty.
	Began string
	// Place is where Dir was when it was chosen: if Dir is elsewhere now and holds no data of this transfer, the error is
	// ErrUnmounted. Empty means that Dir may be anywhere.
	Place Place
	// OnBegin is called if Began is empty or has changed, when Dir is open. It may be nil.
	OnBegin func(began string)
	// Expect is how many bytes the offer announced, and Entries how many files and folders, which take another 4 KiB
	// each. A disk without room for them makes Receive fail at the start. 0 means unknown.
	Expect  int64
	Entries int64
	// Reserve is how many bytes stay free on the disk: 0 for the larger of 1 GiB and a twentieth of it (but no more
	// than a tenth), less than 0 for none.
	Reserve int64
	// Names are top-level names that were offered; each has to arrive or be reported as left out. Items is the total
	// number of top-level names, these included. Without Names any name is admitted.
	Names []string
	Items int64
	// Limit is called for each entry, from one goroutine, with the totals so far. If it returns an error, because they
	// may not arrive, the call ends with that error. Data of earlier calls in the staging folder counts too, and is
	// removed if both exceed the limit. Nil means no limit.
	Limit func(Totals) error
	// Existing is the policy for entries whose name is taken; Choose, if set, decides for each such top-level name
	// instead. It runs on its own goroutine, because it may wait for the user. ctx ends when the answer is no longer
	// needed.
	Existing Existing
	Choose   func(ctx context.Context, name string) Existing
	// Copies records which files here are copies of the sender's, and Sender names that sender. A file that is recorded
	// is not read again to compare it, unless Reread is set. Without Copies, files are always compared by content.
	Copies Copies
	Sender string
	Reread bool
	// KeepExec makes files that are executable at the sender executable for their owner at the receiver.
	KeepExec bool
	// Links accepts symbolic links that stay inside their folder; without it the sender leaves them out.
	Links bool
	// Known reports whether the transfer with this ID will be resumed later: its staged data is then kept, however old.
	// It may be nil.
	Known func(id string) bool
	// OnProgress is called with the progress, from one goroutine, at most ten times a second. It may be nil.
	OnProgress func(Progress)

	check func(op, name string) error // tests use it to make the file system fail
	boot  string                      // tests use it to simulate another boot
}

const (
	// progressInterval is the minimum interval between progress reports, here and to the sender.
	progressInterval = 100 * time.Millisecond
	// heartbeat is the interval at which progress is reported even if there is none.
	heartbeat = 5 * time.Second
	// commitEvery and commitBlocks are the maximum amounts that are processed before the journal is written.
	commitEvery  = 1 << 20
	commitBlocks = 32
	// markEvery is the minimum number of bytes after which the journal records again how much of a file is verified.
	markEvery = 64 << 10
	// maxPathBytes bounds the paths of one transfer, which are kept in memory.
	maxPathBytes = 128 << 20
	// syncEvery and syncWait are the amount of received data and the time after which it is made durable during the
	// transfer.
	syncEvery = 8 << 20
	syncWait  = 2 * time.Second
	// spaceEvery is the amount of data after which free space is checked again, spaceWait the interval while there is
	// none.
	spaceEvery = 16 << 20
	spaceWait  = 500 * time.Millisecond
)

// Receive receives what Send sends, and returns when it is durable under its final names and the receipt is written.
// If it returns earlier, nothing has its final name. What has arrived stays in the staging folder for a week, for a
// call with the same ID, unless either side cancelled the transfer or the sender broke a rule; the reason is sent to
// the sender. While the disk is full, Receive waits. Once publishing has begun, neither cancelling nor broken lanes
// undo it: what is delivered stays delivered, and a later call with the same ID sends the receipt again.
func Receive(ctx context.Context, lanes <-chan Pipe, opts ReceiveOptions) (Result, error) {
	start := time.Now()
	b := newBundle()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { b.fail(causeOf(ctx)) })()
	b.attachAll(lanes)

	r := newReceiver(ctx, b, opts)
	for _, n := range opts.Names {
		r.missing[n] = struct{}{}
	}
	err := r.run()
	if err != nil {
		err = classify(r.explain(err))
		if b.alive() == nil && !errors.Is(err, ErrInterrupted) { // an interruption says nothing about the transfer
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

// Recover completes, without its sender, a transfer whose data had all arrived before the program ended. It returns
// true if the transfer is published now, by this call or an earlier one.
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

func newReceiver(ctx context.Context, b *bundle, opts ReceiveOptions) *receiver {
	return &receiver{
		ctx: ctx, b: b, opts: opts, out: packer{to: b}, plan: newPlan(), pending: map[int64]*incoming{},
		merging: map[string]Existing{}, merges: map[string]bool{}, synced: make(chan error, 1),
		missing: map[string]struct{}{}, linked: map[uint64]struct{}{}, under: map[string]Totals{}, lacking: map[string]error{},
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

	path        string              // of the previous entry
	paths       int                 // total bytes of all paths
	index       int64               // number of the next file
	seen        Totals              // announced
	left        Totals              // what earlier attempts have left here and this one has not announced
	fromStart   int                 // how many of the journal's entries discardLeftovers has passed for files
	fromEnd     int                 // and for folders
	refused     Totals              // of these, what cannot be stored here
	under       map[string]Totals   // by the sender's top-level name: what is stored here
	topsRenamed int64               // the part of result.Renamed that are top-level names assigned when publishing
	others      int64               // number of top-level entries that were not named
	linked      map[uint64]struct{} // keys of the paths of links
	missing     map[string]struct{} // top-level names that were offered and have not arrived
	lacking     map[string]error    // the sender's paths of folders that could not be created here, and why
	pending     map[int64]*incoming
	cur         *incoming // the file whose content is arriving
	tops        []topEntry
	merging     map[string]Existing // by top-level name: entries that are merged into existing ones
	merges      map[string]bool     // see mergesInto
	parts       []part              // the entries below those
	below       map[string][]int    // see partsOf
	links       []part
	result      Result

	blocks  []*block // processed, but not in the journal yet
	blocked int      // their bytes

	dirty     []string // files that were written but not synced
	dirtyN    int64
	syncing   bool
	syncStart time.Time
	syncTo    int64 // the journal's length when the running sync began
	durable   int64
	lost      bool // a sync has failed: what came since the previous one is unknown
	synced    chan error

	unasked     int64       // bytes since free space was last checked
	toAsk       []*incoming // files to compare whose digests have yet to be requested
	asked       int         // number of requested files that have not been sent yet
	toCompare   chan *incoming
	comparisons sync.WaitGroup
	differMu    sync.Mutex
	differ      []string // our paths of files that differ from the sender's, not in the journal yet
	same        []unchanged
	copies      []CopyKey // opts.Copies, sorted; nil until they are needed
	newCopies   []CopyKey // recorded by this call
	reporting   func()

	bytes, files atomic.Int64 // verified
	phase        atomic.Int64
}

// incoming is a file that was announced and is not complete.
type incoming struct {
	entry
	index int64
	saved string
	from  int64 // bytes that are already here
	held  *held

	part int // part and top are its indexes in parts and tops; -1 is none
	top  int

	refused bool // it cannot be stored here; its content is discarded

	slot     bool          // it counts in receiver.asked
	compared chan struct{} // nil if there is nothing to compare with; closed when the comparison is done
	piece    int64         // size of a piece
	theirs   []pieceDigest // the sender's digests
	old      *os.File      // the existing file of that name
	oldStamp uint64
	copy     CopyKey // to record if it is identical; zero if it is recorded or must not be
	same     bool    // the whole file is identical
	proven   int64   // number of the piece of the old file that was last digested again, plus one

	f      *os.File
	pos    int64
	tail   *tail
	marked int64 // how much of pos is in the journal
}

// unchanged is a file that already existed.
type unchanged struct {
	saved string
	stamp uint64
	copy  CopyKey // see incoming
}

// topEntry is an entry to publish at the top level.
type topEntry struct {
	entry
	saved     string
	unchanged bool // it already exists
	gone      bool // it was dropped
}

// part is an entry below a top-level name that is merged into an existing folder, or a link.
type part struct {
	entry
	saved string
	again bool // of a link: an earlier attempt may have created it
	gone  bool // it was dropped, or already exists
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
	r.stage.findTracking() // before comparisons run on other goroutines
	r.ask = past != nil || r.opts.Existing != KeepBoth || r.opts.Choose != nil
	if past != nil {
		r.durable = past.durable
		for _, h := range past.order {
			r.plan.hold(h.saved)
			if !h.gone {
				r.left = r.left.plus(h.entry().totals()) // also of a file under way, which may hold more than the journal says
			}
			if h.fresh && h.pos > 0 { // written by a program that died before it was durable
				r.dirty = append(r.dirty, h.saved)
				r.dirtyN += h.pos
			}
		}
		recorded := func(path string) bool { _, held := r.plan.taken[r.plan.key(path)]; return held }
		if err := r.stage.removeUnrecorded(r.ctx, recorded); err != nil {
			return err
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
	if len(r.newCopies) > 0 {
		r.opts.Copies.Add(r.newCopies)
	}
	r.reporting() // no progress after the receipt
	return r.receipt()
}
