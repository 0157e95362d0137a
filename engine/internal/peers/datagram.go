package peers

import (
	"context"
	"encoding/binary"
	"fmt"

	"multipeer/engine/internal/wire"
)

// MaxDatagram is the largest unreliable message, in bytes of JSON or of data. It fits into one packet on every path.
const MaxDatagram = 1100

// maxUnsure is how many datagrams may wait for congestion control.
const maxUnsure = 64

// The first byte of a datagram is its type.
const (
	datagramPing    = 1
	datagramPong    = 2
	datagramMessage = 3 // JSON without a topic
	datagramTopic   = 4 // the form, the length of the topic, the topic, and then JSON or bytes
)

// The forms of a datagramTopic.
const (
	formJSON  = 0
	formBytes = 1
)

// SendDatagram sends a message of at most MaxDatagram bytes unreliably: at once or not at all. It never blocks.
func (m *Manager) SendDatagram(id PeerID, msg wire.Text) error {
	if _, err := m.sessionWith(id); err != nil { // waits for a session that is about to begin
		return err
	}
	if l := m.links.get(id); l != nil && l.session.Load() != nil {
		return l.sendDatagram(datagramOf(msg))
	}
	return wire.ErrNotConnected // a session whose connection has broken
}

// datagramOf encodes an unreliable message.
func datagramOf(msg wire.Text) []byte {
	if msg.Topic == "" && msg.Data == nil {
		return append([]byte{datagramMessage}, msg.Body...)
	}
	b := append([]byte{datagramTopic, formJSON, byte(len(msg.Topic))}, msg.Topic...)
	if msg.Data == nil {
		return append(b, msg.Body...)
	}
	b[1] = formBytes
	return append(b, msg.Data...)
}

// parseDatagram decodes an unreliable message, all of it untrusted. It returns false for what is malformed.
func parseDatagram(b []byte) (msg wire.Text, ok bool) {
	form, payload := byte(formJSON), b[1:]
	if b[0] == datagramTopic {
		if len(b) < 3 || len(b) < 3+int(b[2]) { // guard: datagram-topic
			return msg, false
		}
		form = b[1]
		msg.Topic, payload = string(b[3:3+int(b[2])]), b[3+int(b[2]):]
		if msg.Topic != "" && wire.ValidateTopic(msg.Topic) != nil {
			return msg, false
		}
	}
	if len(payload) > MaxDatagram { // guard: datagram-size
		return msg, false
	}
	switch form {
	case formJSON:
		if wire.CheckProgram(payload) != nil { // guard: datagram-json
			return msg, false
		}
		msg.Body = payload
		return msg, true
	case formBytes:
		msg.Data = payload
		return msg, true
	}
	return msg, false
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
		l.read.Add(uint64(len(b)))
		if !grams.of(l.joined()).Allow() { // guard: datagram-rate
			continue
		}
		switch {
		case len(b) == 9 && b[0] == datagramPing:
			b[0] = datagramPong
			_ = l.sendDatagram(b)
		case len(b) == 9 && b[0] == datagramPong:
			l.pong(binary.BigEndian.Uint64(b[1:]))
		case len(b) > 1 && (b[0] == datagramMessage || b[0] == datagramTopic):
			if msg, ok := parseDatagram(b); ok {
				l.takeDatagram(msg)
			}
		}
	}
}

func (l *Link) takeDatagram(msg wire.Text) {
	m := l.m
	if s := l.sessionNow(); s != nil {
		s.window.While(l, func() {
			m.host.Deliver(Message{
				From: l.peer.id, Name: *l.name.Load(), Topic: msg.Topic, Body: msg.Body, Data: msg.Data, At: now(),
				Unreliable: true,
			})
		})
	}
}
