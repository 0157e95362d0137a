package web

import (
	"net/http"
	"time"

	"multipeer/internal/connlimit"
)

const (
	// arrivalPoll is the interval at which awaitArrival asks the system.
	arrivalPoll = 10 * time.Millisecond
	// arrivalGrace is how long an ended link waits for acknowledgements: devices delay them by up to 200 ms.
	arrivalGrace = 300 * time.Millisecond
)

// awaitArrival waits until the visitor's device has acknowledged everything that was written for a request: the system
// accepts up to some megabytes before the device has them. It returns how many bytes have not arrived when the
// connection breaks, or when none arrives for as long as a request may stall. written is how many bytes of content were
// written at most.
func (l *Link) awaitArrival(r *http.Request, written int64) (notArrived int64) {
	ticks := time.NewTicker(arrivalPoll)
	defer ticks.Stop()
	before, since := max(written, 1), time.Now() // until the first answer, nothing may have arrived
	for {
		hungUp := r.Context().Err() != nil && l.ctx.Err() == nil // browsers may hang up when they have everything
		n, open := connlimit.Unacknowledged(r)
		switch {
		case !open:
			return before
		case n == 0, hungUp:
			return n
		case n != before:
			before, since = n, time.Now()
			l.touch()
		case time.Since(since) > l.opts.stalls: // guard: web-arrival-stalls
			return n
		}
		<-ticks.C
	}
}

// letArrive waits a moment for the downloads of an ended link: one that is written may not be acknowledged.
func (l *Link) letArrive() {
	for end := time.Now().Add(arrivalGrace); l.downloads.Load() > 0 && time.Now().Before(end); {
		time.Sleep(arrivalPoll)
	}
}
