package transfer

import (
	"sync"
	"time"
)

// What the receiver tells the sender: progress, and the reason when it gives up.

// goAsk and goLinks are the flags of a go: be asked about each file, take links.
const (
	goAsk   = 1
	goLinks = 2
)

// report tells the progress ten times a second, if it changed, until the returned function is called.
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
			if r.opts.Told != nil {
				r.opts.Told(now)
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

// give tells the sender why this ends, and waits a moment for it to have read that.
func (r *receiver) give(err error) {
	if r.reporting != nil {
		r.reporting()
	}
	if r.out.put(recAbort, []byte{reasonOf(err)}) == nil && r.out.flush() == nil {
		_ = r.b.drain(lastWord)
	}
}

// receipt gives the receipt. If the sender is gone it does not learn that all of it is here, but here it is, and the
// next call with the same ID tells it: what is left of the staging is the caller's to Discard, when the caller knows by
// itself that all is delivered.
func (r *receiver) receipt() error {
	err := r.out.put(recReceipt, counts(r.result.Unchanged), r.result.Totals.encode())
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
