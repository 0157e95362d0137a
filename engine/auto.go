package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"multipeer/engine/internal/identity"
)

// AutoAccept says what is taken from a verified peer without asking. The zero value asks for everything.
type AutoAccept struct {
	// Bytes is how much in 24 hours; 0 takes nothing. Each offer counts for a sixteenth and 64 KiB more than its bytes, and
	// each file and folder for 4 KiB.
	Bytes int64
	Dir   string    // the folder that receives, absolute
	Until time.Time // zero is for good
}

// cost is what an offer takes of the day: its bytes, what its source may have grown by meanwhile, and what small files
// and their names take on a disk.
func cost(t Transfer) int64 {
	const least, entry = 64 << 10, 4 << 10
	if t.Bytes > 1<<60 || t.Files > 1<<40 || t.Folders > 1<<40 {
		return 1 << 62
	}
	return t.Bytes + t.Bytes/16 + least + entry*(t.Files+t.Folders)
}

// countLimit is how long an offer whose size is still counted waits for it before a person is asked.
const countLimit = 10 * time.Second

// SetAutoAccept keeps what is taken from a peer without asking, durable when it returns; only call it for a user's act.
// The peer must be verified, and what SetTrust makes of it later takes it back. The zero AutoAccept asks again. The
// error is ErrInvalid with the reason.
func (e *Engine) SetAutoAccept(id PeerID, a AutoAccept) error {
	bad := func(why string) error { return fmt.Errorf("auto-accept: %w: %s", ErrInvalid, why) }
	switch {
	case a != (AutoAccept{}) && e.profile.Peer(id).Trust != identity.Verified: // guard: auto-verified
		return bad("only from a verified peer; compare codes first")
	case a.Bytes < 0:
		return bad("a negative size")
	case a.Bytes > 0 && !filepath.IsAbs(a.Dir):
		return bad("name a folder that receives, by its whole path")
	}
	err := e.profile.Update(id, func(r *identity.Record) {
		r.Auto = identity.Auto{Bytes: a.Bytes, Dir: a.Dir, Until: a.Until, Day: r.Auto.Day, Used: r.Auto.Used}
		if a.Bytes == 0 {
			r.Auto = identity.Auto{}
		}
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		e.changed(p)
	}
	return nil
}

// autoFits tells whether the user lets an offer in without being asked. Call with Engine.mu held.
func (e *Engine) autoFits(t *transferState) (identity.Auto, bool) {
	unfinished := 0
	for _, other := range e.transfers {
		if other.view.Peer == t.view.Peer && other.byPolicy && !other.view.State.Final() {
			unfinished++
		}
	}
	if unfinished >= offersPerPeer {
		return identity.Auto{}, false
	}
	return fitting(e.profile.Peer(t.view.Peer), cost(t.view))
}

// fitting tells whether what costs so many bytes of a peer's day is taken without asking, and what of its day is used.
func fitting(r identity.Record, cost int64) (identity.Auto, bool) {
	a := r.Auto
	if r.Trust != identity.Verified || a.Bytes <= 0 || !a.Until.IsZero() && now().After(a.Until) { // guard: auto-until
		return a, false
	}
	if now().Sub(a.Day) >= 24*time.Hour {
		a.Day, a.Used = now().UTC().Truncate(time.Second), 0
	}
	return a, cost <= a.Bytes-a.Used
}

// takenByPolicy accepts an offer without asking, if the user has said so; one whose size is not known yet is held until
// it is. Call with Engine.mu held.
func (e *Engine) takenByPolicy(t *transferState) bool {
	a, fits := e.autoFits(t)
	if !fits {
		return false
	}
	if t.view.Counting {
		t.held = true
		return e.start(func(ctx context.Context) {
			timer := time.NewTimer(countLimit)
			defer timer.Stop()
			select {
			case <-timer.C:
				e.mu.Lock()
				defer e.mu.Unlock()
				if t.held {
					e.askAfterAll(t)
				}
			case <-t.done:
			case <-ctx.Done():
			}
		})
	}
	offer, price := t.offer, cost(t.view)
	t.byPolicy = true
	return e.start(func(context.Context) {
		fits := false
		err := e.profile.Update(offer.Transfer.Peer, func(r *identity.Record) { // others may have used it up meanwhile
			if a, fits = fitting(*r, price); fits {
				a.Used += price
				r.Auto = a
			}
		})
		if err == nil && !fits {
			err = ErrDeclined
		}
		if err == nil {
			err = offer.Accept(AcceptOptions{Dir: a.Dir})
		}
		if err != nil {
			e.log.Warn("accepting without asking", "peer", t.view.Peer.Short(), "err", err)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.askAfterAll(t)
		}
	})
}

// release decides about an offer that was held, since its size is known now. Call with Engine.mu held.
func (e *Engine) release(t *transferState) {
	t.held = false
	if t.offer == nil || t.view.State != Offered {
		return
	}
	t.offer.Transfer = t.view
	if !e.takenByPolicy(t) {
		e.askAfterAll(t)
	}
}

// askAfterAll leaves an offer to a person after all. Call with Engine.mu held.
func (e *Engine) askAfterAll(t *transferState) {
	t.held, t.byPolicy = false, false
	if t.offer != nil && t.view.State == Offered {
		t.offer.Transfer = t.view
		e.publish(OfferReceived{t.offer})
	}
}

// Bounds on how often a peer that is not verified may ask for what was declined.
const (
	maxDeclined  = 3
	declinePause = 10 * time.Minute
)

// offend counts a no. Call with Engine.mu held.
func (e *Engine) offend(id PeerID) {
	if e.profile.Peer(id).Trust == identity.Verified {
		return
	}
	a := e.askerOf(id)
	a.declined, a.since = a.declined+1, now()
}

// tooOften tells a peer that was declined several times lately: it is declined without asking for a while. A yes
// forgets. Call with Engine.mu held.
func (e *Engine) tooOften(p *peer) bool {
	a := e.asks.peers[p.id]
	if a == nil {
		return false
	}
	if now().Sub(a.since) >= declinePause {
		a.declined = 0
	}
	return a.declined >= maxDeclined
}
