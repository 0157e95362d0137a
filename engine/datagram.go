package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/wire"
)

// MaxDatagram is the largest unreliable message, in bytes of JSON. It fits into one packet on every path.
const MaxDatagram = 1100

// maxUnsure is how many datagrams may wait for congestion control.
const maxUnsure = 64

// The first byte of a datagram is its type.
const (
	datagramPing    = 1
	datagramPong    = 2
	datagramMessage = 3
)

// SendDatagram sends v, any value that encodes to at most MaxDatagram bytes of JSON, unreliably: at once or not at
// all, in no order, to the named peers or to all that are connected (MCSession sendData, mode unreliable; RFC 9221).
// It never blocks. A Result without an error means that the message was handed to the network; ErrBusy means that it
// was dropped here because the path has no room. The error is ErrTooLarge with the limit, ErrInvalid or ErrNobody.
func (e *Engine) SendDatagram(v any, to ...PeerID) ([]Result, error) {
	body, err := encode(v, MaxDatagram)
	if err != nil {
		return nil, err
	}
	if to, err = e.recipients(to); err != nil {
		return nil, err
	}
	b := append([]byte{datagramMessage}, body...)
	results := make([]Result, len(to))
	for i, id := range to {
		results[i] = Result{id, e.sendDatagram(id, b)}
	}
	return results, nil
}

func (e *Engine) sendDatagram(id PeerID, b []byte) error {
	if _, err := e.sessionWith(id); err != nil { // waits for a session that is about to begin
		return err
	}
	if l := e.links.get(id); l != nil && l.session.Load() != nil {
		return l.sendDatagram(b)
	}
	return ErrNotConnected // a session whose connection has broken
}

func (l *link) sendDatagram(b []byte) error {
	select {
	case <-l.conn.Done():
		return l.conn.Err()
	default:
	}
	select {
	case l.unsure <- b:
		return nil
	default:
		return fmt.Errorf("%w: the datagram queue is full", ErrBusy)
	}
}

// writeDatagrams hands datagrams to the connection, which blocks while congestion control allows none.
func (l *link) writeDatagrams(ctx context.Context) {
	for {
		select {
		case b := <-l.unsure:
			_ = l.conn.SendDatagram(b) // fails only with the connection, whose end is reported elsewhere
		case <-l.conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// readDatagrams handles incoming datagrams. Malformed ones and those of newer versions are dropped: senders must
// expect losses anyway.
func (l *link) readDatagrams(ctx context.Context) {
	grams := newPace(strangerGrams, strangerGrams, gramRate, gramRate)
	for {
		b, err := l.conn.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		if !grams.of(l.joined()).Allow() { // guard: datagram-rate
			continue
		}
		switch {
		case len(b) == 9 && b[0] == datagramPing:
			b[0] = datagramPong
			_ = l.sendDatagram(b)
		case len(b) == 9 && b[0] == datagramPong:
			l.pong(binary.BigEndian.Uint64(b[1:]))
		case len(b) > 1 && b[0] == datagramMessage && len(b) <= 1+MaxDatagram && wire.Check(b[1:]) == nil:
			l.takeDatagram(json.RawMessage(b[1:]))
		}
	}
}

func (l *link) takeDatagram(body json.RawMessage) {
	e := l.e
	if s := l.sessionNow(); s != nil {
		s.receive(l, func() {
			e.publish(MessageReceived{Message{From: l.peer.id, Name: *l.name.Load(), Body: body, At: now(), Unreliable: true}, new(events.Held)})
		})
	}
}
