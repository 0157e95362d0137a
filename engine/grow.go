package engine

import (
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// A single conn with loss-based congestion control gets a fraction of a line that loses packets at random, as Wi-Fi
// does, and several get several times that. On a line that is just full they add nothing but a longer queue. So lanes are
// added where one suffers from loss, from its window, or from the processor's limits; while each step adds speed; and
// they are taken back when it does not.
const (
	// measureFor is how long a number of lanes is measured, settleFor what is left out before.
	measureFor = 500 * time.Millisecond
	settleFor  = 250 * time.Millisecond
	// worthwhile is how much faster a step must make it.
	worthwhile = 1.12
	// lossyAt is the part of the packets lost from which a line counts as lossy. A queue that overflows loses fewer.
	lossyAt = 0.002
	// quicLimit is a rate, in bytes per second, at which QUIC is limited by the processor rather than by the line.
	quicLimit = 130e6
	// tryAgain is how long a step that brought nothing is not tried again; it doubles.
	tryAgain     = 8 * time.Second
	tryAgainMost = time.Minute
)

// grow looks for the number of lanes over QUIC that carries most. It runs on the side that sends.
func (r *run) grow() {
	for lanes := 0; lanes == 0; {
		if !r.pause(settleFor / 3) {
			return
		}
		r.mu.Lock()
		lanes = len(r.live)
		r.mu.Unlock()
	}
	wait := tryAgain
	for {
		base, ok := r.measure()
		if !ok {
			return
		}
		for r.worthTrying(base) {
			before, _ := r.of(transport.QUIC)
			r.wantLanes(min(max(1, 2*before), r.e.cfg.MaxLanes))
			rate, ok := r.measure()
			if !ok {
				return
			}
			if after, _ := r.of(transport.QUIC); rate >= base*worthwhile && after > before {
				base, wait = rate, tryAgain
				continue
			}
			r.wantLanes(before)
			if !r.pause(wait) {
				return
			}
			wait = min(2*wait, tryAgainMost)
			break
		}
	}
}

// pause is false at the end of the attempt.
func (r *run) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.ctx.Done():
		return false
	}
}

// worthTrying tells whether more lanes may carry more than rate, in bytes per second. A TCP lane that suffers from loss
// is helped on the way.
func (r *run) worthTrying(rate float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	quic, tcp := 0, 0
	var packets, lost uint64
	window, known := 0.0, true
	for _, c := range r.live {
		p, l, rtt := c.Line()
		packets, lost, known = packets+p, lost+l, known && p > 0
		if c.Proto == transport.QUIC {
			quic++
			window += float64(transport.LaneWindow) / max(rtt, 100*time.Microsecond).Seconds()
			continue
		}
		tcp++
		c.MindRate(rate)
		if float64(l) > lossyAt*float64(p) {
			c.MindLoss()
		}
	}
	switch {
	case quic >= r.e.cfg.MaxLanes, quic+tcp == 0, rate == 0:
		return false
	case !known, float64(lost) > lossyAt*float64(packets):
		return true
	}
	return tcp == 0 && (rate > quicLimit || rate > 0.6*window)
}

// measure returns the rate of acknowledged bytes now; false at the end of the attempt.
func (r *run) measure() (rate float64, ok bool) {
	if !r.pause(settleFor) {
		return 0, false
	}
	before, began := r.acknowledged(), time.Now()
	if !r.pause(measureFor) {
		return 0, false
	}
	return max(0, float64(r.acknowledged()-before)/time.Since(began).Seconds()), true
}

func (r *run) acknowledged() int64 {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return r.t.view.Done
}

// wantLanes asks whoever dials for so many lanes over QUIC.
func (r *run) wantLanes(n int) {
	if r.l.conn.Dialled {
		r.ask(n)
		return
	}
	r.l.send(wire.Lanes{ID: string(r.t.view.ID), Attempt: r.n, QUIC: n})
}
