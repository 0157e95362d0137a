package ui

import (
	"context"
	"fmt"

	"multipeer/engine"
)

// counts holds the number of transfers in each kind of state.
type counts struct{ moving, waiting, paused, delivered, ended int64 }

// line describes the transfers in progress.
func (n counts) line() (s string) {
	if n.moving > 0 {
		s = trn("{{.N}} active", n.moving)
	}
	if n.waiting > 0 {
		s = joined(s, trn("{{.N}} waiting", n.waiting))
	}
	if n.paused > 0 {
		s = joined(s, trn("{{.N}} paused", n.paused))
	}
	return s
}

// running reports whether any transfer is moving or waiting, and whether there are paused ones but none that moves.
func (ts *transfers) running() (moving, held bool) {
	for _, t := range ts.all {
		switch t.State {
		case engine.Moving, engine.Stalled, engine.Queued:
			moving = true
		case engine.Paused:
			held = true
		}
	}
	return moving, held && !moving
}

func (ts *transfers) count() (n counts) {
	for _, t := range ts.all {
		switch {
		case t.State == engine.Moving || t.State == engine.Stalled || t.State == engine.Finishing:
			n.moving++
		case t.State == engine.Paused:
			n.paused++
		case !t.State.Final():
			n.waiting++
		case t.State == engine.Delivered:
			n.delivered++
		default:
			n.ended++
		}
	}
	return n
}

// totalsLine describes the progress of all transfers together.
func (ts *transfers) totalsLine() string {
	var rate float64
	var rest int64
	for _, t := range ts.all {
		if t.State == engine.Moving || t.State == engine.Stalled {
			rate += t.Rate
			rest += t.Bytes - t.Done
		}
	}
	n, s := ts.count(), ""
	if n.moving > 0 {
		s = joined(size(int64(rate))+"/s", tr("{{.Size}} left", "Size", size(max(0, rest))))
	}
	s = joined(n.line(), s)
	if n.delivered > 0 {
		s = joined(s, trn("{{.N}} delivered", n.delivered))
	}
	if n.ended > 0 {
		s = joined(s, trn("{{.N}} not delivered", n.ended))
	}
	return s
}

// percent returns how much of all moving transfers is done, or -1 if none is moving.
func (ts *transfers) percent() int {
	var done, all int64
	for _, t := range ts.all {
		if t.State == engine.Moving || t.State == engine.Stalled {
			done += t.Done
			all += t.Bytes
		}
	}
	if all == 0 {
		return -1
	}
	return int(done * 100 / all)
}

// progressOutside shows the progress of the moving transfers in the window title and in the dock.
type progressOutside struct {
	u       *UI
	percent int  // the value shown last
	busy    bool // the dock is being updated
}

// refresh shows the current progress. It updates the dock one change at a time, because the dock may be slow.
func (p *progressOutside) refresh() {
	now := p.u.transfers.percent()
	title := "Multipeer"
	if now >= 0 {
		title = fmt.Sprintf("%d %% – Multipeer", now)
	}
	if title != p.u.w.Title() {
		p.u.w.SetTitle(title)
	}
	if now == p.percent || p.busy || p.u.bind == nil {
		return
	}
	p.percent, p.busy = now, true
	background(p.u.bind, func(context.Context) (struct{}, error) {
		return struct{}{}, p.u.o.Desktop.ShowProgress(float64(now) / 100)
	}, func(struct{}, error) { // ignore the error: a desktop may have no dock
		p.busy = false
		p.refresh()
	})
}

// partOf returns how much of the running transfers with a peer is done, from 0 to 1, and whether there are any.
func (ts *transfers) partOf(id engine.PeerID) (part float64, any bool) {
	var done, all int64
	for _, t := range ts.all {
		if t.Peer != id {
			continue
		}
		switch t.State {
		case engine.Moving, engine.Stalled, engine.Finishing, engine.Paused:
			any = true
			done += t.Done
			all += t.Bytes
		}
	}
	if all > 0 {
		part = float64(done) / float64(all)
	}
	return part, any
}

// line returns the status of the transfers for the list.
func (ts *transfers) line() string {
	n := ts.count()
	switch {
	case len(ts.all) == 0:
		return tr("No transfers yet")
	case n.moving+n.waiting+n.paused == 0:
		return tr("No active transfers")
	}
	return n.line()
}
