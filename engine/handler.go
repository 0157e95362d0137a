package engine

import (
	"context"
	"maps"
	"sync"
)

// Handler takes news by kind, in the style of the Pythonista module, whose program overrides the methods of one
// class. A field that is nil ignores its news, but for Invitation and Offer: those decline.
type Handler struct {
	PeerFound   func(Peer) // found, reached, or changed in something
	PeerLost    func(Peer)
	PeerAdded   func(Peer)        // a session is up; Peer.Context is known (peer_added)
	PeerRemoved func(Peer, error) // once for each PeerAdded (peer_removed)
	Receive     func(Message)     // a message, of either kind (receive)
	// StreamReceive gets a stream that the other program has opened, on a goroutine of its own; the stream is closed
	// when it returns (stream_receive).
	StreamReceive func(*Stream)
	Invitation    func(*Invitation)
	Offer         func(*Offer)
	Transfer      func(Transfer)
	Problem       func(error)
}

// Handle calls h for each piece of news until ctx or the engine ends, one call at a time on its own goroutine, and
// returns when all of them have returned. It is a reader of Watch: what is there already counts as news.
func (e *Engine) Handle(ctx context.Context, h Handler) {
	var streams sync.WaitGroup
	defer streams.Wait()
	added := map[PeerID]Peer{}
	for ev := range e.Watch(ctx) {
		switch ev := ev.(type) {
		case Snapshot:
			h.snapshot(ev, added)
		case PeerChanged:
			call(h.PeerFound, ev.Peer)
		case PeerLost:
			call(h.PeerLost, ev.Peer)
		case PeerAdded:
			added[ev.Peer.ID] = ev.Peer
			call(h.PeerAdded, ev.Peer)
		case PeerRemoved:
			delete(added, ev.Peer.ID)
			h.removed(ev.Peer, ev.Err)
		case MessageReceived:
			call(h.Receive, ev.Message)
		case StreamReceived:
			streams.Go(func() {
				defer ev.Stream.Close()
				defer context.AfterFunc(ctx, ev.Stream.abandon)()
				call(h.StreamReceive, ev.Stream)
			})
		case InvitationReceived:
			h.invitation(ev.Invitation)
		case OfferReceived:
			h.offer(ev.Offer)
		case TransferChanged:
			call(h.Transfer, ev.Transfer)
		case Problem:
			call(h.Problem, ev.Err)
		}
	}
}

func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}

func (h *Handler) invitation(i *Invitation) {
	if h.Invitation == nil {
		_ = i.Decline() // ErrAnswered: it was withdrawn
		return
	}
	h.Invitation(i)
}

func (h *Handler) offer(o *Offer) {
	if h.Offer == nil {
		_ = o.Decline()
		return
	}
	h.Offer(o)
}

func (h *Handler) removed(p Peer, err error) {
	if h.PeerRemoved != nil {
		h.PeerRemoved(p, err)
	}
}

// snapshot tells what differs from what was told: at the beginning all of it, later what a slow program has missed.
func (h *Handler) snapshot(s Snapshot, added map[PeerID]Peer) {
	gone := maps.Clone(added)
	for _, p := range s.Peers {
		call(h.PeerFound, p)
		if !p.HasSession() {
			continue
		}
		if _, known := added[p.ID]; !known {
			added[p.ID] = p
			call(h.PeerAdded, p)
		}
		delete(gone, p.ID)
	}
	for id, p := range gone {
		delete(added, id)
		h.removed(p, ErrLost)
	}
	for _, i := range s.Invitations {
		h.invitation(i)
	}
	for _, o := range s.Offers {
		h.offer(o)
	}
	for _, t := range s.Transfers {
		call(h.Transfer, t)
	}
	call(h.Problem, s.Problem)
}
