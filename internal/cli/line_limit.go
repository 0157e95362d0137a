package cli

import (
	"maps"
	"sync"
	"time"

	"multipeer/engine"
)

const (
	// strangerLines is how many lines about strangers are printed in a burst, and strangerEvery the interval for each
	// further one.
	strangerLines = 20
	strangerEvery = 10 * time.Second
	// peerLines and peerEvery are the same limits for each known peer, in a service.
	peerLines = 100
	peerEvery = 2 * time.Second
	// pacedPeers is how many known peers can each have their own pace at a time; further peers share one.
	pacedPeers = 1024
)

// pace limits the lines that strangers, or one peer, can cause: the system stores the output of a service on disk. Its
// methods may be called concurrently. The zero value is the pace for strangers.
type pace struct {
	lines  float64
	every  time.Duration
	mu     sync.Mutex
	used   float64
	last   time.Time
	hidden int
}

// allow reports whether another line may be printed now, and how many were omitted since the last one.
func (p *pace) allow(now time.Time) (ok bool, hidden int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most, every := p.lines, p.every
	if most == 0 {
		most, every = strangerLines, strangerEvery
	}
	p.used = max(0, p.used-float64(now.Sub(p.last))/float64(every))
	p.last = now
	if p.used+1 > most { // guard: stranger-lines
		p.hidden++
		return false, 0
	}
	p.used++
	hidden, p.hidden = p.hidden, 0
	return true, hidden
}

// hiddenNow returns how many lines were omitted since the last one.
func (p *pace) hiddenNow() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hidden
}

// idle reports whether the limit is no longer in use.
func (p *pace) idle(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hidden == 0 && p.used <= float64(now.Sub(p.last))/float64(p.every)
}

// paces has a pace for each known peer. Its methods may be called concurrently.
type paces struct {
	mu     sync.Mutex
	of     map[engine.PeerID]*pace
	others pace
}

func (p *paces) get(id engine.PeerID, now time.Time) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.of[id]; c != nil {
		return c
	}
	if len(p.of) >= pacedPeers {
		maps.DeleteFunc(p.of, func(_ engine.PeerID, c *pace) bool { return c.idle(now) })
	}
	if len(p.of) >= pacedPeers {
		return &p.others
	}
	if p.of == nil {
		p.of = map[engine.PeerID]*pace{}
	}
	c := &pace{lines: peerLines, every: peerEvery}
	p.of[id] = c
	return c
}

// allow reports whether a peer may cause one more line now.
func (p *paces) allow(id engine.PeerID, now time.Time) bool {
	ok, _ := p.get(id, now).allow(now)
	return ok
}

// may reports whether one more line about a peer may be printed. Lines about strangers are always limited; lines about
// other peers only in a service, whose output no one reads immediately.
func (r *receiver) may(id engine.PeerID) bool {
	c, who := &r.strangers, "strangers"
	if r.e.Trust(id) != engine.TrustUnknown {
		if r.keeper == nil {
			return true
		}
		c, who = r.known.get(id, time.Now()), id.Short()
	}
	ok, hidden := c.allow(time.Now())
	if hidden > 0 {
		r.out.note("omitted %s about %s", plural(int64(hidden), "line", "lines"), who)
	}
	return ok
}

// noteAbout is like note, for lines about a peer.
func (r *receiver) noteAbout(id engine.PeerID, format string, a ...any) {
	if r.may(id) {
		r.out.note(format, a...)
	}
}

// ends limits the lines that report the end of a transfer. It is separate from the limit on progress lines, because
// progress lines would use up the allowance, and readers need to see how each transfer ended. Its methods may be called
// concurrently.
type ends struct {
	known     paces
	once      sync.Once
	strangers pace
}

// allow reports whether the end of one more transfer may be printed now.
func (e *ends) allow(id engine.PeerID, trust engine.Trust) bool {
	if trust != engine.TrustUnknown {
		return e.known.allow(id, time.Now())
	}
	e.once.Do(func() { e.strangers.lines, e.strangers.every = peerLines, peerEvery })
	ok, _ := e.strangers.allow(time.Now())
	return ok
}
