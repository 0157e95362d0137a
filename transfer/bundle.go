package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Pipe is a reliable byte stream to the other end, such as a QUIC stream or a TLS connection.
type Pipe interface {
	io.Reader
	io.Writer
	// CloseWrite ends our direction; data already written still arrives.
	CloseWrite() error
	// Interrupt makes all pending and later calls fail. It may be called more than once and concurrently.
	Interrupt()
}

// Limits and timeouts of a bundle.
const (
	// sendWindow is how many bytes may be in flight without the other side's acknowledgement. It bounds how much is
	// sent again when all lanes break at once.
	sendWindow = 8 << 20
	// sendBlocks is the same limit in blocks: a small block takes as much memory as a large one.
	sendBlocks = 128
	// beatEvery is how often a lane shows that it is alive; silence is how long it may be quiet before it is closed.
	beatEvery = 1500 * time.Millisecond
	silence   = 6 * time.Second
	// hedgeAfter is the age of the oldest block at which an idle lane sends it a second time.
	hedgeAfter = 500 * time.Millisecond
	// ackEvery is how many bytes are processed before an acknowledgement is sent, and ackWait the longest delay before
	// it.
	ackEvery = 1 << 20
	ackWait  = 2 * time.Millisecond
)

// Frames on a pipe: a block with its number and length, or the number up to which blocks were processed.
const (
	frameBlock = 'B'
	frameTaken = 'K'
	takenLen   = 9
)

// errEnded is what calls return after a bundle was closed on purpose.
var errEnded = errors.New("the bundle is closed")

// bundle turns its lanes, pipes that come and go, into one ordered stream of blocks in each direction. Whichever lane
// is free takes the next block, so each carries as much as it can. The blocks of a lane that dies are sent again over
// another lane; duplicates are dropped. A block counts as taken when the other end has processed it.
type bundle struct {
	mu    sync.Mutex
	work  *sync.Cond // signals the lanes' writers: there is something to write
	freed *sync.Cond // signals senders that the window has room, and drain that everything is acknowledged
	came  *sync.Cond // signals the receiver: the next block has arrived
	err   error
	quit  chan struct{} // closed when err is set
	wg    sync.WaitGroup

	lanes   map[*lane]struct{}
	closing bool // the end of a lane is no longer a failure

	next       uint64   // number of the next new block
	queue      []*block // new blocks that no lane has taken
	again      []*block // blocks to send again
	out        []*block // sent but not yet acknowledged, in order; includes those in again
	takenBytes int64    // of all blocks that the other side has taken
	bytes      int      // size of queue and out

	want       uint64            // number of the next expected block
	early      map[uint64]*block // blocks that arrived out of order
	earlyBytes int
	given      int    // bytes handed out and not yet returned by done
	givenN     int    // number of those blocks
	taken      uint64 // blocks processed here
	reported   uint64 // the part of taken that was acknowledged to the other side
	unreported int    // bytes not yet acknowledged
	reportedAt time.Time
	due        bool // an acknowledgement is due now
	timer      *time.Timer

	moved int64 // bytes of blocks sent, including repetitions
}

// lane is one pipe of a bundle.
type lane struct {
	pipe  Pipe
	dead  bool
	heard time.Time
	spoke time.Time
	beat  bool // the lane has been quiet for beatEvery
}

func newBundle() *bundle {
	b := &bundle{lanes: map[*lane]struct{}{}, early: map[uint64]*block{}, quit: make(chan struct{})}
	b.work, b.freed, b.came = sync.NewCond(&b.mu), sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	b.timer = time.AfterFunc(time.Hour, b.tellNow)
	b.wg.Go(b.watch)
	return b
}

// attach adds a lane to the bundle. The lane is closed with the bundle.
func (b *bundle) attach(p Pipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		p.Interrupt()
		return
	}
	l := &lane{pipe: p, heard: time.Now(), spoke: time.Now()}
	b.lanes[l] = struct{}{}
	b.wg.Go(func() { b.write(l) })
	b.wg.Go(func() { b.read(l) })
}

// fail ends the bundle with err: every call returns it and every lane is interrupted. It is idempotent.
func (b *bundle) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failLocked(err)
}

func (b *bundle) failLocked(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	close(b.quit)
	for l := range b.lanes {
		l.dead = true
		l.pipe.Interrupt()
	}
	b.timer.Stop()
	b.work.Broadcast()
	b.freed.Broadcast()
	b.came.Broadcast()
}

// closeTimeout is how long a graceful close of a bundle may take.
const closeTimeout = 2 * time.Second

// close ends the bundle gracefully, after drain: the other side reads what was written and then the end, and we wait
// for its end.
func (b *bundle) close() {
	timer := time.NewTimer(closeTimeout)
	b.mu.Lock()
	b.closing = true
	for l := range b.lanes {
		b.wg.Go(func() { _ = l.pipe.CloseWrite() }) // CloseWrite may block behind a stalled write
	}
	if len(b.lanes) == 0 {
		b.failLocked(errEnded)
	}
	b.mu.Unlock()
	defer timer.Stop()
	select {
	case <-b.quit:
	case <-timer.C:
		b.fail(errEnded)
	}
}

// alive returns nil until the bundle has ended, and then the reason.
func (b *bundle) alive() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// wait returns when every goroutine of the bundle has ended, after fail or close.
func (b *bundle) wait() { b.wg.Wait() }

// laneDown handles the end of a lane: its blocks are sent again over the others.
func (b *bundle) laneDown(l *lane, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.dead {
		return
	}
	l.dead = true
	delete(b.lanes, l)
	l.pipe.Interrupt()
	for _, k := range b.out {
		if k.lane == l {
			k.lane = nil
			b.again = append(b.again, k)
		}
	}
	slices.SortFunc(b.again, func(x, y *block) int { return int(int64(x.seq - y.seq)) })
	b.reported, b.due = 0, b.taken > 0 // the acknowledgement may have been sent over this lane only
	if len(b.lanes) == 0 {
		if b.closing {
			err = errEnded
		} else {
			err = fmt.Errorf("%w: %w", ErrInterrupted, err) // the last lane is gone
		}
		b.failLocked(err)
	}
	b.work.Broadcast()
}

// send queues a block and waits while the window is full. The bundle owns the block from then on.
func (b *bundle) send(k *block) error {
	n := len(k.buf)
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && (b.bytes > 0 && b.bytes+n > sendWindow || len(b.queue)+len(b.out) >= sendBlocks) {
		b.freed.Wait()
	}
	if b.err != nil {
		k.release()
		return b.err
	}
	k.seq = b.next
	b.next++
	k.seal()
	b.bytes += n
	b.queue = append(b.queue, k)
	b.work.Signal()
	return nil
}

// pickLocked chooses the next block that l writes.
func (b *bundle) pickLocked(l *lane, now time.Time) *block {
	var k *block
	switch {
	case len(b.again) > 0:
		k, b.again = b.again[0], b.again[1:]
	case len(b.queue) > 0:
		k, b.queue = b.queue[0], b.queue[1:]
		b.out = append(b.out, k)
	case len(b.out) > 0 && len(b.lanes) > 1 && b.out[0].lane != l && b.out[0].hedges < 2 && now.Sub(b.out[0].at) > hedgeAfter:
		k = b.out[0]
		k.hedges++
	default:
		return nil
	}
	k.lane, k.at = l, now
	k.writing++
	b.moved += int64(len(k.buf))
	return k
}

// write is the writer of one lane.
func (b *bundle) write(l *lane) {
	var head [takenLen]byte
	head[0] = frameTaken
	for {
		b.mu.Lock()
		var k *block
		report := false
		for {
			if b.err != nil || l.dead {
				b.mu.Unlock()
				return
			}
			now := time.Now()
			report = b.due || l.beat
			if k = b.pickLocked(l, now); k != nil || report {
				l.spoke = now
				break
			}
			b.work.Wait()
		}
		taken := b.taken
		if report {
			b.due, l.beat = false, false
			b.unreported, b.reportedAt = 0, l.spoke
			binary.BigEndian.PutUint64(head[1:], taken)
		}
		b.mu.Unlock()
		var err error
		if report {
			_, err = l.pipe.Write(head[:])
		}
		if k != nil && err == nil {
			_, err = l.pipe.Write(k.buf)
		}
		b.mu.Lock()
		if report && err == nil && !l.dead {
			b.reported = max(b.reported, taken)
			b.freed.Broadcast() // for drain
		}
		if k != nil {
			k.writing--
			k.tryReleaseLocked()
		}
		b.mu.Unlock()
		if err != nil {
			b.laneDown(l, err)
			return
		}
	}
}

// read is the reader of one lane.
func (b *bundle) read(l *lane) {
	in := newFrameReader(l.pipe)
	for {
		k, taken, err := in.next()
		if err == nil {
			err = b.arrived(l, k, taken)
		}
		if err != nil {
			if errors.Is(err, ErrProtocol) {
				b.fail(err)
			}
			b.laneDown(l, err)
			return
		}
	}
}

// arrived processes a frame: a block, or an acknowledgement of ours.
func (b *bundle) arrived(l *lane, k *block, taken uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.heard = time.Now()
	if k == nil {
		return b.acknowledgedLocked(taken)
	}
	if b.err != nil || k.seq < b.want || b.early[k.seq] != nil {
		k.release()
		b.due = true // the sender does not know yet that we have it
		b.work.Signal()
		return nil
	}
	if b.earlyBytes+b.given+len(k.buf) > 2*sendWindow || k.seq >= b.want+2*sendBlocks || len(b.early)+b.givenN >= 2*sendBlocks { // guard: blocks-ahead
		k.release()
		return fmt.Errorf("%w: more data than the window allows", ErrProtocol)
	}
	b.early[k.seq] = k
	b.earlyBytes += len(k.buf)
	if k.seq == b.want {
		b.came.Broadcast()
	}
	return nil
}

// acknowledgedLocked drops the blocks below taken.
func (b *bundle) acknowledgedLocked(taken uint64) error {
	if taken > b.next { // guard: taken-ahead
		return fmt.Errorf("%w: a block that was not sent was acknowledged", ErrProtocol)
	}
	n := 0
	for n < len(b.out) && b.out[n].seq < taken {
		b.bytes -= len(b.out[n].buf)
		b.takenBytes += int64(len(b.out[n].buf))
		b.out[n].taken = true
		n++
	}
	if n == 0 {
		return nil
	}
	b.again = slices.DeleteFunc(b.again, func(k *block) bool { return k.taken })
	for _, k := range b.out[:n] {
		k.tryReleaseLocked()
	}
	b.out = slices.Delete(b.out, 0, n)
	b.freed.Broadcast()
	return nil
}

// acknowledged returns how many of our blocks, and of the bytes in them, the other side has taken.
func (b *bundle) acknowledged() (blocks uint64, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next - uint64(len(b.queue)+len(b.out)), b.takenBytes
}

// stuck reports whether blocks wait for a lane and there is none.
func (b *bundle) stuck() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lanes) == 0 && len(b.queue) > 0
}

// recv waits for the next block in order. The caller returns it with done.
func (b *bundle) recv() (*block, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.early[b.want] == nil {
		if b.err != nil {
			return nil, b.err
		}
		if b.unreported > 0 {
			b.tellSoonLocked()
		}
		b.came.Wait()
	}
	k := b.early[b.want]
	delete(b.early, b.want)
	b.earlyBytes -= len(k.buf)
	b.given += len(k.buf)
	b.givenN++
	b.want++
	return k, nil
}

// ready reports whether recv would return at once.
func (b *bundle) ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil || b.early[b.want] != nil
}

// done reports that the newest block returned by recv is processed and no longer needed.
func (b *bundle) done(k *block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = k.seq + 1
	b.unreported += len(k.buf)
	b.given -= len(k.buf)
	b.givenN--
	k.release()
	if b.unreported >= ackEvery {
		b.due = true
		b.work.Signal()
	}
}

// tellSoonLocked schedules an acknowledgement, at most one every ackWait.
func (b *bundle) tellSoonLocked() {
	if since := time.Since(b.reportedAt); since < ackWait {
		b.timer.Reset(ackWait - since)
		return
	}
	b.due = true
	b.work.Signal()
}

func (b *bundle) tellNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && b.unreported > 0 {
		b.due = true
		b.work.Signal()
	}
}

// drain waits until the other side has acknowledged everything and was sent all our acknowledgements, or until limit.
// It returns nil if the other side has acknowledged everything.
func (b *bundle) drain(limit time.Duration) error {
	late := false
	timer := time.AfterFunc(limit, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		late = true
		b.freed.Broadcast()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reported < b.taken {
		b.due = true
		b.work.Signal()
	}
	for b.err == nil && !late && (b.bytes > 0 || b.reported < b.taken) {
		b.freed.Wait()
	}
	switch {
	case b.bytes == 0: // even if the lanes have ended since
		return nil
	case b.err == nil:
		return ErrStalled
	}
	return b.err
}

// watch looks for lanes that have fallen silent and for blocks that are late.
func (b *bundle) watch() {
	t := time.NewTicker(hedgeAfter / 2)
	defer t.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-t.C:
		}
		now := time.Now()
		var silent []*lane
		b.mu.Lock()
		for l := range b.lanes {
			if now.Sub(l.heard) > silence {
				silent = append(silent, l)
			}
			if now.Sub(l.spoke) > beatEvery {
				l.beat = true
			}
		}
		b.work.Broadcast()
		b.mu.Unlock()
		for _, l := range silent {
			b.laneDown(l, fmt.Errorf("%w: nothing heard for %v", ErrStalled, silence))
		}
	}
}

// sentBytes returns the number of bytes given to lanes, including repetitions.
func (b *bundle) sentBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.moved
}

// attachAll attaches lanes as they arrive, until the bundle ends.
func (b *bundle) attachAll(lanes <-chan Pipe) {
	b.wg.Go(func() {
		for {
			select {
			case p, ok := <-lanes:
				if !ok {
					return
				}
				b.attach(p)
			case <-b.quit:
				return
			}
		}
	})
}
