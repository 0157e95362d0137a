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
	// CloseWrite ends our direction; what was written still arrives.
	CloseWrite() error
	// Interrupt makes all pending and later calls fail. It may be called more than once and concurrently.
	Interrupt()
}

// What a bundle holds at the most, and how long it waits.
const (
	// sendWindow is how many bytes may be under way without the other side's word that they are kept: so many are sent
	// again at the most when everything breaks at once.
	sendWindow = 8 << 20
	// sendBlocks is how many blocks that may be: a small one takes the memory of a large one.
	sendBlocks = 128
	// beatEvery is how often a lane shows that it is alive, silence after how long without it is given up.
	beatEvery = 1500 * time.Millisecond
	silence   = 6 * time.Second
	// hedgeAfter is how old the oldest block may grow before an idle lane sends it a second time.
	hedgeAfter = 500 * time.Millisecond
	// ackEvery is how many bytes are taken before that is told, ackWait how long at the most.
	ackEvery = 1 << 20
	ackWait  = 2 * time.Millisecond
)

// Frames on a pipe: a block with its number and length, or the number up to which blocks were taken.
const (
	frameBlock = 'B'
	frameTaken = 'K'
	takenLen   = 9
)

// errEnded is what calls get after a bundle was closed on purpose.
var errEnded = errors.New("ended")

// bundle makes one ordered stream of blocks in each direction out of pipes that come and go, its lanes. Whichever
// lane is free takes the next block, so each carries what it can. What was on a lane that dies goes out again over
// another one; what comes twice is dropped. A block counts as taken when the other end has processed it.
type bundle struct {
	mu   sync.Mutex
	work *sync.Cond // for the lanes' writers: something to write
	room *sync.Cond // for senders: the window has room; for drain: all is taken
	came *sync.Cond // for the receiver: the next block is there
	err  error
	quit chan struct{} // closed with err
	wg   sync.WaitGroup

	lanes   map[*lane]struct{}
	closing bool // the end of a lane is no failure any more

	next  uint64   // the number of the next new block
	queue []*block // new ones that no lane has taken
	again []*block // what has to go out once more
	out   []*block // sent and not taken, in order; also those in again
	bytes int      // of queue and out

	want       uint64            // the number of the block that comes next
	early      map[uint64]*block // what came before its turn
	earlyBytes int
	given      int    // bytes handed out and not taken back by done
	givenN     int    // blocks of that
	taken      uint64 // processed here
	told       uint64 // of that, what the other side was told
	untold     int    // bytes
	toldAt     time.Time
	due        bool // it is to be told now
	timer      *time.Timer

	moved int64 // bytes of blocks that were sent, repetitions included
}

// lane is one pipe of a bundle.
type lane struct {
	pipe  Pipe
	dead  bool
	heard time.Time
	spoke time.Time
	beat  bool // it has been silent for long
}

func newBundle() *bundle {
	b := &bundle{lanes: map[*lane]struct{}{}, early: map[uint64]*block{}, quit: make(chan struct{})}
	b.work, b.room, b.came = sync.NewCond(&b.mu), sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	b.timer = time.AfterFunc(time.Hour, b.tellNow)
	b.wg.Go(b.watch)
	return b
}

// attach gives the bundle one more lane. It is closed with the bundle.
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

// fail ends the bundle for a reason: every call returns it, every lane is interrupted. It is idempotent.
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
	b.room.Broadcast()
	b.came.Broadcast()
}

// farewell is how long the gentle end of a bundle may take.
const farewell = 2 * time.Second

// close ends the bundle gently, after drain: the other side reads what was written and then the end, and we wait for
// its end.
func (b *bundle) close() {
	timer := time.NewTimer(farewell)
	b.mu.Lock()
	b.closing = true
	for l := range b.lanes {
		b.wg.Go(func() { _ = l.pipe.CloseWrite() }) // which may wait behind a write that does not move
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

// alive is nil until the bundle has ended, and then why.
func (b *bundle) alive() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// wait returns when every goroutine of the bundle has ended, after fail or close.
func (b *bundle) wait() { b.wg.Wait() }

// laneDown takes the end of a lane: what it carried goes over the others.
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
	b.told, b.due = 0, b.taken > 0 // it may have been told over this lane only
	if len(b.lanes) == 0 {
		if b.closing {
			err = errEnded
		} else {
			err = fmt.Errorf("%w: %w", ErrInterrupted, err) // the last lane has gone
		}
		b.failLocked(err)
	}
	b.work.Broadcast()
}

// send queues a block and waits while the window is full. The block is the bundle's from then on.
func (b *bundle) send(k *block) error {
	n := len(k.buf)
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && (b.bytes > 0 && b.bytes+n > sendWindow || len(b.queue)+len(b.out) >= sendBlocks) {
		b.room.Wait()
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

// pick chooses what l writes next. Call with b.mu held.
func (b *bundle) pick(l *lane, now time.Time) *block {
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
		tell := false
		for {
			if b.err != nil || l.dead {
				b.mu.Unlock()
				return
			}
			now := time.Now()
			tell = b.due || l.beat
			if k = b.pick(l, now); k != nil || tell {
				l.spoke = now
				break
			}
			b.work.Wait()
		}
		taken := b.taken
		if tell {
			b.due, l.beat = false, false
			b.untold, b.toldAt = 0, l.spoke
			binary.BigEndian.PutUint64(head[1:], taken)
		}
		b.mu.Unlock()
		var err error
		if tell {
			_, err = l.pipe.Write(head[:])
		}
		if k != nil && err == nil {
			_, err = l.pipe.Write(k.buf)
		}
		b.mu.Lock()
		if tell && err == nil && !l.dead {
			b.told = max(b.told, taken)
			b.room.Broadcast() // for drain
		}
		if k != nil {
			k.writing--
			k.tryRelease()
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

// arrived takes a frame: a block, or the other side's word about ours.
func (b *bundle) arrived(l *lane, k *block, taken uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.heard = time.Now()
	if k == nil {
		return b.acknowledged(taken)
	}
	if b.err != nil || k.seq < b.want || b.early[k.seq] != nil {
		k.release()
		b.due = true // its sender does not know yet
		b.work.Signal()
		return nil
	}
	if b.earlyBytes+b.given+len(k.buf) > 2*sendWindow || k.seq >= b.want+2*sendBlocks || len(b.early)+b.givenN >= 2*sendBlocks { // guard: blocks-ahead
		k.release()
		return fmt.Errorf("%w: more than the window", ErrProtocol)
	}
	b.early[k.seq] = k
	b.earlyBytes += len(k.buf)
	if k.seq == b.want {
		b.came.Broadcast()
	}
	return nil
}

// acknowledged forgets the blocks below taken. Call with b.mu held.
func (b *bundle) acknowledged(taken uint64) error {
	if taken > b.next { // guard: taken-ahead
		return fmt.Errorf("%w: a block that was not sent is said to be taken", ErrProtocol)
	}
	n := 0
	for n < len(b.out) && b.out[n].seq < taken {
		b.bytes -= len(b.out[n].buf)
		b.out[n].taken = true
		n++
	}
	if n == 0 {
		return nil
	}
	b.again = slices.DeleteFunc(b.again, func(k *block) bool { return k.taken })
	for _, k := range b.out[:n] {
		k.tryRelease()
	}
	b.out = slices.Delete(b.out, 0, n)
	b.room.Broadcast()
	return nil
}

// recv waits for the next block in order. The caller gives it back by done.
func (b *bundle) recv() (*block, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.early[b.want] == nil {
		if b.err != nil {
			return nil, b.err
		}
		if b.untold > 0 {
			b.tellSoon()
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

// ready tells whether recv would return at once.
func (b *bundle) ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil || b.early[b.want] != nil
}

// done tells that the newest block that recv gave is processed and will not be needed again.
func (b *bundle) done(k *block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = k.seq + 1
	b.untold += len(k.buf)
	b.given -= len(k.buf)
	b.givenN--
	k.release()
	if b.untold >= ackEvery {
		b.due = true
		b.work.Signal()
	}
}

// tellSoon tells what was taken, but not more often than every ackWait. Call with b.mu held.
func (b *bundle) tellSoon() {
	if since := time.Since(b.toldAt); since < ackWait {
		b.timer.Reset(ackWait - since)
		return
	}
	b.due = true
	b.work.Signal()
}

func (b *bundle) tellNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && b.untold > 0 {
		b.due = true
		b.work.Signal()
	}
}

// drain waits until the other side has taken everything and was told what we have, or until limit. It is nil if the
// other side has taken everything.
func (b *bundle) drain(limit time.Duration) error {
	late := false
	timer := time.AfterFunc(limit, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		late = true
		b.room.Broadcast()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told < b.taken {
		b.due = true
		b.work.Signal()
	}
	for b.err == nil && !late && (b.bytes > 0 || b.told < b.taken) {
		b.room.Wait()
	}
	switch {
	case b.bytes == 0: // whatever became of the lanes since
		return nil
	case b.err == nil:
		return ErrStalled
	}
	return b.err
}

// watch looks after lanes that have fallen silent and blocks that are late.
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

// sentBytes counts what was given to lanes, repetitions included.
func (b *bundle) sentBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.moved
}

// attachAll attaches lanes as they come, until the bundle ends.
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
