package localsend

import (
	"net/netip"
	"sync"
	"time"

	"multipeer/internal/connlimit"

	"golang.org/x/time/rate"
)

// sourceLimits limits how often each address may cause something. Its methods may be called concurrently.
type sourceLimits struct {
	rate  rate.Limit // per second
	burst int

	mu sync.Mutex
	of *connlimit.Sources[sourceLimit]
}

// sourceLimit is the usage of one address.
type sourceLimit struct {
	*rate.Limiter
	used     time.Time
	declined int
	since    time.Time // when it was last declined
}

func newSourceLimits(perSecond rate.Limit, burst int) *sourceLimits {
	full := time.Duration(float64(burst) / float64(perSecond) * float64(time.Second))
	return &sourceLimits{rate: perSecond, burst: burst, of: connlimit.NewSources(
		func() *sourceLimit { return &sourceLimit{Limiter: rate.NewLimiter(perSecond, burst)} },
		// It has its full allowance again, and was not declined recently.
		func(l *sourceLimit) bool { return time.Since(l.used) > full && time.Since(l.since) > declinePause })}
}

// allow reports whether an address may cause one more action, and counts it.
func (sl *sourceLimits) allow(from netip.Addr) bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.of.Of(from)
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
	l := sl.of.Of(from)
	l.declined++
	l.since = time.Now()
}

// accept resets the counts of an address, since a person has accepted something from it.
func (sl *sourceLimits) accept(from netip.Addr) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.of.Of(from)
	l.Limiter, l.declined = rate.NewLimiter(sl.rate, sl.burst), 0
}

// isDeclined reports whether an address was declined so often that its offers are declined automatically.
func (sl *sourceLimits) isDeclined(from netip.Addr) bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	l := sl.of.Of(from)
	if time.Since(l.since) > declinePause {
		l.declined = 0
	}
	return l.declined >= maxDeclined
}
