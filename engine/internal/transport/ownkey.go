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
	// bothEnds is how long a connection to our own key is held until we know whether this program has its other end
	// too.
	bothEnds = time.Second
	// ownSecrets is how long the secret of such a connection is remembered. It is longer than a handshake may take: a
	// relay can delay the last packet of a handshake, so that the other end appears late.
	ownSecrets = 30 * time.Second
	// maxOwnSecrets limits the number of these secrets. Only this device's own dials, or a device with a copy of its
	// key, create them.
	maxOwnSecrets = 1024
)

// OwnConns are the connections to our own key. Both ends of a connection can export the same secret, and no one else
// can. So if this program has both ends of a connection, it has dialled itself; if it has one end, the other is a
// device with a copy of the key. The end that dialled knows only that the key answered, perhaps its own over a relay.
// So it waits until the other end closes the connection because the keys are equal, which takes a complete handshake at
// that end.
//
// Endpoints of one program that use one key share an OwnConns. The zero value is empty.
type OwnConns struct {
	mu   sync.Mutex
	ends map[string]*ownConn
}

type ownConn struct {
	ends int
	at   time.Time
}

// add counts one end of a connection; nil means that there are too many.
func (o *OwnConns) add(secret string) *ownConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, c := range o.ends {
		if time.Since(c.at) > ownSecrets {
			delete(o.ends, key)
		}
	}
	c := o.ends[secret]
	if c == nil && len(o.ends) >= maxOwnSecrets {
		return nil
	}
	if c == nil {
		c = &ownConn{at: time.Now()}
		if o.ends == nil {
			o.ends = map[string]*ownConn{}
		}
		o.ends[secret] = c
	}
	c.ends++
	return c
}

// count returns how many ends of a connection this program has.
func (o *OwnConns) count(c *ownConn) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return c.ends
}

// ownHolder holds the connections of one endpoint to our own key until it is known where their other ends are.
type ownHolder struct {
	conns *OwnConns
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newOwnHolder(conns *OwnConns) *ownHolder {
	if conns == nil {
		conns = &OwnConns{}
	}
	return &ownHolder{conns: conns, done: make(chan struct{})}
}

// take holds q briefly, closes it, and calls twin if its other end is elsewhere.
func (o *ownHolder) take(q *quic.Conn, dialled bool, twin func(at netip.AddrPort)) {
	leave := func() { _ = q.CloseWithError(quic.ApplicationErrorCode(wire.Identity), "") }
	o.mu.Lock()
	defer o.mu.Unlock()
	secret, err := (&Conn{q: q}).Binding()
	if err != nil || o.closed {
		leave()
		return
	}
	c := o.conns.add(string(secret))
	if c == nil {
		leave()
		return
	}
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
		if o.conns.count(c) == 1 && twin != nil && (!dialled || closedAsOwn(q)) { // guard: twin-proven
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
func (o *ownHolder) close() {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.done)
	}
	o.mu.Unlock()
	o.wg.Wait()
}
