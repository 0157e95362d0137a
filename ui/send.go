package ui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/keep"
)

// sendText sends what is in the field to the current conversation.
func (u *UI) sendText() {
	t, text := u.current, strings.TrimSpace(u.entry.Text)
	if t == nil || text == "" || !u.mayDeliver(t, text) {
		return
	}
	u.entry.SetText("")
	u.saveDraft()
	u.deliver(t, text)
	u.settle()
}

// offerSend brings the button out when there is something to send.
func (u *UI) offerSend() {
	if u.send == nil {
		return
	}
	importance, icon := widget.LowImportance, fyne.Resource(iconGo)
	if strings.TrimSpace(u.entry.Text) != "" {
		importance, icon = widget.HighImportance, iconSend
	}
	if u.send.Importance != importance {
		u.send.Importance = importance
		u.send.SetIcon(icon)
	}
}

// mayDeliver tells whether a message has room, and says so if not.
func (u *UI) mayDeliver(t *talk, text string) bool {
	switch {
	case len(text) > engine.MaxMessage-1000:
		u.say(reason(engine.ErrTooLarge, "", true))
	case len(t.open) >= maxOpen:
		u.say(tr("Too many messages wait for {{.Name}} already.", "Name", u.nameOf(t)))
	default:
		return true
	}
	return false
}

// deliver puts a message into a conversation and sends it as soon as the peer is connected: it waits for one that is
// not there, and asks one that is to connect.
func (u *UI) deliver(t *talk, text string) {
	at := u.add(t, history.Row{Kind: history.Text, Own: true, Text: text, State: history.Queued}, nil)
	t.open = append(t.open, at.seq)
	t.save()
	u.trace("send %q to %s", text, u.label(t))
	t.invited = time.Time{} // a user who writes may ask at once
	u.sendOpen(t)
}

// sendAgain sends a message that failed once more.
func (u *UI) sendAgain(at place) {
	if u.blocked(at.t.id) {
		return
	}
	u.setRow(at, func(r *history.Row) { r.State, r.Note, r.Unsure = history.Queued, "", false })
	at.t.open = append(at.t.open, at.seq)
	slices.Sort(at.t.open)
	at.t.save()
	at.t.invited = time.Time{}
	u.sendOpen(at.t)
	u.settle()
}

// sendOpen sends what waits in a conversation, in its order.
func (u *UI) sendOpen(t *talk) {
	if len(t.open) == 0 || u.bind == nil {
		return
	}
	if t.everyone() {
		if !u.anyone() {
			return
		}
	} else if p, here := u.peers[t.id]; !here || !p.HasSession() {
		if here && p.Trust != engine.TrustBlocked {
			u.inviteFor(t)
		}
		return
	}
	under := 0 // way
	for _, seq := range t.open {
		if t.data(seq).State == history.Sending {
			under++
		}
	}
	for _, seq := range slices.Clone(t.open) {
		if under >= t.atOnce() {
			return // posted goes on
		}
		if t.data(seq).State == history.Queued {
			u.post(place{t, seq})
			under++
		}
	}
}

// atOnce is how many messages of a conversation are on their way at once: to one peer a single one, so that one that is
// refused does not let the next one overtake it.
func (t *talk) atOnce() int {
	if t.everyone() {
		return everyoneAtOnce
	}
	return 1
}

// sendWaiting sends what waits for whoever is here: after a pause, since who was asked in vain is asked again.
func (u *UI) sendWaiting() {
	for _, t := range u.talks {
		u.sendOpen(t)
	}
}

const (
	// everyoneAtOnce is how many messages to all are on their way at once: the slowest peer answers last.
	everyoneAtOnce = 16
	// maxRefused is how often in a row a program may say that it takes no messages at the moment.
	maxRefused = 30
	// askAgain is the time between two requests to connect that messages make.
	askAgain = 30 * time.Second
)

// inviteFor asks a peer to connect because messages wait for it. If it does not, they fail with the reason.
func (u *UI) inviteFor(t *talk) {
	if u.inviting[t.id] || time.Since(t.invited) < askAgain {
		return
	}
	u.inviting[t.id], t.invited = true, time.Now()
	u.restamp(t)
	background(u.bind, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, u.e.Invite(ctx, t.id)
	}, func(_ struct{}, err error) {
		delete(u.inviting, t.id)
		_, here := u.peers[t.id]
		switch {
		case err == nil: // PeerAdded comes, and sends
		case !here, errors.Is(err, engine.ErrNoPeer), errors.Is(err, engine.ErrBye), errors.Is(err, engine.ErrLost), errors.Is(err, engine.ErrTimeout), errors.Is(err, engine.ErrClosed):
			u.restamp(t) // it has left, or does not answer: they wait on
		default:
			u.failOpen(t, reason(err, u.nameOf(t), false))
		}
	})
}

// restamp says anew what the messages of a conversation wait for.
func (u *UI) restamp(t *talk) {
	for _, seq := range slices.Clone(t.open) {
		u.setRow(place{t, seq}, func(*history.Row) {})
	}
}

// failOpen gives up what waits in a conversation.
func (u *UI) failOpen(t *talk, why string) {
	for _, seq := range slices.Clone(t.open) {
		at := place{t, seq}
		if r := t.data(seq); r.State == history.Queued {
			u.setRow(at, func(r *history.Row) { r.State, r.Note = history.Failed, why })
			u.trace("Not delivered. %s %q", why, r.Text)
		}
	}
}

// post hands a message to the engine, which keeps the order, and follows what becomes of it.
func (u *UI) post(at place) {
	t, text := at.t, at.t.data(at.seq).Text
	var to []engine.PeerID
	if !t.everyone() {
		to = []engine.PeerID{t.id}
	}
	d, err := u.e.Post(u.bind.ctx, keep.Words{Text: text, Everyone: t.everyone()}, to...)
	if err != nil {
		u.posted(at, nil, err)
		return
	}
	u.setRow(at, func(r *history.Row) { r.State = history.Sending })
	background(u.bind, func(context.Context) ([]engine.Result, error) { return d.Results(), nil }, func(results []engine.Result, _ error) {
		u.posted(at, results, nil)
	})
}

// posted notes what became of a message.
func (u *UI) posted(at place, results []engine.Result, err error) {
	t := at.t
	if err == nil && !t.everyone() {
		err = results[0].Err
	}
	var missed []string
	for _, r := range results {
		if r.Err != nil {
			missed = append(missed, u.nameOf(u.talk(r.Peer)))
		}
	}
	refused := errors.Is(err, engine.ErrUnavailable)
	if t.refused++; !refused {
		t.refused = 0
	}
	u.setRow(at, func(r *history.Row) {
		n := int64(len(results) - len(missed))
		switch {
		case errors.Is(err, engine.ErrNotConnected), errors.Is(err, engine.ErrNoPeer), errors.Is(err, engine.ErrNobody), errors.Is(err, engine.ErrBusy),
			refused && t.refused < maxRefused:
			r.State = history.Queued // it was not sent, and goes when it can
		case err != nil:
			r.State, r.Note = history.Failed, reason(err, u.nameOf(t), false)
			for _, open := range []error{engine.ErrTimeout, engine.ErrLost, engine.ErrBye, engine.ErrCancelled, engine.ErrClosed} {
				r.Unsure = r.Unsure || errors.Is(err, open) // these leave open whether it arrived
			}
		case t.everyone() && n == 0:
			r.State, r.Note = history.Failed, tr("It reached nobody.")
		default:
			r.State, r.Note = history.Delivered, ""
			if t.everyone() {
				if r.Note = trn("Delivered to {{.N}} devices", n); len(missed) > 0 {
					r.Note = tr("Delivered to {{.N}} of {{.All}}, not to {{.Names}}", "N", n, "All", len(results), "Names", strings.Join(missed, ", "))
				}
			}
		}
		u.trace("%s %q", u.said(at, *r).stamp, r.Text)
	})
	if err == nil {
		u.sendOpen(t)
	}
}

// anyone tells whether somebody is connected.
func (u *UI) anyone() bool {
	for _, p := range u.peers {
		if p.HasSession() {
			return true
		}
	}
	return false
}

// receive shows a message that came.
func (u *UI) receive(m engine.Message) {
	r, all := keep.Message(m)
	t := u.talk(m.From)
	t.rename(m.Name)
	if all {
		r.Who = u.nameOf(t)
		t = u.talk(engine.PeerID{})
	}
	u.add(t, r, nil)
	u.trace("message %q from %s", r.Text, m.Name)
	u.attend(t, noteMessage)
}

// invite asks the peer of a conversation to connect.
func (u *UI) invite(id engine.PeerID) {
	name := u.nameOf(u.talk(id))
	u.trace("invite %q", name)
	background(u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, u.e.Invite(ctx, id) }, func(_ struct{}, err error) {
		if err != nil && !errors.Is(err, engine.ErrCancelled) {
			u.say(reason(err, name, false))
		}
	})
}
