package transfers

import (
	"context"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// cost returns how much of the daily limit an offer uses: its bytes, the possible growth of its source in the meantime,
// and the disk space that small files and names use.
func cost(t Transfer) int64 {
	const least, entry = 64 << 10, 4 << 10
	if t.Bytes > 1<<60 || t.Files > 1<<40 || t.Folders > 1<<40 {
		return 1 << 62
	}
	return t.Bytes + t.Bytes/16 + least + entry*(t.Files+t.Folders)
}

// countLimit is how long an offer whose size is still being counted may wait before a person is asked.
const countLimit = 10 * time.Second

// autoFitsLocked reports whether the user's rule admits an offer without asking.
func (m *Manager) autoFitsLocked(t *item) (identity.Auto, bool) {
	unfinished := 0
	for _, other := range m.transfers {
		if other.view.Peer == t.view.Peer && other.byPolicy && !other.view.State.Final() {
			unfinished++
		}
	}
	if unfinished >= offersPerPeer {
		return identity.Auto{}, false
	}
	return fitting(m.profile.Peer(t.view.Peer), cost(t.view))
}

// fitting reports whether an offer of this cost is accepted without asking, and returns the updated use of the daily
// limit.
func fitting(r identity.Record, cost int64) (identity.Auto, bool) {
	a := r.Auto
	if r.Trust != identity.Verified || a.Bytes <= 0 || !a.Until.IsZero() && now().After(a.Until) { // guard: auto-until
		return a, false
	}
	if since := now().Sub(a.Day); since >= 24*time.Hour || since < 0 { // less than 0: the clock was wrong
		a.Day, a.Used = now().UTC().Truncate(time.Second), 0
	}
	return a, cost <= a.Bytes-a.Used
}

// takenByPolicyLocked accepts an offer without asking if the user's rule admits it. An offer whose size is still being
// counted is held until the size is known.
func (m *Manager) takenByPolicyLocked(t *item) bool {
	a, fits := m.autoFitsLocked(t)
	if !fits {
		return false
	}
	if t.view.Counting {
		t.held = true
		return m.tasks.Start(func(ctx context.Context) {
			timer := time.NewTimer(countLimit)
			defer timer.Stop()
			select {
			case <-timer.C:
				m.mu.Lock()
				defer m.mu.Unlock()
				if t.held {
					m.askAfterAllLocked(t)
				}
			case <-t.done:
			case <-ctx.Done():
			}
		})
	}
	offer, price := t.offer, cost(t.view)
	t.byPolicy = true
	return m.tasks.Start(func(context.Context) {
		fits := false
		err := m.profile.Update(offer.Transfer.Peer, func(r *identity.Record) { // other offers use the limit too
			if a, fits = fitting(*r, price); fits {
				a.Used += price
				r.Auto = a
			}
		})
		if err == nil && !fits {
			err = wire.ErrDeclined
		}
		if err == nil {
			err = offer.Accept(AcceptOptions{Dir: string(a.Dir), Place: transfer.Place(a.Place), Policy: true})
		}
		if err != nil {
			m.log.Warn("accepting without asking", "peer", t.view.Peer.Short(), "err", err)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.askAfterAllLocked(t)
		}
	})
}

// decideAutoLocked decides on a held offer whose size is known now.
func (m *Manager) decideAutoLocked(t *item) {
	t.held = false
	if t.offer == nil || t.view.State != Offered {
		return
	}
	t.offer.Transfer = t.view
	if !m.takenByPolicyLocked(t) {
		m.askAfterAllLocked(t)
	}
}

// askAfterAllLocked asks a person about an offer that the policy could not accept.
func (m *Manager) askAfterAllLocked(t *item) {
	t.held, t.byPolicy = false, false
	if t.offer != nil && t.view.State == Offered {
		t.offer.Transfer = t.view
		if code, taken := m.askLocked(t); !taken {
			(&receiver{m, t}).refuseUnaskedLocked(code)
		}
	}
}
