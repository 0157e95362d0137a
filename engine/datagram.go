package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"multipeer/engine/internal/wire"
)

// MaxDatagram is the largest unreliable message, in bytes of JSON. It fits into one packet on every path.
const MaxDatagram = 1100

// maxUnsure is how many datagrams wait for the congestion control.
const maxUnsure = 64

// The first byte of a datagram says what it is.
const (
	datagramPing    = 1
	datagramPong    = 2
	datagramMessage = 3
)

// SendDatagram sends v, any value that encodes to at most MaxDatagram bytes of JSON, unreliably: at once or not at
// all, in no order, to the peers named or to all that are connected (MCSession sendData, mode unreliable; RFC 9221).
// It never blocks. A Result without an error says that the message was handed to the network; ErrBusy that it was
// dropped here, since the path has no room. The error is ErrTooLarge with the limit, ErrInvalid or ErrNobody.
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
	if _, err := e.sessionWith(id); err != nil {
		return err
	}
	_, l, err := e.linkTo(id)
	if err != nil {
		return err
	}
	return l.sendDatagram(b)
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
		return fmt.Errorf("%w: the path has no room for more datagrams", ErrBusy)
	}
}

// writeDatagrams hands datagrams to the conn, which blocks while the congestion control allows none.
func (l *link) writeDatagrams(ctx context.Context) {
	for {
		select {
		case b := <-l.unsure:
			_ = l.conn.SendDatagram(b) // it fails with the conn, whose end is told elsewhere
		case <-l.conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// readDatagrams serves what comes unreliably. What is malformed or of a newer version is dropped, as the network may
// do with any of them.
func (e *Engine) readDatagrams(ctx context.Context, p *peer, l *link) {
	grams := newPace(strangerGrams, strangerGrams, gramRate, gramRate)
	for {
		b, err := l.conn.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		if !grams.of(e.joined(p)).Allow() { // guard: datagram-rate
			continue
		}
		switch {
		case len(b) == 9 && b[0] == datagramPing:
			b[0] = datagramPong
			_ = l.sendDatagram(b)
		case len(b) == 9 && b[0] == datagramPong:
			l.pong(binary.BigEndian.Uint64(b[1:]))
		case len(b) > 1 && b[0] == datagramMessage && len(b) <= 1+MaxDatagram && wire.Check(b[1:]) == nil:
			e.takeDatagram(p, l, json.RawMessage(b[1:]))
		}
	}
}

func (e *Engine) takeDatagram(p *peer, l *link, body json.RawMessage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link == l && p.session != nil {
		e.publish(MessageReceived{Message{From: p.id, Name: p.name, Body: body, At: now(), Unreliable: true}, new(held)})
	}
}
