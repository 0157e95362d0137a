package engine

// Peers lists the peers that are found or connected, by name.
func (e *Engine) Peers() []Peer { return publicPeers(e.peers.Peers()) }

// Peer looks up one peer.
func (e *Engine) Peer(id PeerID) (Peer, bool) {
	p, ok := e.peers.Peer(id)
	if !ok {
		return Peer{}, false
	}
	return publicPeer(p), true
}

// Conflicts lists the identities that two devices have used since this engine began, newest first.
func (e *Engine) Conflicts() []Conflict { return publicConflicts(e.peers.Conflicts()) }
