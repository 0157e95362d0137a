package transfer

import (
	"fmt"
	"sync"
	"time"
)

// What the receiver tells the sender: records, progress, and the reason when it gives up.

func (r *receiver) write(kind byte, body []byte) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if _, err := r.pipe.Write(putRecord(nil, kind, body)); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// report tells the progress ten times a second, if it changed, until the returned function is called. It also ends a
// transfer in which nothing moves any more.
func (r *receiver) report() (done func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		var last Progress
		var told time.Time
		moved := time.Now()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			now := Progress{Bytes: r.bytes.Load(), Files: r.files.Load(), Phase: Phase(r.phase.Load())}
			if now != last || now.Phase == Finishing {
				moved = time.Now()
			}
			if time.Since(moved) > stallTimeout {
				r.cancel(ErrStalled)
				return
			}
			if now == last && time.Since(told) < heartbeat {
				continue
			}
			last, told = now, time.Now()
			if r.opts.Told != nil {
				r.opts.Told(now)
			}
			if r.write(recProgress, counts(now.Bytes, now.Files, int64(now.Phase))) != nil {
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		// A sender that does not read keeps the last report waiting.
		defer time.AfterFunc(abortTimeout, r.pipe.Interrupt).Stop()
		wg.Wait()
	})
}

// abort tells the sender why, and gives it a moment to stop: closing at once could take the reason with it.
func (r *receiver) abort(err error) {
	timer := time.AfterFunc(abortTimeout, r.pipe.Interrupt)
	defer timer.Stop()
	if r.write(recAbort, []byte{reasonOf(err)}) != nil {
		r.pipe.Interrupt()
	}
	r.reading.Wait()
}
