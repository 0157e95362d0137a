package ui

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
	machine "multipeer/internal/testing/load"
)

func report(b *testing.B, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "ms/max")
}

// storm yields changing peers and transfers and one peer's messages, up to rate events per second in total. At the end
// it yields the last state of each peer and a last message. It appends the text of each message to sent.
func storm(peers, rate int, d time.Duration, sent *[]string) iter.Seq[engine.Event] {
	id := func(i int) (id engine.PeerID) { id[0], id[1] = byte(i), 1; return id }
	return func(yield func(engine.Event) bool) {
		began := time.Now()
		for n := 0; ; n++ {
			for time.Duration(n)*time.Second/time.Duration(rate) > time.Since(began) {
				time.Sleep(time.Millisecond)
			}
			i := n % peers
			last := time.Since(began) >= d
			var ev engine.Event
			switch n / peers % 3 {
			case 0:
				ev = engine.PeerChanged{Peer: engine.Peer{ID: id(i), Name: fmt.Sprintf("Peer %d", i), RTT: time.Duration(n)}}
			case 1:
				ev = engine.Transfer{ID: engine.TransferID(fmt.Sprint(i)), Peer: id(i), PeerName: fmt.Sprintf("Peer %d", i), Incoming: true, State: engine.Moving, Names: []string{"f"}, Items: 1, Files: 1, Bytes: 1 << 40, Done: int64(n) << 10}
			default:
				ev = engine.Message{From: id(0), Name: "Peer 0", Body: []byte(fmt.Sprintf("%q", fmt.Sprint("message ", n))), At: time.Now()}
			}
			if !yield(ev) {
				return
			}
			if n/peers%3 == 2 {
				*sent = append(*sent, fmt.Sprint("message ", n))
			}
			if last && n%(3*peers) == 3*peers-1 {
				break
			}
		}
		for i := range peers {
			if !yield(engine.PeerChanged{Peer: engine.Peer{ID: id(i), Name: fmt.Sprintf("Last %d", i)}}) {
				return
			}
		}
		*sent = append(*sent, "the end")
		yield(engine.Message{From: id(0), Name: "Last 0", Body: []byte(`"the end"`), At: time.Now()})
	}
}

// TestWindow_AnswersDuringTenThousandEventsASecond checks that the window responds to a tap within 100 ms during the
// storm, and then shows the last state.
func TestWindow_AnswersDuringTenThousandEventsASecond(t *testing.T) {
	s := newStage(t, nil)
	const peers, rate = 50, 10_000
	var sent []string // complete once the last message has arrived
	s.bind.pump(storm(peers, rate, 3*time.Second, &sent), s.apply)
	stop := make(chan struct{})
	var all []time.Duration
	busy := 1.0 // slowdown compared to an idle machine
	var tapper sync.WaitGroup
	tapper.Go(func() { // up to 20 taps per second, each after the response to the previous one, as a person would
		for n := 0; ; n++ {
			if n%8 == 0 {
				busy = max(busy, machine.Factor())
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			at := time.Now()
			done := make(chan struct{})
			s.l.do(func() {
				s.choose(s.talk(s.side.orderOr(s.ben)))
				close(done)
			})
			select {
			case <-stop:
				return
			case <-done:
				all = append(all, time.Since(at))
			}
		}
	})
	began := time.Now()
	s.l.until(t, "the last state", func() bool {
		for i := range peers {
			var id engine.PeerID
			id[0], id[1] = byte(i), 1
			if r := s.side.rows[id]; r == nil || r.name.Text != fmt.Sprintf("Last %d", i) {
				return false
			}
		}
		tk := s.talks[engine.PeerID{0, 1}]
		return tk != nil && tk.Count() > 0 && tk.data(tk.next-1).Text == "the end"
	})
	close(stop)
	tapper.Wait()
	if len(all) == 0 {
		t.Fatal("no tap was answered")
	}
	slices.Sort(all)
	t.Logf("%d taps in %v, p50 %v, slowest %v", len(all), time.Since(began).Round(time.Millisecond), all[len(all)/2], all[len(all)-1])
	limit := 100 * time.Millisecond
	if raceEnabled {
		limit *= 10
	}
	if slowest := all[len(all)-1]; slowest > time.Duration(float64(limit)*busy) {
		t.Errorf("a tap was answered after %v, on a machine that is %.1f times as slow as a quiet one", slowest, busy)
	}
	tk, got := s.talks[engine.PeerID{0, 1}], []string(nil)
	for seq := tk.first; seq < tk.next; seq++ {
		if r := tk.data(seq); r.Kind == history.Text {
			got = append(got, r.Text)
		}
	}
	const kept = 4_000 // a conversation keeps at least this many of its newest messages
	if len(got) < min(len(sent), kept) || !slices.Equal(got, sent[len(sent)-len(got):]) {
		t.Errorf("the conversation has %d of %d messages, or others", len(got), len(sent))
	}
}

// orderOr returns the first peer in the list, or id if the list is empty.
func (s *side) orderOr(id engine.PeerID) engine.PeerID {
	if len(s.order) > 0 {
		return s.order[0]
	}
	return id
}
