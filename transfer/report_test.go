package transfer

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestReport_WithoutLanesTakesNoMemory: while no lane is there, reports do not pile up.
func TestReport_WithoutLanesTakesNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBundle()
		r := newReceiver(t.Context(), b, ReceiveOptions{})
		done := r.report()
		for range 100 {
			r.bytes.Add(1)
			time.Sleep(time.Minute)
		}
		b.mu.Lock()
		queued := len(b.queue)
		b.mu.Unlock()
		if queued > 1 {
			t.Errorf("%d blocks wait", queued)
		}
		b.fail(errEnded)
		done()
		b.wait()
	})
}
