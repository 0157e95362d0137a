package transport

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"multipeer/engine/internal/wire"

	"github.com/quic-go/quic-go"
)

// ErrOwnKey reports that the other side has proven this device's own key: it is this engine itself, or a device with
// a copy of its identity.
var ErrOwnKey = errors.New("the device at that address uses this device's identity")

const (
	// bothEnds is how long a connection to our own key is held until we know whether its other end is here too.
	bothEnds = time.Second
	// ownSecrets is how long its secret is remembered, longer than a handshake may take: a relay can delay the last
	// packet of a handshake, so that the other end appears late.
	ownSecrets = 30 * time.Second
	// maxOwnSecrets limits their number. Only this device's own dials, or a device with a copy of its key, create
	// them.
	maxOwnSecrets = 1024
)

// ownConns are the connections to our own key. Both ends of a connection can export the same secret, and no one else
// can: a connection of which this endpoint has both ends goes to itself; one of which it has one end goes to a device
// with a copy of the key. The end that dialled knows only that a key answered, perhaps its own over a relay. So it
// waits until the other end has closed the connection for having the same key, which takes a complete handshake
// there.
type ownConns struct {
	mu     sync.Mutex
	closed bool
	done   chan struct{}
	wg     sync.WaitGroup
	ends   map[string]*ownConn
}

type ownConn struct {
	ends int
	at   time.Time
}

func newOwnConns() *ownConns {
	return &ownConns{done: make(chan struct{}), ends: map[string]*ownConn{}}
}

// take holds q briefly, closes it, and calls twin if its other end is elsewhere.
func (o *ownConns) take(q *quic.Conn, dialled bool, twin func(at netip.AddrPort)) {
	leave := func() { _ = q.CloseWithError(quic.ApplicationErrorCode(wire.Identity), "") }
	secret, err := (&Conn{q: q}).Binding()
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, c := range o.ends {
		if time.Since(c.at) > ownSecrets {
			delete(o.ends, key)
		}
	}
	key := string(secret)
	c := o.ends[key]
	if err != nil || o.closed || c == nil && len(o.ends) >= maxOwnSecrets {
		leave()
		return
	}
	if c == nil {
		c = &ownConn{at: time.Now()}
		o.ends[key] = c
	}
	c.ends++
	o.wg.Go(func() {
		defer leave()
		wait := bothEnds
		var closed <-chan struct{}
		if dialled {
			wait, closed = 3*bothEnds, q.Context().Done()
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-closed:
		case <-o.done:
			return
		}
		o.mu.Lock()
		here := c.ends
		o.mu.Unlock()
		if here == 1 && twin != nil && (!dialled || closedAsOwn(q)) { // guard: twin-proven
			twin((&Conn{q: q}).RemoteAddr())
		}
	})
}

// closedAsOwn reports whether the other end has closed q because it has the same key.
func closedAsOwn(q *quic.Conn) bool {
	var app *quic.ApplicationError
	return errors.As(context.Cause(q.Context()), &app) && app.Remote && app.ErrorCode == quic.ApplicationErrorCode(wire.Identity)
}

// close waits for all goroutines that take has started.
func (o *ownConns) close() {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.done)
	}
	o.mu.Unlock()
	o.wg.Wait()
}
