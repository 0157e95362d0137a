package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"multipeer/engine/internal/wire"
)

// Peers lists the peers that are found or connected, sorted by name.
func (e *Engine) Peers() []Peer {
	return byName(append(publicPeers(e.peers.Peers()), devicePeers(e.gateways.Peers())...))
}

func byName(list []Peer) []Peer {
	slices.SortFunc(list, func(a, b Peer) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), a.ID.Compare(b.ID))
	})
	return list
}

// Peer looks up one peer.
func (e *Engine) Peer(id PeerID) (Peer, bool) {
	if d, ok := e.gateways.Peer(id); ok {
		return devicePeer(d), true
	}
	p, ok := e.peers.Peer(id)
	if !ok {
		return Peer{}, false
	}
	return publicPeer(p), true
}

// Conflicts lists the identities that two devices have used since this engine started, newest first.
func (e *Engine) Conflicts() []Conflict { return publicConflicts(e.peers.Conflicts()) }

// WaitPeer waits until a peer has reached a state or a later one, in the order of the constants, and returns it. Found
// includes every peer that is listed, Connected one whose connection has just broken. It does nothing to bring that state
// about: see Invite and Dial. Errors are ErrTimeout, ErrCancelled or the cause of ctx, and ErrClosed.
func (e *Engine) WaitPeer(ctx context.Context, id PeerID, state State) (_ Peer, err error) {
	defer withPeer(&err, "wait for", id)
	for {
		changed := e.events.Changed()
		p, known := e.Peer(id)
		if known && p.State >= state {
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p, wire.EndOf(ctx)
		case <-e.ended:
			return p, ErrClosed
		}
	}
}
