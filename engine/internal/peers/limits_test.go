package peers

import (
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/wire"
)

// TestReading_DecisionsArePaced: pausing and resuming in a loop costs the other side a database record each time.
func TestReading_DecisionsArePaced(t *testing.T) {
	for name, msg := range map[string]wire.Message{"pause": wire.OfferPause{}, "resume": wire.OfferResume{}, "info": wire.Info{}} {
		synctest.Test(t, func(t *testing.T) {
			r, began := newReading(), time.Now()
			for range infoBurst + 10*infoRate {
				if err := r.message(t.Context(), true, msg); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took < 9*time.Second {
				t.Errorf("%s: %d took %v", name, infoBurst+10*infoRate, took)
			}
		})
	}
}
