package ui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
)

// outbox sends messages to connected peers in the order in which they were written. Messages to other peers wait.
type outbox struct {
	u        *UI
	inviting map[engine.PeerID]bool // peers that are being asked to connect because messages wait for them
}

func newOutbox(u *UI) *outbox { return &outbox{u: u, inviting: map[engine.PeerID]bool{}} }

// maxMessageText is the maximum length of a message, in bytes.
const maxMessageText = engine.MaxMessage - 1000

// mayDeliver reports whether a message may be queued, and shows the reason if not.
func (o *outbox) mayDeliver(t *talk, text string) bool {
	switch {
	case len(text) > maxMessageText:
		o.u.fail(engine.ErrTooLarge, "", true)
	case len(t.open) >= maxOpen:
		o.u.say(tr("Too many messages are already waiting for {{.Name}}.", "Name", o.u.nameOf(t)))
	default:
		return true
	}
	return false
}

// deliver adds a message to a conversation and sends it once the peer is connected. If the peer is offline, the message
// waits; if the peer is nearby, deliver asks it to connect.
func (o *outbox) deliver(t *talk, text string) {
	at := o.u.add(t, history.Row{Kind: history.Text, Own: true, Text: text, State: history.Queued}, nil)
	t.open = append(t.open, at.seq)
	t.save()
	o.u.trace("send %q to %s", text, o.u.label(t))
	t.invited = time.Time{} // a new message may ask the peer to connect at once
	o.sendOpen(t)
}

// sendAgain retries a message that failed.
func (o *outbox) sendAgain(at place) {
	if o.u.blocked(at.t.id) {
		return
	}
	o.u.setRow(at, func(r *history.Row) { r.State, r.Note, r.Unsure = history.Queued, "", false })
	at.t.open = append(at.t.open, at.seq)
	slices.Sort(at.t.open)
	at.t.save()
	at.t.invited = time.Time{}
	o.sendOpen(at.t)
	o.u.settle()
}

// sendOpen sends the queued messages of a conversation in order.
func (o *outbox) sendOpen(t *talk) {
	if len(t.open) == 0 || o.u.bind == nil {
		return
	}
	if t.everyone() {
		if !o.u.anyone() {
			return
		}
	} else if p, here := o.u.peers[t.id]; !here || !takesTexts(p) {
		if here && p.Trust != engine.TrustBlocked {
			o.inviteFor(t)
		}
		return
	}
	under := 0 // number of messages in flight
	for _, seq := range slices.Clone(t.open) {
		r := t.data(seq)
		switch {
		case !r.Own || r.Kind != history.Text: // rows were dropped, and another row has moved to this number
			t.close(seq)
		case r.State == history.Sending:
			under++
		}
	}
	for _, seq := range slices.Clone(t.open) {
		if under >= t.atOnce() {
			return // posted sends the next one
		}
		if t.data(seq).State == history.Queued {
			o.post(place{t, seq})
			under++
		}
	}
}

// atOnce returns how many messages of a conversation may be in flight. For a single peer it is one, so that no message
// overtakes one that the peer refused.
func (t *talk) atOnce() int {
	if t.everyone() {
		return everyoneAtOnce
	}
	return 1
}

// sendWaiting sends the messages that wait for nearby peers. It runs every second, so a peer that did not answer is
// asked again after a pause.
func (o *outbox) sendWaiting() {
	for _, t := range o.u.talks {
		o.sendOpen(t)
	}
}

const (
	// everyoneAtOnce is how many messages to everyone may be in flight. A message is done only when the slowest peer
	// has answered.
	everyoneAtOnce = 16
	// maxRefused is how often in a row a peer's program may report that it cannot take messages at the moment.
	maxRefused = 30
	// askAgain is the minimum time between two requests to connect that waiting messages cause.
	askAgain = 30 * time.Second
)

// inviteFor asks a peer to connect because messages wait for it. If the peer refuses, the messages fail with the
// reason.
func (o *outbox) inviteFor(t *talk) {
	if o.inviting[t.id] || time.Since(t.invited) < askAgain {
		return
	}
	o.inviting[t.id], t.invited = true, time.Now()
	o.restamp(t)
	background(o.u.bind, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, o.u.e.InviteWith(ctx, t.id, engine.InviteOptions{Person: true})
	}, func(_ struct{}, err error) {
		delete(o.inviting, t.id)
		_, here := o.u.peers[t.id]
		switch {
		case err == nil: // the PeerAdded event sends the messages
		case !here, errors.Is(err, engine.ErrNoPeer), errors.Is(err, engine.ErrBye), errors.Is(err, engine.ErrLost), errors.Is(err, engine.ErrTimeout), errors.Is(err, engine.ErrClosed):
			o.restamp(t) // the peer left or does not answer, so the messages keep waiting
		default:
			o.failOpen(t, reason(err, o.u.nameOf(t), false))
		}
	})
}

// restamp updates the line below each open message of a conversation, which states what the message waits for.
func (o *outbox) restamp(t *talk) {
	for _, seq := range slices.Clone(t.open) {
		o.u.setRow(place{t, seq}, func(*history.Row) {})
	}
}

// failOpen fails the queued messages of a conversation.
func (o *outbox) failOpen(t *talk, why string) {
	for _, seq := range slices.Clone(t.open) {
		at := place{t, seq}
		if r := t.data(seq); r.State == history.Queued {
			o.u.setRow(at, func(r *history.Row) { r.State, r.Note = history.Failed, why })
			o.u.trace("Not delivered. %s %q", why, r.Text)
		}
	}
}

// post passes a message to the engine, which keeps the order, and tracks the outcome.
func (o *outbox) post(at place) {
	t, text := at.t, at.t.data(at.seq).Text
	to := t.id
	if t.everyone() {
		to = engine.Broadcast
	}
	d, err := o.u.e.TryPost(chatlog.Words{Text: text, Everyone: t.everyone()}, to)
	if err != nil {
		o.posted(at, nil, err)
		return
	}
	o.u.setRow(at, func(r *history.Row) { r.State = history.Sending })
	background(o.u.bind, func(ctx context.Context) ([]engine.Result, error) {
		defer context.AfterFunc(ctx, d.Cancel)() // the window is closing
		return d.Results(), nil
	}, func(results []engine.Result, _ error) {
		o.posted(at, results, nil)
	})
}

// posted records the outcome of a message.
func (o *outbox) posted(at place, results []engine.Result, err error) {
	t := at.t
	if err == nil && !t.everyone() {
		err = results[0].Err
	}
	var missed []string
	for _, r := range results {
		if r.Err != nil {
			missed = append(missed, o.u.nameOf(o.u.talk(r.Peer)))
		}
	}
	refused := errors.Is(err, engine.ErrUnavailable)
	t.refused++
	if !refused {
		t.refused = 0
	}
	o.u.setRow(at, func(r *history.Row) {
		n := int64(len(results) - len(missed))
		switch {
		case errors.Is(err, engine.ErrNotConnected), errors.Is(err, engine.ErrNoPeer), errors.Is(err, engine.ErrNobody), errors.Is(err, engine.ErrBusy),
			refused && t.refused < maxRefused:
			r.State = history.Queued // it was not sent, and will be retried
		case err != nil:
			r.State, r.Note = history.Failed, reason(err, o.u.nameOf(t), false)
			for _, open := range []error{engine.ErrTimeout, engine.ErrLost, engine.ErrBye, engine.ErrCancelled, engine.ErrClosed} {
				r.Unsure = r.Unsure || errors.Is(err, open) // it may have arrived nevertheless
			}
		case t.everyone() && n == 0:
			r.State, r.Note = history.Failed, tr("No one received it.")
		default:
			r.State, r.Note = history.Delivered, ""
			if t.everyone() {
				if r.Note = trn("Delivered to {{.N}} devices", n); len(missed) > 0 {
					r.Note = tr("Delivered to {{.N}} of {{.All}}; not delivered to {{.Names}}", "N", n, "All", len(results), "Names", strings.Join(missed, ", "))
				}
			}
		}
		o.u.trace("%s %q", o.u.said(at, *r).Stamp, r.Text)
	})
	if err == nil {
		o.sendOpen(t)
	}
}

// takesTexts reports whether a message to a peer can be sent now: it has a session, or a gateway reaches it.
func takesTexts(p engine.Peer) bool { return p.HasSession() || p.Via != "" }
