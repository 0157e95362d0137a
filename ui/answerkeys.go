package ui

import (
	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// question is a card with a peer's request that can be answered by a key.
type question interface {
	// asker returns the peer whose request waits for an answer. It returns false if none does.
	asker() (engine.PeerID, bool)
	answerByKey(accept bool)
}

// answerByKey accepts or declines the request that the user looks at: the one card in view, or else the one in the
// banner. If several cards are in view, it answers none, because a key does not say which of them is meant.
func (b *banner) answerByKey(accept bool) {
	u, open := b.u, questionsInView(b.u)
	switch {
	case len(open) > 1:
		u.say(tr("Several requests are on screen. Answer them with their buttons."))
	case len(open) == 1:
		peer, _ := open[0].asker()
		if accept && u.warning(u.peers[peer]) != "" {
			u.say(tr("Read the warning, then answer with the buttons."))
			return
		}
		open[0].answerByKey(accept)
	case accept:
		b.answer(b.now.accept)
	default:
		b.answer(b.now.decline)
	}
}

// questionsInView returns the cards on the current page whose request waits for an answer and whose buttons are in
// view.
func questionsInView(u *UI) (open []question) {
	var rows *widgets.Timeline
	switch {
	case u.shell.narrow && !u.shell.onPage:
		return nil
	case u.page == pageTalk:
		rows = u.timeline
	case u.page == pageTransfers:
		rows = u.moves.list
	default:
		return nil
	}
	for _, o := range rows.WithEndInView() {
		if d, dated := o.(*dayItem); dated {
			o = d.item
		}
		q, ok := o.(question)
		if !ok {
			continue
		}
		if _, waits := q.asker(); waits {
			open = append(open, q)
		}
	}
	return open
}

// asker implements question.
func (c *invitationCard) asker() (engine.PeerID, bool) { return c.peer, true }

// answerByKey implements question.
func (c *invitationCard) answerByKey(accept bool) {
	if accept {
		c.press(c.agree)()
	} else {
		c.press(c.decline)()
	}
}

// asker implements question.
func (c *transferCard) asker() (engine.PeerID, bool) {
	return c.now.Peer, c.now.State == engine.Offered && c.now.Incoming
}

// answerByKey implements question.
func (c *transferCard) answerByKey(accept bool) {
	if accept {
		c.press(c.acceptShown)()
	} else {
		c.press(c.actions.decline)()
	}
}

var (
	_ question = (*invitationCard)(nil)
	_ question = (*transferCard)(nil)
)
