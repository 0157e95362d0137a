package ui

import (
	"testing"
	"time"

	"multipeer/engine/enginetest"
)

// TestDoctor_ShowsItsFindings examines the network of a running window and shows the findings.
func TestDoctor_ShowsItsFindings(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed })
	b := anna.finder.newDoctor()
	b.OnTapped()
	if !b.Disabled() {
		t.Error("it can be asked twice at once")
	}
	l.until(t, "the findings", func() bool { return anna.dialogs.open != nil })
	if b.Disabled() {
		t.Error("it cannot be asked again")
	}
	anna.dialogs.open.Hide()
}
