package cli

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"
	"multipeer/transfer"
)

func stranger() (id engine.PeerID) {
	_, _ = rand.Read(id[:])
	return id
}

// offerOf returns an offer with the maximum amount of text.
func offerOf(id engine.PeerID, n int) engine.Transfer {
	names := make([]string, 20)
	for i := range names {
		names[i] = strings.Repeat("‹U+0085›", 1024)
	}
	return engine.Transfer{ID: engine.TransferID(fmt.Sprint("t", n)), Peer: id, PeerName: "Mallory", Incoming: true, State: engine.Offered, Names: names, Items: 20, Files: 20}
}

// TestServe_StrangersDoNotFillTheHistory: unaccepted offers from ever-changing keys leave nothing on disk.
func TestServe_StrangersDoNotFillTheHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), historyFile)
	store, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	friend := stranger()
	k := &keeper{store: store, like: func(engine.PeerID, string) engine.PeerID { return engine.PeerID{} }, began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}, trust: func(id engine.PeerID) engine.Trust {
		if id == friend {
			return engine.TrustSeen
		}
		return engine.TrustUnknown
	}}
	const many = 3_000
	for i := range many {
		o := offerOf(stranger(), i)
		k.take(o)
		for _, end := range []engine.TransferState{engine.Declined, engine.Cancelled, engine.Failed} {
			o.State, o.Ended = end, time.Now()
			k.take(o)
		}
	}
	if len(k.rows) > 0 || len(store.Talks()) > 0 {
		t.Errorf("%d rows, %d talks", len(k.rows), len(store.Talks()))
	}
	taken := offerOf(stranger(), many) // one offer is accepted
	k.take(taken)
	taken.State, taken.Started = engine.Moving, time.Now()
	k.take(taken)
	k.take(offerOf(friend, many+1))
	for _, id := range []engine.PeerID{taken.Peer, friend} {
		rows := store.Rows(id.String(), 0, 9)
		if len(rows) != 1 || len(rows[0].File.Names) != 3 || len([]rune(rows[0].File.Names[0])) != 100 {
			t.Errorf("kept of it: %+v", rows)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 256<<10 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}

// TestServe_StrangersDoNotFillTheJournal: serve prints a limited burst of lines about strangers, and then few, whatever
// their names are.
func TestServe_StrangersDoNotFillTheJournal(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.New(engine.Config{Profile: filepath.Join(dir, "p"), Name: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		r := &receiver{program: &program{out: newPrinter(&said, &said)}, e: e, accept: "auto", bars: map[engine.TransferID]*progress{}}
		for i := range 1_000 {
			o := offerOf(stranger(), i)
			r.noteAbout(o.Peer, "declined %s from %s: 'multipeer-cli auto' does not allow it", what(o), o.PeerName)
			o.State, o.Err, o.Ended = engine.Declined, engine.ErrDeclined, time.Now()
			_, _ = r.transfer(o)
			time.Sleep(100 * time.Millisecond)
		}
		seconds := 100
		lines := strings.Count(said.String(), "\n")
		if most := 2 * (strangerLines + seconds/10 + 1); lines > most || said.Len() > lines*4_500 {
			t.Errorf("%d lines, %d bytes", lines, said.Len())
		}
		if !strings.Contains(said.String(), " lines about strangers\n") {
			t.Error("nothing says that lines are missing")
		}
	})
}

// TestHistory_SendersAreShownWithTheirID: anyone can take any name, or one that looks like it.
func TestHistory_SendersAreShownWithTheirID(t *testing.T) {
	anna, other, ben := stranger(), stranger(), stranger()
	talks := map[string]history.Talk{anna.String(): {Name: "Anna"}, other.String(): {Name: "anna"}, ben.String(): {Name: "Ben"}}
	for id, want := range map[engine.PeerID]string{other: "anna (" + other.Short() + "): hi\n", ben: "Ben (" + ben.Short() + "): hi\n"} {
		var b strings.Builder
		p := &program{out: newPrinter(&b, &b)}
		p.printRow(history.Hit{Talk: id.String(), Row: history.Row{Kind: history.Text, Text: "hi"}}, talks[id.String()].Name, sharedNames(talks))
		if !strings.HasSuffix(b.String(), want) {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// TestServe_PacesAKnownPeer: the lines that a known peer causes in a service are bounded too, and omitted lines are
// counted.
func TestServe_PacesAKnownPeer(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.New(engine.Config{Profile: filepath.Join(dir, "p"), Name: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ben, carl := stranger(), stranger()
	for _, id := range []engine.PeerID{ben, carl} {
		if err := e.SetTrust(id, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		r := &receiver{program: &program{out: newPrinter(&said, &said)}, e: e, accept: "auto", bars: map[engine.TransferID]*progress{}}
		r.keeper = &keeper{store: history.Memory(), trust: e.Trust, like: e.LooksLike, began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}}
		for i := range 2_000 {
			_, _ = r.take(engine.Message{From: ben, Name: "Ben", Body: []byte(`"hi"`), At: time.Now()})
			o := offerOf(ben, i)
			r.noteAbout(ben, "declined %s", what(o))
			for _, state := range []engine.TransferState{engine.Moving, engine.Stalled, engine.Moving, engine.Delivered} {
				o.State, o.Started, o.Ended, o.Renamed = state, time.Now(), time.Now(), 1
				o.Notes = []transfer.Note{{Path: "a", Saved: "b"}}
				_, _ = r.transfer(o)
			}
			time.Sleep(10 * time.Millisecond)
		}
		const seconds = 20
		lines := strings.Count(said.String(), "\n")
		// The lines, the ends of transfers, and the line that reports how many were omitted.
		if most := 3 * (peerLines + seconds/2 + 1); lines > most || lines < peerLines {
			t.Errorf("%d lines, at most %d", lines, most)
		}
		if !strings.Contains(said.String(), " lines about "+ben.Short()+"\n") {
			t.Error("nothing says that lines are missing")
		}
		said.Reset()
		r.noteAbout(carl, "another one")
		if got := said.String(); got != "another one\n" {
			t.Errorf("of another peer: %q", got)
		}
		if n := len(r.keeper.store.Rows(ben.String(), 0, 10_000)); n < 2_000 {
			t.Errorf("%d rows are kept", n)
		}
	})
}

// TestServe_KeepsFewOffersThatWereDeclined: a known peer cannot fill the history with offers that no one accepts.
func TestServe_KeepsFewOffersThatWereDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{store: history.Memory(), began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}, trust: func(engine.PeerID) engine.Trust { return engine.TrustVerified }}
		ben := stranger()
		for i := range 2_000 {
			k.take(offerOf(ben, i))
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(k.store.Rows(ben.String(), 0, 10_000)); n < peerLines || n > peerLines+20/2+1 {
			t.Errorf("%d rows", n)
		}
		taken := offerOf(ben, 5_000)
		taken.State, taken.Started = engine.Moving, time.Now()
		before := len(k.store.Rows(ben.String(), 0, 10_000))
		k.take(taken)
		if n := len(k.store.Rows(ben.String(), 0, 10_000)); n != before+1 {
			t.Error("one that was accepted is not kept")
		}
	})
}

// TestHistory_KeepsTheWarning: the stored and displayed message names its sender as it was printed.
func TestHistory_KeepsTheWarning(t *testing.T) {
	anna, mallory, gone := stranger(), stranger(), stranger()
	peers := map[engine.PeerID]engine.Peer{
		anna:    {ID: anna, Name: "Anna", Trust: engine.TrustVerified},
		mallory: {ID: mallory, Name: "Anna", Trust: engine.TrustVerified, LooksLike: anna},
	}
	k := &keeper{
		store: history.Memory(), began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}, trust: func(id engine.PeerID) engine.Trust { return peers[id].Trust },
		like: func(id engine.PeerID, _ string) engine.PeerID { return peers[id].LooksLike },
	}
	for id, want := range map[engine.PeerID]string{
		anna:    "Anna: hi",
		mallory: "Anna (" + mallory.Short() + ", warning: not the device you know by that name): hi",
		gone:    "Anna (" + gone.Short() + "): hi",
	} {
		for talk, body := range map[string]string{chatlog.Everyone: `{"text":"hi","everyone":true}`, id.String(): `{"text":"hi"}`} {
			m := engine.Message{From: id, Name: "Anna", Body: []byte(body), At: time.Now()}
			var printed, shown strings.Builder
			printMessage(newPrinter(&printed, &printed), m, peers[id])
			k.message(m)
			first, next := k.store.Bounds(talk)
			r, _ := k.store.Row(talk, next-1)
			if next == first || talk == id.String() && id == gone {
				continue // the conversation with one peer has its ID
			}
			(&program{out: newPrinter(&shown, &shown)}).printRow(history.Hit{Talk: talk, Row: r}, k.store.Talks()[talk].Name, nil)
			kept := want
			if id == anna && talk != chatlog.Everyone {
				kept = "Anna (" + anna.Short() + "): hi"
			}
			if !strings.HasSuffix(shown.String(), kept+"\n") || printed.String() != want+"\n" {
				t.Errorf("printed %q, shown %q, want %q", printed.String(), shown.String(), want)
			}
		}
	}
}

// TestServe_PrintsTheEndOfATransfer checks that the lines about the progress of a long transfer leave room for its end.
func TestServe_PrintsTheEndOfATransfer(t *testing.T) {
	e, err := engine.New(engine.Config{Profile: filepath.Join(t.TempDir(), "p"), Name: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ben, eve := stranger(), stranger()
	if err := e.SetTrust(ben, engine.TrustVerified); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for id, transfers := range map[engine.PeerID]int{eve: 1, ben: 4} {
			var said strings.Builder
			r := &receiver{program: &program{out: newPrinter(&said, &said)}, e: e, accept: "auto", bars: map[engine.TransferID]*progress{}}
			r.keeper = &keeper{store: history.Memory(), trust: e.Trust, like: e.LooksLike, began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}}
			for range 600 { // five minutes
				for i := range transfers {
					o := offerOf(id, i)
					o.State, o.Started = engine.Moving, time.Now()
					_, _ = r.transfer(o)
				}
				time.Sleep(500 * time.Millisecond)
			}
			said.Reset()
			for i := range transfers {
				o := offerOf(id, i)
				o.State, o.Started, o.Ended = engine.Delivered, time.Now(), time.Now()
				_, _ = r.transfer(o)
			}
			if got := strings.Count(said.String(), "delivered"); got != transfers {
				t.Errorf("%d of %d ends: %q", got, transfers, said.String())
			}
		}
	})
}

// TestHistory_EachOfferHasItsRow: an offer whose ID was used before does not change the row of the earlier one.
func TestHistory_EachOfferHasItsRow(t *testing.T) {
	store := history.Memory()
	k := &keeper{
		store: store, trust: func(engine.PeerID) engine.Trust { return engine.TrustSeen },
		like:  func(engine.PeerID, string) engine.PeerID { return engine.PeerID{} },
		began: time.Now().Add(-time.Minute), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{},
	}
	ben := engine.PeerID{1}
	offered := func(name string, state engine.TransferState, started time.Time) {
		t := engine.Transfer{ID: "x", Peer: ben, PeerName: "Ben", Incoming: true, State: state, Names: []string{name}, Items: 1, Files: 1, Started: started}
		if state.Final() {
			t.Ended = time.Now()
		}
		k.transfer(t)
	}
	offered("first", engine.Offered, time.Time{})
	offered("first", engine.Moving, time.Now())
	offered("first", engine.Cancelled, time.Now())
	offered("second", engine.Offered, time.Time{})
	offered("second", engine.Declined, time.Time{})
	first, next := store.Bounds(ben.String())
	if rows := store.Rows(ben.String(), first, 10); next-first != 2 || rows[0].File.Names[0] != "first" || rows[1].File.Names[0] != "second" {
		t.Errorf("%d rows", next-first)
	}
}

// TestHistory_RepeatedEndIsOneRow: a snapshot repeats transfers that have ended. A peer that uses an ID again gets another row.
func TestHistory_RepeatedEndIsOneRow(t *testing.T) {
	k := &keeper{
		store: history.Memory(), began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{},
		trust: func(engine.PeerID) engine.Trust { return engine.TrustVerified },
	}
	now := time.Now()
	tr := engine.Transfer{ID: "a", Peer: engine.PeerID{1}, Incoming: true, State: engine.Moving, Started: now}
	k.take(tr)
	tr.State, tr.Ended = engine.Delivered, now.Add(time.Second)
	for range 3 {
		k.take(tr)
		k.take(engine.Snapshot{Transfers: []engine.Transfer{tr}})
	}
	talk := tr.Peer.String()
	if rows := k.store.Rows(talk, 0, 10); len(rows) != 1 || engine.TransferState(rows[0].File.State) != engine.Delivered {
		t.Errorf("%+v", rows)
	}
	tr.Ended = now.Add(time.Minute)
	k.take(tr)
	if rows := k.store.Rows(talk, 0, 10); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
}
