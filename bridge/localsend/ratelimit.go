package localsend

import (
	"net/netip"
	"sync"
	"time"

	"multipeer/internal/connlimit"

	"golang.org/x/time/rate"
)

// maxSources is how many addresses are counted separately. All further ones count as one.
const maxSources = 1000

// sourceLimits limits how often each address may cause something. Its methods may be called concurrently.
type sourceLimits struct {
	rate  rate.Limit // per second
	burst int

	mu    sync.Mutex
	of    map[netip.Addr]*sourceLimit
	swept time.Time // when old addresses were last forgotten
}

// sourceLimit is the usage of one address.
type sourceLimit struct {
	*rate.Limiter
	used     time.Time
	declined int
	since    time.Time // when it was last declined
}

func newSourceLimits(perSecond rate.Limit, burst int) *sourceLimits {
	return &sourceLimits{rate: perSecond, burst: burst, of: map[netip.Addr]*sourceLimit{}}
}

// ofLocked returns the limit of an address.
func (sl *sourceLimits) ofLocked(from netip.Addr) *sourceLimit {
	from = connlimit.SourceOf(from)
	if l := sl.of[from]; l != nil {
		return l
	}
	if len(sl.of) >= maxSources && time.Since(sl.swept) >= time.Second {
		sl.swept = time.Now()
		sl.forgetOldLocked()
	}
	if len(sl.of) >= maxSources {
		from = netip.Addr{}
		if l := sl.of[from]; l != nil {
			return l
		}
	}
	l := &sourceLimit{Limiter: rate.NewLimiter(sl.rate, sl.burst)}
	sl.of[from] = l
	return l
}

// forgetOldLocked forgets the addresses that have their full allowance again and were not declined recently.
func (sl *sourceLimits) forgetOldLocked() {
	full := time.Duration(float64(sl.burst) / float64(sl.rate) * float64(time.Second))
	for from, l := range sl.of {
		if time.Since(l.used) > full && time.Since(l.since) > declinePause {
			delete(sl.of, from)
		}
	}
}

// allow reports whether an address may cause one more action, and counts it.
func (sl *sourceLimits) allow(from netip.Addr) bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.ofLocked(from)
	l.used = time.Now()
	return l.Allow()
}

const (
	// maxDeclined is how often an address may be declined before its offers are declined automatically, for
	// declinePause.
	maxDeclined  = 3
	declinePause = 10 * time.Minute
)

// decline counts an offer from an address that a person declined.
func (sl *sourceLimits) decline(from netip.Addr) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.ofLocked(from)
	l.declined++
	l.since = time.Now()
}

// accept resets the counts of an address, since a person has accepted something from it.
func (sl *sourceLimits) accept(from netip.Addr) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.ofLocked(from)
	l.Limiter, l.declined = rate.NewLimiter(sl.rate, sl.burst), 0
}

// isDeclined reports whether an address was declined so often that its offers are declined automatically.
func (sl *sourceLimits) isDeclined(from netip.Addr) bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.ofLocked(from)
	if time.Since(l.since) > declinePause {
		l.declined = 0
	}
	return l.declined >= maxDeclined
}
