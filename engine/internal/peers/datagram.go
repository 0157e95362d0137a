package peers

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

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

// SendDatagram sends a message of at most MaxDatagram bytes of JSON unreliably: at once or not at all. It never blocks.
func (m *Manager) SendDatagram(id PeerID, body json.RawMessage) error {
	if _, err := m.sessionWith(id); err != nil { // waits for a session that is about to begin
		return err
	}
	if l := m.links.get(id); l != nil && l.session.Load() != nil {
		return l.sendDatagram(append([]byte{datagramMessage}, body...))
	}
	return wire.ErrNotConnected // a session whose connection has broken
}

func (l *Link) sendDatagram(b []byte) error {
	select {
	case <-l.conn.Done():
		return l.conn.Err()
	default:
	}
	select {
	case l.unsure <- b:
		return nil
	default:
		return fmt.Errorf("%w: the datagram queue is full", wire.ErrBusy)
	}
}

// writeDatagrams hands datagrams to the connection, which blocks while congestion control allows none.
func (l *Link) writeDatagrams(ctx context.Context) {
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
func (l *Link) readDatagrams(ctx context.Context) {
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
		case len(b) > 1 && b[0] == datagramMessage && len(b) <= 1+MaxDatagram && wire.CheckProgram(b[1:]) == nil:
			l.takeDatagram(json.RawMessage(b[1:]))
		}
	}
}

func (l *Link) takeDatagram(body json.RawMessage) {
	m := l.m
	if s := l.sessionNow(); s != nil {
		s.window.While(l, func() {
			m.host.Deliver(Message{From: l.peer.id, Name: *l.name.Load(), Body: body, At: now(), Unreliable: true})
		})
	}
}
