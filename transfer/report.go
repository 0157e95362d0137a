package transfer

import (
	"sync"
	"time"
)

// What the receiver reports to the sender: progress, and the reason when it gives up.

// goAsk and goLinks are the flags of a recGo: ask about each file, accept links.
const (
	goAsk   = 1
	goLinks = 2
)

// report reports the progress ten times a second, if it changed, until the returned function is called.
func (r *receiver) report() (done func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		var last Progress
		var told time.Time
		for {
			select {
			case <-quit:
				return
			case <-r.b.quit:
				return
			case <-tick.C:
			}
			now := Progress{Bytes: max(0, r.bytes.Load()), Files: max(0, r.files.Load()), Phase: Phase(r.phase.Load())}
			if now == last && time.Since(told) < heartbeat {
				continue
			}
			last, told = now, time.Now()
			if r.opts.OnProgress != nil {
				r.opts.OnProgress(now)
			}
			if r.b.stuck() { // guard: progress-without-lanes
				continue // each report would take a block
			}
			if r.out.put(recProgress, counts(now.Bytes, now.Files, int64(now.Phase))) != nil || r.out.flush() != nil {
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
}

// give sends the sender the reason for the end, and waits briefly until it has been read.
func (r *receiver) give(err error) {
	if r.reporting != nil {
		r.reporting()
	}
	if r.out.put(recAbort, encodeAbort(err)) == nil && r.out.flush() == nil {
		_ = r.b.drain(lastWord)
	}
}

// receipt sends the receipt. If the sender is gone, it does not learn that everything has arrived, but the next call
// with the same ID sends the receipt again. The caller must then Discard what is left of the staging folder, once it
// knows by other means that the transfer is complete.
func (r *receiver) receipt() error {
	err := r.out.put(recReceipt, counts(r.result.Unchanged, r.result.LeftOut), r.result.Totals.encode())
	if err == nil {
		err = r.out.flush()
	}
	if err == nil {
		_ = r.b.drain(2 * lastWord)
	}
	if r.opts.ID == "" {
		r.stage.remove()
	}
	r.b.close()
	return nil
}
