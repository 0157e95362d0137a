package transfers

import (
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// A single connection with loss-based congestion control gets only a fraction of the capacity of a line that loses
// packets at random, as Wi-Fi does; several connections together get several times as much. On a line that is merely
// full they only add to the queue. So lanes are added if one suffers from loss, from its window or from the processor's
// limits, as long as each step adds speed, and are removed if a step does not.
const (
	// measureFor is how long a number of lanes is measured, settleFor how long to wait before that.
	measureFor = 500 * time.Millisecond
	settleFor  = 250 * time.Millisecond
	// worthwhile is the minimum speedup of a step.
	worthwhile = 1.12
	// lossyAt is the fraction of lost packets from which a line counts as lossy. A queue that overflows loses fewer.
	lossyAt = 0.002
	// quicLimit is the rate, in bytes per second, above which the processor limits QUIC rather than the line.
	quicLimit = 130e6
	// tryAgain is how long to wait after a step that brought no gain; the time doubles with each such step.
	tryAgain     = 8 * time.Second
	tryAgainMost = time.Minute
)

// grow searches for the number of QUIC lanes with the highest throughput. It runs on the sending side.
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
			r.wantLanes(min(max(1, 2*before), r.m.maxLanes))
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

// pause waits for d; it returns false at the end of the attempt.
func (r *run) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.ctx.Done():
		return false
	}
}

// worthTrying reports whether more lanes may carry more than rate, in bytes per second. It also adapts TCP lanes to
// the rate and to loss.
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
	case quic >= r.m.maxLanes, quic+tcp == 0, rate == 0:
		return false
	case !known, float64(lost) > lossyAt*float64(packets):
		return true
	}
	return tcp == 0 && (rate > quicLimit || rate > 0.6*window)
}

// measure returns the current rate of acknowledged bytes; ok is false at the end of the attempt.
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
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return r.t.taken
}

// wantLanes requests a number of QUIC lanes from the side that dials.
func (r *run) wantLanes(n int) {
	if r.l.Dialled() {
		r.ask(n)
		return
	}
	r.l.Send(wire.Lanes{ID: string(r.t.view.ID), Attempt: r.n, QUIC: n})
}
