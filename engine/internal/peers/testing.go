package peers

import (
	"runtime"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// These functions give the tests of package engine access to internal state.

// WhileSessionBegins calls f while a session with a peer is beginning: the session exists, but the link does not carry
// it yet. After d, the beginning completes.
func (m *Manager) WhileSessionBegins(id PeerID, d time.Duration, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.peers[id].link
	s := l.session.Swap(nil)
	go f()
	time.Sleep(d)
	l.session.Store(s)
}

// AnnounceFrom acts as if a peer with a session had announced others.
func (m *Manager) AnnounceFrom(from PeerID, list ...wire.PeerAt) error {
	m.mu.Lock()
	p := m.peers[from]
	l := p.link
	m.mu.Unlock()
	return m.exchange.takePeers(p, l, wire.Peers{Peers: list})
}

// Places counts the addresses where a peer may be dialled, even if the program does not know the peer; -1 means no
// peer.
func (m *Manager) Places(id PeerID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil {
		return len(p.all())
	}
	return -1
}

// WhileWriteBegins calls f while a Write of s has just begun; the Write does not return before f does.
func (s *Stream) WhileWriteBegins(f func()) {
	s.writing.Lock()
	defer s.writing.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for range 100 {
		runtime.Gosched()
	}
	s.busy.Store(true)
	defer s.busy.Store(false)
	<-done
}

// Heard counts the announced addresses that wait to be dialled.
func (m *Manager) Heard() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, list := range m.exchange.heard {
		n += len(list)
	}
	return n
}

// SetMaxIntroduced reduces the limit on strangers found through peer exchange until the returned function is called.
func SetMaxIntroduced(n int) (restore func()) {
	old := maxIntroduced
	maxIntroduced = n
	return func() { maxIntroduced = old }
}

// AnnouncedTo counts the peers announced to a peer over its connection.
func (m *Manager) AnnouncedTo(id PeerID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.peers[id].link.announced)
}

// Tried counts the addresses at which announced peers were dialled without success.
func (m *Manager) Tried() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.exchange.tried)
}

// QueueOf returns the name of the queue for a connection that a peer opens, or for a lane.
func (m *Manager) QueueOf(id PeerID, lane bool) string {
	q, kind := newAcceptQueues(), transport.Session
	if lane {
		kind = transport.Lane
	}
	switch m.acceptor.queueOf(q, kind, id) {
	case q.known:
		return "known"
	case q.strangers:
		return "strangers"
	case q.expectedLanes:
		return "expected lanes"
	}
	return "other lanes"
}
