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
	Pairing       func(Pairing)
	Problem       func(error)
}

// Handle calls h for each piece of news until ctx or the engine ends, one call at a time on its own goroutine, and
// returns when all of them have returned. It is a reader of Watch: what is there already counts as news, and messages
// that were acknowledged before ctx has ended come all the same. What comes before any program reads is refused, and
// the sender told so (ErrUnavailable): start it no later than Run.
func (e *Engine) Handle(ctx context.Context, h Handler) {
	var streams sync.WaitGroup
	defer streams.Wait()
	seen := seen{added: map[PeerID]Peer{}, asked: map[string]bool{}}
	for ev := range e.Watch(ctx) {
		switch ev := ev.(type) {
		case Snapshot:
			h.snapshot(ev, &seen)
		case PeerChanged:
			call(h.PeerFound, ev.Peer)
		case PeerLost:
			call(h.PeerLost, ev.Peer)
		case PeerAdded:
			h.added(ev.Peer, &seen)
		case PeerRemoved:
			h.removed(ev.Peer, ev.Err, &seen)
		case MessageReceived:
			call(h.Receive, ev.Message)
		case StreamReceived:
			streams.Go(func() {
				defer ev.Stream.Close()
				defer context.AfterFunc(ctx, ev.Stream.abandon)()
				call(h.StreamReceive, ev.Stream)
			})
		case InvitationReceived:
			h.invitation(ev.Invitation, &seen)
		case InvitationClosed:
			delete(seen.asked, ev.Invitation.ID)
		case OfferReceived:
			h.offer(ev.Offer, &seen)
		case PairingChanged:
			call(h.Pairing, ev.Pairing)
		case TransferChanged:
			if ev.Transfer.State != Offered {
				delete(seen.asked, string(ev.Transfer.ID))
			}
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

// seen is what a Handler was told, so that a Snapshot, which a slow program gets again, repeats nothing.
type seen struct {
	added map[PeerID]Peer
	asked map[string]bool // invitations and offers
}

func (h *Handler) added(p Peer, s *seen) {
	if _, twice := s.added[p.ID]; !twice {
		s.added[p.ID] = p
		call(h.PeerAdded, p)
	}
}

func (h *Handler) removed(p Peer, err error, s *seen) {
	if _, known := s.added[p.ID]; !known {
		return
	}
	delete(s.added, p.ID)
	if h.PeerRemoved != nil {
		h.PeerRemoved(p, err)
	}
}

func (h *Handler) invitation(i *Invitation, s *seen) {
	switch {
	case s.asked[i.ID]:
	case h.Invitation == nil:
		_ = i.Decline() // ErrAnswered: it was withdrawn
	default:
		s.asked[i.ID] = true
		h.Invitation(i)
	}
}

func (h *Handler) offer(o *Offer, s *seen) {
	id := string(o.Transfer.ID)
	switch {
	case s.asked[id]:
	case h.Offer == nil:
		_ = o.Decline()
	default:
		s.asked[id] = true
		h.Offer(o)
	}
}

// snapshot tells what differs from what was told: at the beginning all of it, later what a slow program has missed.
func (h *Handler) snapshot(now Snapshot, s *seen) {
	gone := maps.Clone(s.added)
	for _, p := range now.Peers {
		call(h.PeerFound, p)
		if p.HasSession() {
			h.added(p, s)
			delete(gone, p.ID)
		}
	}
	for _, p := range gone {
		h.removed(p, ErrLost, s)
	}
	before := s.asked
	s.asked = map[string]bool{} // what is not open any more is forgotten
	for _, i := range now.Invitations {
		s.asked[i.ID] = before[i.ID]
		h.invitation(i, s)
	}
	for _, o := range now.Offers {
		s.asked[string(o.Transfer.ID)] = before[string(o.Transfer.ID)]
		h.offer(o, s)
	}
	for _, t := range now.Transfers {
		call(h.Transfer, t)
	}
	for _, p := range now.Pairings {
		call(h.Pairing, p)
	}
	if now.Problem != nil {
		call(h.Problem, now.Problem)
	}
}
