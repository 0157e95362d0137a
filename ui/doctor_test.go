package ui

import (
	"testing"
	"time"

	"multipeer/engine/enginetest"
)

// TestDoctor looks at the network of a window that runs, and says what it has found.
func TestDoctor(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed })
	b := anna.newDoctor()
	b.OnTapped()
	if !b.Disabled() {
		t.Error("it can be asked twice at once")
	}
	l.until(t, "the findings", func() bool { return anna.dialog != nil })
	if b.Disabled() {
		t.Error("it cannot be asked again")
	}
	anna.dialog.Hide()
}
