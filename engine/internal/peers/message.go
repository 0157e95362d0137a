package peers

import (
	"fmt"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/peers/internal/window"
	"multipeer/engine/internal/wire"
)

// MaxPending is how many messages to one peer may wait for their answer or for room in the window.
const MaxPending = window.MaxPending

// Broadcast as a recipient means all peers.
var Broadcast = identity.Broadcast

// Connected lists the peers with a session.
func (m *Manager) Connected() (to []PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.peers {
		if p.session != nil {
			to = append(to, id)
		}
	}
	return to
}

// maxParked limits the bytes of the messages of all peers that wait for room in the program's queues.
const maxParked = 32 << 20

// Window keeps the messages to a peer.
type Window = window.Window

// Later is what Host.Deliver returns when the program has no room for a message now.
const Later = window.Later

// Window returns the window of the messages to a connected peer.
func (m *Manager) Window(id PeerID) (*Window, error) {
	s, err := m.sessionWith(id)
	if err != nil {
		return nil, err
	}
	return s.window, nil
}

// sessionWith returns the session with a peer.
func (m *Manager) sessionWith(id PeerID) (*session, error) {
	if l := m.links.get(id); l != nil {
		if s := l.session.Load(); s != nil {
			return s, nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	switch {
	case m.closed:
		return nil, wire.ErrClosed
	case p == nil || !p.shown:
		return nil, wire.ErrNoPeer
	case p.session != nil:
		return p.session, nil
	case p.link == nil && p.err != nil:
		return nil, fmt.Errorf("%w: %w", wire.ErrNotConnected, p.err)
	}
	return nil, wire.ErrNotConnected
}

// Retry delivers messages that wait for room in the program's queues. Any peer may have taken the room, so the windows
// of all peers are tried, starting with a different one each time.
func (m *Manager) Retry() {
	if !m.parking.Waiting() {
		return
	}
	for _, l := range m.links.all() { // map order is random
		if s := l.session.Load(); s != nil {
			s.window.Retry()
		}
	}
}

// takeMessage passes a message to the program once. The sender comes from the connection's key, the time from our
// clock. Without a session on l there is nothing to do: the peer repeats the message on a newer connection.
func (l *Link) takeMessage(msg wire.Text) {
	s := l.sessionNow()
	if s == nil { // guard: message-session
		return
	}
	deliver := func() wire.Code {
		return l.m.host.Deliver(Message{
			From: l.peer.id, Name: *l.name.Load(), Addr: l.conn.RemoteAddr(), Topic: msg.Topic, Body: msg.Body, Data: msg.Data, At: now(),
			Ask: msg.Ask, Reply: msg.Reply, Failed: msg.Failed,
		})
	}
	answer := func(code wire.Code) { l.Send(wire.TextAck{N: msg.N, Code: code}) }
	take := func() bool { return s.window.Take(l, msg.N, msg.Size(), deliver, answer) }
	if take() {
		return
	}
	for {
		freed := l.m.parking.Freed()
		if take() {
			return
		}
		s.window.Blocked()
		select { // until the message has been taken, nothing more is read from this peer
		case <-freed:
		case <-time.After(time.Second): // or the program has read what was queued of this peer
		case <-l.conn.Done():
			return
		}
	}
}
