package engine

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/wire"
)

// Handler has one function for each kind of event, like the class whose methods a program of the Pythonista module
// overrides. A nil field leaves its events to other readers. Calls come one at a time, except those of StreamReceive: a
// function that waits, for a person or in a call such as Invite, delays all others. Start a goroutine for that, or use
// HandleInvitations and HandleOffers, which do. A call of more than 5 s is logged, once for each field. A panic in one
// is logged, too.
type Handler struct {
	PeerFound   func(Peer) // once for each peer, until it is lost
	PeerChanged func(Peer) // a peer that was found has changed
	PeerLost    func(Peer)
	PeerAdded   func(Peer)        // a session has begun; Peer.Context is known (peer_added)
	PeerRemoved func(Peer, error) // a session, or Handle, has ended; called once for each PeerAdded (peer_removed)
	// Receive gets the messages of either kind (receive). While it does not return, messages wait at their senders. A sender
	// with 64 messages that this engine has not taken for 30 s ends the session, with ErrBusy on both sides; after the
	// second time within ten minutes, its policies do not bring the session back.
	Receive          func(Message)
	Invitation       func(*Invitation)
	InvitationClosed func(*Invitation) // one that was passed to Invitation was answered or withdrawn
	Offer            func(*Offer)
	Transfer         func(Transfer) // it has changed; its end comes once, and not if it ended in an earlier run
	Pairing          func(Pairing)
	Conflict         func(Conflict)
	Problem          func(error)
	// StreamReceive takes the streams that have no other handler, each on its own goroutine; the stream is closed when it
	// returns (stream_receive). It is HandleStream(""): Handle panics if another function takes these streams.
	StreamReceive func(*Stream)
}

// Handle calls h for each event, first for what exists already, from now until ctx or the engine ends, on a goroutine
// of its own. It is a reader like Watch. done is closed when the last call has returned; only then may the next Handle
// take StreamReceive. Call it before Start: messages that arrive while nothing reads are refused.
func (e *Engine) Handle(ctx context.Context, h Handler) (done <-chan struct{}) {
	news, release := e.watch(ctx, h.wants()), func() {}
	if h.StreamReceive != nil {
		release = e.streams.add("", nil)
		context.AfterFunc(ctx, release)
	}
	ended := make(chan struct{})
	handle := func() {
		defer close(ended)
		defer release()
		e.handleAll(ctx, news, h)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.handlersAwaited {
		go handle() // the engine has ended, so it ends too; ended reports that
	} else {
		e.handlers.Go(handle)
	}
	return ended
}

// wants lists the kinds of events that h takes from other readers.
func (h *Handler) wants() (kinds events.Kind) {
	for kind, is := range map[events.Kind]bool{
		events.Messages: h.Receive != nil, events.Streams: h.StreamReceive != nil,
		events.Offers: h.Offer != nil, events.Invitations: h.Invitation != nil,
	} {
		if is {
			kinds |= kind
		}
	}
	return kinds
}

func (e *Engine) handleAll(ctx context.Context, news iter.Seq[Event], h Handler) {
	var streams sync.WaitGroup
	defer streams.Wait()
	seen := seen{engine: e, found: map[PeerID]Peer{}, added: map[PeerID]Peer{}, invited: map[string]*Invitation{}, offered: map[TransferID]*Offer{}, ended: e.transfers.EndedBefore()}
	for ev := range news {
		switch ev := ev.(type) {
		case Snapshot:
			h.snapshot(ev, &seen)
		case PeerChanged:
			h.found(ev.Peer, &seen)
		case PeerLost:
			h.lost(ev.Peer, &seen)
		case PeerAdded:
			h.added(ev.Peer, &seen)
		case PeerRemoved:
			h.removed(ev.Peer, ev.Err, &seen)
		case Message:
			call(&seen, "Receive", h.Receive, ev)
		case streamReceived:
			streams.Go(func() {
				defer ev.stream.Close()
				defer context.AfterFunc(ctx, func() { ev.stream.s.Abandon(wire.Unavailable) })()
				recoverPanic(e, "StreamReceive", func() { h.StreamReceive(ev.stream) }, func() { ev.stream.s.Abandon(wire.Internal) })
			})
		case *Invitation:
			h.invitation(ev, &seen)
		case InvitationClosed:
			h.closed(ev.Invitation.ID, &seen)
		case *Offer:
			h.offer(ev, &seen)
		case Pairing:
			call(&seen, "Pairing", h.Pairing, ev)
		case Transfer:
			if ev.State != Offered {
				delete(seen.offered, ev.ID)
			}
			h.transfer(ev, &seen)
		case Conflict:
			call(&seen, "Conflict", h.Conflict, ev)
		case Problem:
			h.problem(ev.Err, &seen)
		}
	}
	why := ErrClosed // of the engine
	if ctx.Err() != nil {
		why = wire.EndOf(ctx)
	}
	for _, p := range slices.Collect(maps.Values(seen.added)) {
		h.removed(p, why, &seen)
	}
}

// call calls a function of Handler with an event.
func call[T any](s *seen, name string, f func(T), v T) {
	if f == nil {
		return
	}
	e := s.engine
	slow := time.AfterFunc(slowCall, func() {
		if _, told := s.slow.LoadOrStore(name, true); !told {
			e.panics.Warn("engine: a function of Handler has not returned, and all further events wait for it", "function", name, "after", slowCall)
		}
	})
	defer slow.Stop()
	recoverPanic(e, "Handler."+name, func() { f(v) }, func() {})
}

// slowCall is how long a function of a Handler may take before that is logged, once for each function.
const slowCall = 5 * time.Second

// seen records what a Handler has been called with, so that a Snapshot, which a slow program gets again, repeats
// nothing.
type seen struct {
	engine  *Engine
	found   map[PeerID]Peer
	added   map[PeerID]Peer
	problem bool
	invited map[string]*Invitation // the open invitations
	offered map[TransferID]*Offer  // the open offers
	ended   map[TransferID]time.Time
	slow    sync.Map // names of functions whose slowness was logged
	known   int      // the length of ended after the last call of forget
}

// maxEnded is how many ended transfers are remembered before those that the engine has forgotten are dropped.
const maxEnded = 4096

// forget drops the transfers that the engine no longer knows: it reports nothing more about them.
func (s *seen) forget() {
	known := map[TransferID]bool{}
	for _, t := range s.engine.Transfers() {
		known[t.ID] = true
	}
	maps.DeleteFunc(s.ended, func(id TransferID, _ time.Time) bool { return !known[id] })
	s.known = len(s.ended)
}

// found reports a peer that is new or has changed.
func (h *Handler) found(p Peer, s *seen) {
	_, before := s.found[p.ID]
	s.found[p.ID] = p
	if before {
		call(s, "PeerChanged", h.PeerChanged, p)
	} else {
		call(s, "PeerFound", h.PeerFound, p)
	}
}

func (h *Handler) lost(p Peer, s *seen) {
	if _, before := s.found[p.ID]; before {
		delete(s.found, p.ID)
		call(s, "PeerLost", h.PeerLost, p)
	}
}

func (h *Handler) added(p Peer, s *seen) {
	if _, twice := s.added[p.ID]; !twice {
		s.added[p.ID] = p
		call(s, "PeerAdded", h.PeerAdded, p)
	}
}

func (h *Handler) removed(p Peer, err error, s *seen) {
	if _, known := s.added[p.ID]; !known {
		return
	}
	delete(s.added, p.ID)
	if h.PeerRemoved != nil {
		call(s, "PeerRemoved", func(err error) { h.PeerRemoved(p, err) }, err)
	}
}

func (h *Handler) invitation(i *Invitation, s *seen) {
	switch {
	case s.invited[i.ID] != nil, h.Invitation == nil:
	default:
		s.invited[i.ID] = i
		call(s, "Invitation", h.Invitation, i)
	}
}

func (h *Handler) closed(id string, s *seen) {
	if i := s.invited[id]; i != nil {
		delete(s.invited, id)
		call(s, "InvitationClosed", h.InvitationClosed, i)
	}
}

// transfer reports a change, and each end only once.
func (h *Handler) transfer(t Transfer, s *seen) {
	switch {
	case !t.State.Final(): // a cancelled transfer may be offered again
		delete(s.ended, t.ID)
	case s.ended[t.ID].Equal(t.Ended): // compares the time: it may have run and ended again unseen
		return
	default:
		s.ended[t.ID] = t.Ended
		if len(s.ended) > max(maxEnded, 2*s.known) { // guard: ended-remembered
			s.forget()
		}
	}
	call(s, "Transfer", h.Transfer, t)
}

func (h *Handler) offer(o *Offer, s *seen) {
	id := o.Transfer.ID
	switch {
	case s.offered[id] == o: // reported already; an offer that is repeated later is another value
	case h.Offer == nil:
	default:
		s.offered[id] = o
		call(s, "Offer", h.Offer, o)
	}
}

func (h *Handler) problem(err error, s *seen) {
	s.problem = err != nil
	call(s, "Problem", h.Problem, err)
}

// snapshot reports what differs from what was reported before: everything at first, later what a slow program has
// missed.
func (h *Handler) snapshot(now Snapshot, s *seen) {
	gone, lost := maps.Clone(s.added), maps.Clone(s.found)
	for _, p := range now.Peers {
		h.found(p, s)
		delete(lost, p.ID)
		if p.HasSession() {
			h.added(p, s)
			delete(gone, p.ID)
		}
	}
	for _, p := range gone {
		h.removed(p, ErrLost, s)
	}
	for _, p := range lost {
		h.lost(p, s)
	}
	// Forget what no longer exists.
	for id := range s.invited {
		if !slices.ContainsFunc(now.Invitations, func(i *Invitation) bool { return i.ID == id }) {
			h.closed(id, s)
		}
	}
	maps.DeleteFunc(s.offered, func(id TransferID, _ *Offer) bool {
		return !slices.ContainsFunc(now.Offers, func(o *Offer) bool { return o.Transfer.ID == id })
	})
	maps.DeleteFunc(s.ended, func(id TransferID, _ time.Time) bool {
		return !slices.ContainsFunc(now.Transfers, func(t Transfer) bool { return t.ID == id })
	})
	for _, i := range now.Invitations {
		h.invitation(i, s)
	}
	for _, o := range now.Offers {
		h.offer(o, s)
	}
	for _, t := range now.Transfers {
		h.transfer(t, s)
	}
	for _, p := range now.Pairings {
		call(s, "Pairing", h.Pairing, p)
	}
	for _, c := range now.Conflicts {
		call(s, "Conflict", h.Conflict, c)
	}
	if now.Problem != nil || s.problem {
		h.problem(now.Problem, s)
	}
}
