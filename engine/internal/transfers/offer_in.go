package transfers

import (
	"context"
	"errors"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Limits on the offers that wait for an answer, and on how long they wait.
const (
	offersPerPeer     = 10
	offersInAll       = 50 // of verified peers, and as many of other known peers
	offersPerStranger = 2
	offersOfStrangers = 10
	// Limits on accepted incoming transfers that have not ended; each holds a goroutine and a record.
	openPerPeer     = 100
	openInAll       = 500 // of known peers
	openPerStranger = 4
	openOfStrangers = 16
	openPerSource   = 8 // of the strangers at one address: new keys cost nothing
	// OfferTimeout is how long an offer waits for its answer.
	OfferTimeout = 10 * time.Minute
)

// crossing is how long after a cancellation a repeated offer counts as sent before its sender knew of the cancellation.
// A later one counts as a new offer by the user.
const crossing = 3 * time.Second

// TakeOffer handles an offer of a peer, or the repetition of one.
func (m *Manager) TakeOffer(from identity.PeerID, name string, l Link, msg wire.Offer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	refuse := func(c wire.Code) { l.Send(wire.OfferAnswer{ID: msg.ID, Code: c, Attempt: msg.Attempt}) }
	if m.host.Current(from) != l {
		return
	}
	if t := m.transfers[ID(msg.ID)]; t != nil {
		switch {
		case t.view.Peer != from || !t.view.Incoming: // guard: offer-of-another
			refuse(wire.Protocol)
			return
		case t.accepted && m.continueOfferLocked(t, l, msg):
			return
		case t.cancelled && (t.unsent || now().Sub(t.decided) < crossing):
			refuse(wire.Cancelled)
			return
		case !t.view.State.Final(): // it still waits for its answer here, and the sender repeats it
			t.link, t.attempt = l, msg.Attempt
			if !t.asksAgain {
				return
			}
			if code, taken := m.askWithLocked(t, msg); !taken {
				refuse(code)
				m.finishLocked(t, wire.ErrUnavailable)
				m.discardLocked(t)
			}
			return
		}
		delete(m.transfers, t.view.ID) // it was not accepted before, or was cancelled: it is a new offer now
	}
	if !m.mayOfferLocked(from, l) { // guard: offers-pending
		refuse(wire.Busy)
		return
	}
	if m.asks.RefusedTooOften(from) { // guard: declined-often
		refuse(wire.Declined)
		return
	}
	if !m.asks.MayPrompt(from, transport.SourceOf(l.RemoteAddr().Addr()), via(l) != "") { // guard: offers-asked
		refuse(wire.Busy)
		return
	}
	t := m.newLocked(ID(msg.ID), from, name, true)
	t.names = msg.Names
	t.link = l
	t.source = transport.SourceOf(l.RemoteAddr().Addr())
	t.attempt = msg.Attempt
	t.onDisk = msg.OnDisk
	v := &t.view
	v.State = Offered
	v.Names, v.Items = clean(msg.Names), msg.Items
	v.Files = msg.Files
	v.Folders = msg.Folders
	v.Bytes = msg.Bytes
	v.Counting = msg.Counting
	v.Keep = msg.Keep
	v.Note = wire.CleanText(msg.Note)
	v.Via = via(l)
	o := &Offer{Transfer: *v, m: m, t: t, closed: make(chan struct{})}
	if m.profile.Knows(from) { // guard: preview-known
		o.Preview = msg.Preview
	}
	t.setOfferLocked(o)
	if !m.takenByPolicyLocked(t) {
		if code, taken := m.askLocked(t); !taken {
			refuse(code)
			return
		}
	}
	m.transfers[v.ID] = t
	m.publishLocked(t)
	m.expireOfferLaterLocked(t)
}

// askLocked asks a person about a new offer, if the policy admits its peer. If no one is asked, code is the answer for
// the other side.
func (m *Manager) askLocked(t *item) (code wire.Code, taken bool) {
	if t.link == nil || !m.host.MayOffer(t.link) { // guard: offers-policy
		return wire.Unavailable, false
	}
	return m.host.PublishOffer(t.offer)
}

// askWithLocked asks the person again about an offer that delivers more than it announced, with the sender's current
// totals.
func (m *Manager) askWithLocked(t *item, msg wire.Offer) (code wire.Code, taken bool) {
	t.asksAgain = false
	v := &t.view
	v.Files = msg.Files
	v.Folders = msg.Folders
	v.Bytes = msg.Bytes
	v.Counting = msg.Counting
	t.setOfferLocked(&Offer{Transfer: *v, m: m, t: t, closed: make(chan struct{})})
	m.publishLocked(t)
	m.expireOfferLaterLocked(t)
	return m.host.PublishOffer(t.offer)
}

// mayOfferLocked reports whether another offer from a peer may wait for an answer and, once accepted, be open.
// Verified peers, other known peers and strangers have separate slots: anyone can create new keys, and none may
// displace peers that the user trusts more.
func (m *Manager) mayOfferLocked(from identity.PeerID, l Link) bool {
	n := countLocked(m, from, l)
	if !m.mayOpenLocked(from, l) {
		return false
	}
	if m.profile.Peer(from).Trust == identity.Unknown {
		return n.waitingOfPeer < offersPerStranger && n.waiting < offersOfStrangers
	}
	return n.waitingOfPeer < offersPerPeer && n.waiting < offersInAll
}

// mayOpenLocked reports whether one more transfer of a peer may be under way: a new one, or one that had failed.
func (m *Manager) mayOpenLocked(from identity.PeerID, l Link) bool {
	n := countLocked(m, from, l)
	stranger := m.profile.Peer(from).Trust == identity.Unknown
	openMost, openMostOfPeer := openInAll, openPerPeer
	if stranger {
		openMost, openMostOfPeer = openOfStrangers, openPerStranger
	}
	if n.open >= openMost || n.openOfPeer >= openMostOfPeer { // guard: transfers-open
		return false
	}
	if stranger && n.ofSource >= openPerSource { // guard: transfers-of-a-source
		return false
	}
	return true
}

// counts are the numbers of incoming transfers that have not ended. A transfer that waits for an answer also counts as
// open, since it may be accepted at any moment.
type counts struct{ waiting, waitingOfPeer, open, openOfPeer, ofSource int }

// countLocked counts the transfers that share the limits of a peer.
func countLocked(m *Manager, from identity.PeerID, l Link) (n counts) {
	trust := m.profile.Peer(from).Trust
	source := transport.SourceOf(l.RemoteAddr().Addr())
	for _, t := range m.transfers {
		if !t.view.Incoming || t.view.State.Final() {
			continue
		}
		mine := t.view.Peer == from
		other := m.profile.Peer(t.view.Peer).Trust
		if t.source == source && other == identity.Unknown {
			n.ofSource++
		}
		switch {
		case t.view.State == Offered && other == trust:
			n.waiting++
			n.open++
		case t.view.State != Offered && (other == identity.Unknown) == (trust == identity.Unknown):
			n.open++
		}
		if mine {
			n.openOfPeer++
		}
		if mine && t.view.State == Offered {
			n.waitingOfPeer++
		}
	}
	return n
}

// expireOfferLaterLocked starts the timeout of t's offer.
func (m *Manager) expireOfferLaterLocked(t *item) {
	offer, done := t.offer, t.done
	m.tasks.Start(func(ctx context.Context) { m.expire(ctx, t, offer, done) })
}

// expire ends an unanswered offer; offer is nil if the sender has to make the offer again.
func (m *Manager) expire(ctx context.Context, t *item, offer *Offer, done <-chan struct{}) {
	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
		return
	case <-ctx.Done():
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.view.State == Offered && !t.accepted && t.offer == offer {
		t.link.Send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Timeout, Attempt: t.attempt})
		m.finishLocked(t, wire.ErrTimeout)
		m.discardLocked(t)
	}
}

// TakeUpdate handles new totals of an offer.
func (m *Manager) TakeUpdate(from identity.PeerID, msg wire.OfferUpdate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.ofLocked(from, msg.ID)
	if t == nil || !t.view.Incoming || t.view.State.Final() {
		return
	}
	if n := &t.newest; n.Counting { // a count only grows
		n.Files = max(n.Files, msg.Files)
		n.Folders = max(n.Folders, msg.Folders)
		n.Bytes = max(n.Bytes, msg.Bytes)
		n.Counting = msg.Counting
	}
	if !t.view.Counting { // what a person sees and accepts must not grow
		return
	}
	v := &t.view
	v.Files = max(v.Files, msg.Files)
	v.Folders = max(v.Folders, msg.Folders)
	v.Bytes = max(v.Bytes, msg.Bytes)
	v.Counting = msg.Counting
	if !msg.Counting && t.accepted {
		m.saveSoonLocked(t)
	}
	if t.held && !msg.Counting {
		m.decideAutoLocked(t)
	}
	m.publishLocked(t)
}

// TakeCancel handles the end of an offer or a transfer by the other side.
func (m *Manager) TakeCancel(from identity.PeerID, msg wire.OfferCancel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.ofLocked(from, msg.ID)
	if t == nil {
		return
	}
	err := msg.Code.Err()
	switch msg.Code {
	case wire.Bye:
		err = wire.ErrCancelled
	case wire.Delivered: // only an answer to an offer can say that
		err = wire.ErrProtocol
	case wire.Failed:
		err = &transfer.Failure{Path: msg.Path, Remote: true, Err: transfer.ReasonError(msg.Reason)}
	}
	t.view.ByPeer = !t.view.State.Final() && !t.cancelled && errors.Is(err, wire.ErrCancelled)
	m.stopLocked(t, err)
}
