package peers

import (
	"context"
	"sync"
	"time"

	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/wire"
)

// Limits on what links without a session hold unread. QUIC keeps a record of some 200 bytes for each frame of stream data
// that cannot be read yet, even if it carries one byte, so flow control alone does not bound the memory. A byte that has
// arrived can cost 30 bytes of memory.
const (
	maxUnread      = 4 << 20                // of all links
	maxUnreadOfOne = 768 << 10              // more than the largest window of a stream
	unreadPause    = 100 * time.Millisecond // between checks while a link has no session
	sessionsPause  = time.Second            // while all have one
	idleRate       = 64                     // bytes per second that an idle connection takes for keep-alives
	maxPacket      = 1500                   // bytes; packets that are not the peer's do not count
)

// unread estimates for each link without a session how much has arrived that was not read, and closes the links that
// hold the most when it is too much.
type unread struct {
	tasks *tasks.Group

	mu       sync.Mutex
	links    map[unreadLink]*unreadBytes
	watching bool // watch runs
}

// unreadLink is what unread needs of a Link.
type unreadLink interface {
	received() (bytes, packets uint64)
	taken() uint64 // bytes that were read or used
	trusted() bool // has carried a session, or may soon
	refuse()       // closes it
}

func (l *Link) received() (bytes, packets uint64) { return l.conn.Received() }
func (l *Link) taken() uint64                     { return l.read.Load() }
func (l *Link) trusted() bool                     { return l.session.Load() != nil || l.large.Load() }
func (l *Link) refuse()                           { l.conn.Close(wire.Busy) }

// unreadBytes are those of one link. They include what was not stream data, such as packet headers and acknowledgements.
// Nothing but idleRate is deducted for these, because a peer could send many small frames to gain room for others: a
// link that is used much without a session may be closed after some minutes, and its peer connects again.
type unreadBytes struct {
	bytes, packets uint64    // received, at the last check
	taken          uint64    // at the last check
	at             time.Time // of the last check
	held           int64
}

// add watches l until the returned function is called.
func (u *unread) add(l unreadLink) (remove func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	bytes, packets := l.received()
	u.links[l] = &unreadBytes{bytes: bytes, packets: packets, taken: l.taken(), at: now()}
	if !u.watching {
		u.watching = u.tasks.Start(u.watch)
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.links, l)
	}
}

// watch runs while there are links.
func (u *unread) watch(ctx context.Context) {
	tick := time.NewTicker(unreadPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		over, strangers := u.check()
		for _, l := range over {
			l.refuse()
		}
		if strangers {
			tick.Reset(unreadPause)
		} else {
			tick.Reset(sessionsPause)
		}
		u.mu.Lock()
		u.watching = len(u.links) > 0
		watching := u.watching
		u.mu.Unlock()
		if !watching {
			return
		}
	}
}

// check updates the estimates. It returns the links to close, and whether any link has no session.
func (u *unread) check() (over []unreadLink, strangers bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	total := int64(0)
	for l, b := range u.links {
		bytes, packets := l.received()
		taken := l.taken()
		idle := now().Sub(b.at).Seconds() * idleRate
		received, most := bytes-b.bytes, (packets-b.packets)*maxPacket
		if received > most { // guard: unread-forged
			received = most
		}
		b.held = max(0, b.held+int64(received)-int64(taken-b.taken)-int64(idle))
		b.bytes, b.packets = bytes, packets
		b.taken, b.at = taken, now()
		if l.trusted() {
			b.held = 0 // a program may read its streams late; flow control alone limits what they hold
		} else {
			strangers = true
		}
		total += b.held
	}
	for len(u.links) > 0 {
		var most unreadLink
		for l, b := range u.links {
			if most == nil || b.held > u.links[most].held {
				most = l
			}
		}
		held := u.links[most].held
		if held <= maxUnreadOfOne && total <= maxUnread { // guard: unread-of-strangers
			break
		}
		total -= held
		delete(u.links, most)
		over = append(over, most)
	}
	return over, strangers
}
