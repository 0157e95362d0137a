package transfers

import (
	"time"

	"multipeer/transfer"
)

// rateInterval is the minimum time over which a rate is measured.
const rateInterval = time.Second

// track returns a function that records progress in the view.
func (m *Manager) track(t *item) func(transfer.Progress) {
	return func(p transfer.Progress) {
		m.mu.Lock()
		defer m.mu.Unlock()
		v := &t.view
		t.lastHeard = now()
		if v.State.Final() || t.paused {
			return
		}
		moved := p.Bytes != v.Done || p.Files != v.DoneFiles
		if !v.Incoming && !isGateway(t.link) { // guard: progress-moves
			moved = p.Blocks != t.blocks // the receiver can report anything
			t.blocks = p.Blocks
			if !v.Counting {
				p.Bytes, p.Files = min(p.Bytes, v.Bytes), min(p.Files, v.Files)
			}
		}
		t.taken = p.Taken
		switch {
		case p.Phase != transfer.Finishing:
			t.finishing = time.Time{}
		case t.finishing.IsZero():
			t.finishing = now()
		}
		if moved || p.Phase == transfer.Finishing {
			t.lastMove = now()
		}
		v.Done, v.DoneFiles = p.Bytes, p.Files
		t.full = p.Phase == transfer.Full
		switch {
		case t.full:
			t.stepLocked(stalls, t.diskFullLocked())
		case p.Phase == transfer.Finishing:
			t.stepLocked(allArrived, nil)
		case now().Sub(t.lastMove) < stalledAfter:
			t.stepLocked(moves, nil)
		}
		if at := now(); at.Sub(t.mark) >= rateInterval || v.Rate == 0 && at.Sub(t.mark) >= rateInterval/4 {
			span := at.Sub(t.mark).Seconds()
			v.Rate = smoothed(v.Rate, float64(v.Done-t.markBytes)/span)
			t.takenRate = smoothed(t.takenRate, float64(t.taken-t.markTaken)/span)
			t.markLocked()
		}
		switch {
		case v.State == Stalled, p.Phase == transfer.Finishing: // nothing is sent any more
			m.yieldTurnLocked(t)
		case t.tooSlowLocked(): // guard: slow-turns
			m.yieldTurnLocked(t)
		default:
			m.returnTurnLocked(t)
		}
		v.Left = 0
		if v.Rate > 0 && !v.Counting && v.State == Moving {
			v.Left = time.Duration(float64(max(0, v.Bytes-v.Done)) / v.Rate * float64(time.Second))
		}
		m.publishLocked(t)
	}
}

// smoothed returns a rate after another measurement.
func smoothed(rate, measured float64) float64 {
	measured = max(0, measured)
	if rate == 0 {
		return measured
	}
	return rate + (measured-rate)*0.3
}

// markLocked begins another measurement of the rates.
func (t *item) markLocked() { t.mark, t.markBytes, t.markTaken = now(), t.view.Done, t.taken }

// diskFullLocked returns the error of a receiver whose disk is full.
func (t *item) diskFullLocked() error {
	if t.view.Incoming {
		return transfer.ErrDiskFull
	}
	return &transfer.Failure{Remote: true, Err: transfer.ErrDiskFull}
}
