package engine

import "multipeer/engine/internal/wire"

// What tests from outside need to see or cut.

// SetPairingSpace makes codes short until the returned function is called.
func SetPairingSpace(n uint64) (restore func()) {
	old := pairingSpace
	pairingSpace = n
	return func() { pairingSpace = old }
}

// PairingCode is the code of a pairing, whichever role this side has.
func (e *Engine) PairingCode(id PeerID) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.pairingOf(id); a != nil && a.view.Stage == PairingCompare {
		return a.code
	}
	return ""
}

// ForgetPairings ends the pairing with a peer as if it had never been.
func (e *Engine) ForgetPairings(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		p.pairing = nil
	}
	e.pair.today, e.pair.failures, e.asks = nil, 0, asks{}
}

// Tell acts as if a peer with a session had told of others.
func (e *Engine) Tell(from PeerID, list ...wire.PeerAt) error {
	e.mu.Lock()
	p := e.peers[from]
	l := p.link
	e.mu.Unlock()
	return e.takePeers(p, l, wire.Peers{Peers: list})
}

// Places counts the addresses where a peer may be dialled, also of one that the program does not know of; -1 is no peer.
func (e *Engine) Places(id PeerID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		return len(p.all())
	}
	return -1
}

// SetMaxLed holds fewer strangers that others have told of, until the returned function is called.
func SetMaxLed(n int) (restore func()) {
	old := maxLed
	maxLed = n
	return func() { maxLed = old }
}

// ToldTo counts those that a peer was told of over its conn.
func (e *Engine) ToldTo(id PeerID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.peers[id].link.told)
}

// Tried counts the places where peers that others have told of were dialled in vain.
func (e *Engine) Tried() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.exchange.tried)
}
