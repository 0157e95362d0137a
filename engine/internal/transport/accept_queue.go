package transport

import (
	"net/netip"
	"sync"
	"time"

	"multipeer/engine/internal/identity"
)

// hurry is how long a waiting connection may stay silent while more than half of the slots are taken.
const hurry = time.Second

// AcceptQueue limits the accepted connections that have not yet stated their purpose: in total, per key and per source
// (see SourceOf). A full queue does not refuse a newcomer, because then a few silent devices could keep all other
// devices out: instead, the source with the most connections loses the one that has been silent longest. Its methods
// may be called concurrently.
type AcceptQueue struct {
	limits AcceptLimits

	mu      sync.Mutex
	waiting []*Waiting // in order of arrival
}

// AcceptLimits are the limits of an AcceptQueue. PerKey and PerSource may be 0, which means no separate limit.
type AcceptLimits struct{ All, PerKey, PerSource int }

// Waiting is a slot in an AcceptQueue.
type Waiting struct {
	q      *AcceptQueue
	key    identity.PeerID
	source netip.Addr
	since  time.Time
	spoken bool
	end    func()
}

// NewAcceptQueue returns an empty AcceptQueue.
func NewAcceptQueue(limits AcceptLimits) *AcceptQueue { return &AcceptQueue{limits: limits} }

// Enter reserves a slot for a connection of key from addr. The caller must call Leave. end closes the connection; it
// is called at most once, without a lock held, when the slot is taken away. key may be zero if it is not proven yet.
func (q *AcceptQueue) Enter(key identity.PeerID, addr netip.Addr, end func()) *Waiting {
	w := &Waiting{q: q, key: key, source: SourceOf(addr), since: time.Now(), end: end}
	q.mu.Lock()
	out := q.expiredLocked(w.since)
	sameKey := func(o *Waiting) bool { return o.key == key }
	if q.limits.PerKey > 0 && q.countLocked(sameKey) >= q.limits.PerKey { // guard: waiting-per-key
		out = append(out, q.takeLocked(sameKey))
	}
	sameSource := func(o *Waiting) bool { return o.source == w.source }
	if q.limits.PerSource > 0 && q.countLocked(sameSource) >= q.limits.PerSource { // guard: waiting-per-source
		out = append(out, q.takeLocked(sameSource))
	}
	if len(q.waiting) >= q.limits.All { // guard: waiting
		most := q.largestLocked()
		out = append(out, q.takeLocked(func(o *Waiting) bool { return o.source == most }))
	}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	for _, o := range out {
		o.end()
	}
	return w
}

// expiredLocked removes and returns the waiting connections that have been silent for too long, if more than half of
// the slots are taken.
func (q *AcceptQueue) expiredLocked(at time.Time) (out []*Waiting) {
	for 2*len(q.waiting) > q.limits.All {
		w := q.waiting[q.firstLocked(func(*Waiting) bool { return true })]
		if !w.spoken && at.Sub(w.since) >= hurry { // guard: waiting-silent
			out = append(out, q.takeLocked(func(o *Waiting) bool { return o == w }))
			continue
		}
		break
	}
	return out
}

func (q *AcceptQueue) countLocked(of func(*Waiting) bool) (n int) {
	for _, w := range q.waiting {
		if of(w) {
			n++
		}
	}
	return n
}

// largestLocked returns the source with the most slots, and among several the one that has waited longest.
func (q *AcceptQueue) largestLocked() (source netip.Addr) {
	counts, most := map[netip.Addr]int{}, 0
	for _, w := range q.waiting {
		counts[w.source]++
		most = max(most, counts[w.source])
	}
	for _, w := range q.waiting {
		if counts[w.source] == most {
			return w.source
		}
	}
	return source
}

// firstLocked finds the matching entry that has been silent longest, or else the one that has waited longest. There
// must be one.
func (q *AcceptQueue) firstLocked(of func(*Waiting) bool) (at int) {
	at = -1
	for i, w := range q.waiting {
		if of(w) && !w.spoken {
			return i
		}
		if of(w) && at < 0 {
			at = i
		}
	}
	return at
}

// takeLocked removes the entry that firstLocked finds.
func (q *AcceptQueue) takeLocked(of func(*Waiting) bool) *Waiting {
	i := q.firstLocked(of)
	w := q.waiting[i]
	q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
	return w
}

// Within returns how long the connection may stay silent: most, or less when many wait.
func (w *Waiting) Within(most time.Duration) time.Duration {
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	if 2*len(w.q.waiting) > w.q.limits.All {
		return min(most, hurry)
	}
	return most
}

// Spoke records that the connection has stated its purpose and is being served.
func (w *Waiting) Spoke() {
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	w.spoken = true
}

// Leave frees the slot. It is idempotent.
func (w *Waiting) Leave() {
	w.q.mu.Lock()
	defer w.q.mu.Unlock()
	for i, o := range w.q.waiting {
		if o == w {
			w.q.waiting = append(w.q.waiting[:i:i], w.q.waiting[i+1:]...)
			return
		}
	}
}
