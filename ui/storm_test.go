package ui

import (
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"multipeer/engine"
)

func report(b *testing.B, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "ms/max")
}

// storm yields peers and transfers that change, so many a second in all, and then each in its last state.
func storm(peers, rate int, d time.Duration) iter.Seq[engine.Event] {
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
				ev = engine.TransferChanged{Transfer: engine.Transfer{ID: engine.TransferID(fmt.Sprint(i)), Peer: id(i), PeerName: fmt.Sprintf("Peer %d", i), Incoming: true, State: engine.Moving, Names: []string{"f"}, Items: 1, Files: 1, Bytes: 1 << 40, Done: int64(n) << 10}}
			default:
				ev = engine.MessageReceived{Message: engine.Message{From: id(0), Name: "Peer 0", Body: []byte(fmt.Sprintf("%q", fmt.Sprint("message ", n))), At: time.Now()}}
			}
			if !yield(ev) {
				return
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
		yield(engine.MessageReceived{Message: engine.Message{From: id(0), Name: "Last 0", Body: []byte(`"the end"`), At: time.Now()}})
	}
}

// TestTenThousandEventsASecond: the window answers a tap within 100 ms all the while, and shows the last state.
func TestTenThousandEventsASecond(t *testing.T) {
	s := newStage(t, nil)
	const peers, rate = 50, 10_000
	answered := make(chan time.Duration, 10_000)
	s.bind.pump(storm(peers, rate, 3*time.Second), s.apply)
	stop := make(chan struct{})
	go func() { // somebody who taps 20 times a second
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				at := time.Now()
				s.l.do(func() {
					s.choose(s.talk(s.side.orderOr(s.ben)))
					answered <- time.Since(at)
				})
			}
		}
	}()
	began := time.Now()
	s.l.until(t, "the last state", func() bool {
		for i := range peers {
			var id engine.PeerID
			id[0], id[1] = byte(i), 1
			if r := s.side.rows[id]; r == nil || r.name.full != fmt.Sprintf("Last %d", i) {
				return false
			}
		}
		return s.talks[engine.PeerID{0, 1}].count() > 1000
	})
	close(stop)
	close(answered)
	var all []time.Duration
	for d := range answered {
		all = append(all, d)
	}
	slices.Sort(all)
	t.Logf("%d taps in %v, p50 %v, slowest %v", len(all), time.Since(began).Round(time.Millisecond), all[len(all)/2], all[len(all)-1])
	limit := 100 * time.Millisecond
	if raceEnabled {
		limit *= 10
	}
	if slowest := all[len(all)-1]; slowest > limit {
		t.Errorf("a tap was answered after %v", slowest)
	}
	tk := s.talks[engine.PeerID{0, 1}]
	if r := tk.data(tk.next - 1); r.Text != "the end" {
		t.Errorf("the last message is %q", r.Text)
	}
}

// orderOr is the first in the list, or another.
func (s *side) orderOr(id engine.PeerID) engine.PeerID {
	if len(s.order) > 0 {
		return s.order[0]
	}
	return id
}
