package ui

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/history"
)

// TestStrangers_DoNotFillTheWindow checks a flood of offers, each from a new key: they are shown as cards while they
// are open, nothing is written to disk before the user accepts one, and the list stays short.
func TestStrangers_DoNotFillTheWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	kept, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newStationWith(t, newTestApp(t), newLoop(), enginetest.New(t, 0), "Anna", Options{History: kept})
	var last engine.Transfer
	for i := range 3_000 {
		var id engine.PeerID
		_, _ = rand.Read(id[:])
		last = engine.Transfer{ID: engine.TransferID(fmt.Sprint("t", i)), Peer: id, PeerName: "Mallory", Incoming: true, State: engine.Offered, Items: 20}
		for range 20 {
			last.Names = append(last.Names, strings.Repeat("‹U+0085›", 1024))
		}
		s.take(engine.PeerChanged{Peer: engine.Peer{ID: id, Name: "Mallory"}})
		s.take(last)
		if i < 2_999 {
			now := last
			now.State, now.Ended = engine.Cancelled, time.Now()
			s.take(now)
			s.take(engine.PeerLost{Peer: engine.Peer{ID: id, Name: "Mallory"}})
		}
	}
	if n := len(s.talks); n > maxTalks {
		t.Errorf("%d conversations", n)
	}
	bytes := 0
	for _, tr := range s.transfers.all {
		bytes += len(strings.Join(tr.Names, ""))
	}
	if bytes > 8<<20 {
		t.Errorf("%d bytes of names", bytes)
	}
	if tk := s.talk(last.Peer); tk.Count() != 1 || tk.data(tk.first).File == nil {
		t.Error("the open question is not shown")
	}
	last.State, last.Started = engine.Moving, time.Now()
	s.take(last)
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 512<<10 {
		t.Errorf("%d bytes on the disk, %v", info.Size(), err)
	}
	again, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Talks(); len(got) != 1 || got[last.Peer.String()].Name != "Mallory" {
		t.Errorf("%d conversations on the disk", len(got))
	}
}

// TestTalk_SendersOfOneNameAreDistinguished checks that senders to everyone are distinguished by more than their name,
// which any peer can take.
func TestTalk_SendersOfOneNameAreDistinguished(t *testing.T) {
	s := newStation(t, newTestApp(t), newLoop(), enginetest.New(t, 0), "Me")
	anna, other, seen := engine.PeerID{1}, engine.PeerID{2}, engine.PeerID{3}
	for _, p := range []engine.Peer{{ID: anna, Name: "Anna", Trust: engine.TrustVerified}, {ID: other, Name: "Anna", LooksLike: anna}, {ID: seen, Name: "Ben", Trust: engine.TrustSeen}} {
		s.take(engine.PeerChanged{Peer: p})
		s.take(engine.Message{From: p.ID, Name: p.Name, Body: []byte(`{"text":"hi","everyone":true}`), At: time.Now()})
	}
	all := s.talk(engine.PeerID{})
	for i, want := range []string{"Anna", "Anna · " + other.Short() + " · Not the Anna you know", "Ben · " + seen.Short()} {
		if got := all.data(all.first + uint64(i)).Who; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOffer_WithAnEarlierIDGetsItsOwnRow checks that an offer that reuses an ID does not change the row of the earlier
// offer.
func TestOffer_WithAnEarlierIDGetsItsOwnRow(t *testing.T) {
	s := newStage(t, nil)
	s.peers3()
	s.choose(s.talk(s.ben))
	offered := func(name string, state engine.TransferState, accepted bool) {
		s.transfers.take(s.transferOf(state, true, func(t *engine.Transfer) {
			t.ID, t.Names, t.Items = "x", []string{name}, 1
			if accepted {
				t.Started = noon
			}
		}))
		s.settle()
	}
	offered("first", engine.Offered, false)
	offered("first", engine.Moving, true)
	offered("first", engine.Cancelled, true)
	before := s.talk(s.ben).Count()
	offered("second", engine.Offered, false)
	offered("second", engine.Declined, false)
	if got := s.talk(s.ben).Count(); got != before+1 {
		t.Errorf("%d rows after the second offer, %d before", got, before)
	}
}
