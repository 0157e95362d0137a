package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/transfer"
)

// bytesIn makes a file of random bytes.
func bytesIn(t *testing.T, size int) string {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	p := filepath.Join(t.TempDir(), fmt.Sprintf("file%d", size))
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// same reports whether a file has arrived unchanged.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err1 := os.ReadFile(a)
	y, err2 := os.ReadFile(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// acceptAll accepts every offer on n with opts until the test ends.
func acceptAll(t *testing.T, n *enginetest.Node, opts engine.AcceptOptions) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	seq := n.Watch(ctx)
	go func() {
		defer close(done)
		for ev := range seq {
			var offers []*engine.Offer
			switch ev := ev.(type) {
			case *engine.Offer:
				offers = []*engine.Offer{ev}
			case engine.Snapshot:
				offers = ev.Offers
			}
			for _, o := range offers {
				if err := o.Accept(opts); err != nil && !errors.Is(err, engine.ErrAnswered) {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// of returns n's view of a transfer.
func of(t *testing.T, n *enginetest.Node, id engine.TransferID) engine.Transfer {
	t.Helper()
	for _, tr := range n.Transfers() {
		if tr.ID == id {
			return tr
		}
	}
	return engine.Transfer{}
}

// until waits for a state of a transfer at n.
func until(t *testing.T, n *enginetest.Node, id engine.TransferID, limit time.Duration, what string, is func(engine.Transfer) bool) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		tr := of(t, n, id)
		if is(tr) {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("no %s within %v: %v, %d of %d, %v", what, limit, tr.State, tr.Done, tr.Bytes, tr.Err)
		}
	}
}

func inState(states ...engine.TransferState) func(engine.Transfer) bool {
	return func(tr engine.Transfer) bool {
		for _, s := range states {
			if tr.State == s {
				return true
			}
		}
		return false
	}
}

func past(n int64) func(engine.Transfer) bool {
	return func(tr engine.Transfer) bool { return tr.Done >= n }
}

const size = 12 << 20

// TestTransfer_PausedAndResumedByEitherSide checks that either side can pause and resume a transfer, and that both see
// it at once.
func TestTransfer_PausedAndResumedByEitherSide(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(50_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		for i, pair := range [][2]*enginetest.Node{{a, a}, {b, b}, {a, b}, {b, a}} {
			until(t, a, tr.ID, 5*time.Second, "movement", past(int64(i+1)*2<<20))
			if err := pair[0].Pause(tr.ID); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*enginetest.Node{a, b} {
				if took := until(t, n, tr.ID, 500*time.Millisecond, "pause", inState(engine.Paused)); took > 500*time.Millisecond {
					t.Errorf("paused after %v", took)
				}
				if byPeer := of(t, n, tr.ID).ByPeer; byPeer != (n != pair[0]) {
					t.Errorf("paused by the peer: %v", byPeer)
				}
			}
			time.Sleep(100 * time.Millisecond)
			before := of(t, b, tr.ID).Done
			time.Sleep(time.Minute)
			if now := of(t, b, tr.ID); now.Done != before || now.State != engine.Paused {
				t.Errorf("%v, and %d bytes came while it was paused", now.State, now.Done-before)
			}
			if err := pair[1].Resume(tr.ID); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*enginetest.Node{a, b} {
				until(t, n, tr.ID, 500*time.Millisecond, "resumption", inState(engine.Moving, engine.Queued, engine.Finishing))
				if of(t, n, tr.ID).ByPeer {
					t.Error("still paused by the peer")
				}
			}
		}
		got, err := a.Wait(t.Context(), tr.ID)
		if err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, got.Err, err)
		}
		if got.Moved > size+4*(8<<20) || got.Attempts != 5 {
			t.Errorf("%d bytes moved in %d attempts", got.Moved, got.Attempts)
		}
		t.Logf("%d bytes of %d moved again over 4 pauses", got.Moved-size, size)
	})
	if !same(t, file, filepath.Join(dir, filepath.Base(file))) {
		t.Error("it arrived damaged")
	}
}

// TestTransfer_ReportsAVanishedPeer checks what is reported, and when, if a peer vanishes in the middle of a transfer.
func TestTransfer_ReportsAVanishedPeer(t *testing.T) {
	file := bytesIn(t, size)
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep %v", keep), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				net.Limit(20_000_000, 256<<10)
				a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
				acceptAll(t, b, engine.AcceptOptions{Dir: dir})
				meet(t, a, b)
				tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: keep}, file)
				if err != nil {
					t.Fatal(err)
				}
				until(t, a, tr.ID, 10*time.Second, "movement", past(3<<20))
				net.Cut(b.Addr, true)
				began := time.Now()
				for _, n := range []*enginetest.Node{a, b} {
					until(t, n, tr.ID, 6*time.Second, "word that it has stalled", inState(engine.Stalled, engine.Failed))
				}
				t.Logf("stalled after %v", time.Since(began))
				if !keep {
					for _, n := range []*enginetest.Node{a, b} {
						until(t, n, tr.ID, 30*time.Second-time.Since(began), "final error", inState(engine.Failed))
						if got := of(t, n, tr.ID); got.Err == nil {
							t.Error("failed without a reason")
						}
					}
					t.Logf("failed after %v: %v", time.Since(began), of(t, a, tr.ID).Err)
					net.Cut(b.Addr, false)
					if _, err := a.Dial(t.Context(), b.Addr.String()); err != nil {
						t.Fatal(err)
					}
					if err := a.Retry(tr.ID); err != nil {
						t.Fatal(err)
					}
				} else {
					time.Sleep(5 * time.Minute)
					for _, n := range []*enginetest.Node{a, b} {
						if got := of(t, n, tr.ID); got.State.Final() || got.Err == nil {
							t.Errorf("%v, %v", got.State, got.Err)
						}
					}
					net.Cut(b.Addr, false)
				}
				got, err := a.Wait(t.Context(), tr.ID)
				if err != nil || got.State != engine.Delivered {
					t.Fatal(got.State, got.Err, err)
				}
				if got.Moved > size+(9<<20) {
					t.Errorf("%d bytes moved", got.Moved)
				}
			})
			if !same(t, file, filepath.Join(dir, filepath.Base(file))) {
				t.Error("it arrived damaged")
			}
		})
	}
}

// TestTransfer_SurvivesCrashes kills and restarts either side, and both.
func TestTransfer_SurvivesCrashes(t *testing.T) {
	file := bytesIn(t, size)
	dir, pa, pb := t.TempDir(), t.TempDir(), t.TempDir()
	_ = os.Chmod(pa, 0o700)
	_ = os.Chmod(pb, 0o700)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(30_000_000, 256<<10)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		a, b := net.Start(ca), net.Start(cb)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		sent := int64(0)
		for i := range 5 {
			until(t, a, tr.ID, time.Minute, "movement", past(int64(i+1)*2<<20))
			if i != 1 && i != 3 {
				sent += of(t, a, tr.ID).Moved
				if err := a.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if i != 0 && i != 4 {
				if err := b.Kill(); err != nil {
					t.Fatal(err)
				}
				b = net.Start(cb)
			}
			if i != 1 && i != 3 {
				a = net.Start(ca)
			}
		}
		got, err := a.Wait(t.Context(), tr.ID)
		if err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, got.Err, err)
		}
		got, err = b.Wait(t.Context(), tr.ID)
		if err != nil || got.State != engine.Delivered || len(got.Saved) != 1 {
			t.Fatal(got.State, got.Saved, got.Err, err)
		}
		if sent += of(t, a, tr.ID).Moved; sent > size+5*(9<<20) {
			t.Errorf("%d bytes were sent", sent)
		}
	})
	if !same(t, file, filepath.Join(dir, filepath.Base(file))) {
		t.Error("it arrived damaged")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// TestOutbox_WaitsForThePeerAcrossARestart checks that files for an offline peer wait for it, even across a restart.
func TestOutbox_WaitsForThePeerAcrossARestart(t *testing.T) {
	file := bytesIn(t, 100_000)
	dir, pa, pb := t.TempDir(), t.TempDir(), t.TempDir()
	_ = os.Chmod(pa, 0o700)
	_ = os.Chmod(pb, 0o700)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		ca, cb := engine.Config{Offers: engine.Everyone, Name: "a", Profile: pa}, engine.Config{Offers: engine.Everyone, Name: "b", Profile: pb}
		b := net.Start(cb)
		id := b.Self().ID
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		a := net.Start(ca)
		if _, err := a.Offer(t.Context(), id, file); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("an offer that is not kept: %v", err)
		}
		tr, err := a.OfferWith(t.Context(), id, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := of(t, a, tr.ID); got.State != engine.Queued || got.Err == nil {
			t.Errorf("%v, %v", got.State, got.Err)
		}
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		a = net.Start(ca)
		time.Sleep(time.Minute)
		b = net.Start(cb)
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		began := time.Now()
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, got.Err, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("delivered %v after the peer came", took)
		}
		// Nothing returns after another restart.
		_ = a.Stop()
		a = net.Start(ca)
		time.Sleep(time.Minute)
		if n := len(a.Transfers()); n != 0 {
			t.Errorf("%d transfers are in the outbox", n)
		}
	})
	if !same(t, file, filepath.Join(dir, filepath.Base(file))) {
		t.Error("it arrived damaged")
	}
}

// TestTransfers_StartByPriority checks that transfers that exceed the limit start by priority, and otherwise in their
// order.
func TestTransfers_StartByPriority(t *testing.T) {
	var files []string // sized so that no two concurrent transfers end at the same moment
	for i := range 9 {
		files = append(files, bytesIn(t, min(i+1, 4)<<20))
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(5_000_000, 256<<10) // slow enough that all wait before the first four are done
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		if err := a.SetTrust(b.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		if err := b.SetTrust(a.Self().ID, engine.TrustVerified); err != nil {
			t.Fatal(err)
		}
		var began []engine.TransferID // in the order of their start
		moving, most := map[engine.TransferID]bool{}, 0
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for ev := range a.WatchState(ctx) {
				c, ok := ev.(engine.Transfer)
				if !ok {
					continue
				}
				moves := c.State == engine.Moving
				if moves && !slices.Contains(began, c.ID) {
					began = append(began, c.ID)
				}
				if moving[c.ID] = moves; !moves {
					delete(moving, c.ID)
				}
				most = max(most, len(moving))
			}
		}()
		var ids []engine.TransferID
		for i := range 9 {
			tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Priority: i / 8}, files[i])
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tr.ID)
			time.Sleep(20 * time.Millisecond)
		}
		if err := a.SetPriority(ids[7], 5); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if got, err := a.Wait(t.Context(), id); err != nil || got.State != engine.Delivered {
				t.Fatal(got.State, got.Err, err)
			}
		}
		stop()
		<-watched
		if most != 4 {
			t.Errorf("%d moved at the same time", most)
		}
		var order []int
		for _, id := range began {
			order = append(order, slices.Index(ids, id))
		}
		if want := []int{0, 1, 2, 3, 7, 8, 4, 5, 6}; !slices.Equal(order, want) {
			t.Errorf("they began in the order %v, want %v", order, want)
		}
	})
}

// TestTransfers_ManyAtOnceAreDelivered: eight peers send to one, which sends back to two of them at the same time.
func TestTransfers_ManyAtOnceAreDelivered(t *testing.T) {
	file := bytesIn(t, 1<<20)
	dirs := map[int]string{}
	for i := range 9 {
		dirs[i] = t.TempDir()
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(100_000_000, 512<<10)
		hub := net.Start(engine.Config{Offers: engine.Everyone, Name: "hub"})
		acceptAll(t, hub, engine.AcceptOptions{Dir: dirs[8]})
		var peers []*enginetest.Node
		for i := range 8 {
			n := net.Start(engine.Config{Offers: engine.Everyone, Name: fmt.Sprint(i)})
			acceptAll(t, n, engine.AcceptOptions{Dir: dirs[i]})
			peers = append(peers, n)
		}
		for _, n := range peers {
			meet(t, n, hub)
			meet(t, hub, n)
		}
		type sent struct {
			n  *enginetest.Node
			id engine.TransferID
		}
		var all []sent
		for _, n := range peers {
			tr, err := n.Offer(t.Context(), hub.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, sent{n, tr.ID})
		}
		offered, err := hub.OfferEach(t.Context(), []engine.PeerID{peers[0].Self().ID, peers[5].Self().ID}, engine.OfferOptions{}, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range offered {
			all = append(all, sent{hub, tr.ID})
		}
		for _, s := range all {
			if got, err := s.n.Wait(t.Context(), s.id); err != nil || got.State != engine.Delivered {
				t.Fatal(got.State, got.Err, err)
			}
		}
	})
	got := 0
	for _, d := range dirs {
		found, _ := filepath.Glob(filepath.Join(d, "file*"))
		for _, f := range found {
			if same(t, f, file) {
				got++
			}
		}
	}
	if got != 10 {
		t.Errorf("%d of 10 arrived", got)
	}
}

// TestCancel_AtRandomMomentsLeavesNothing cancels a hundred transfers at random moments, from either side: both must
// report it at once, nothing must be left behind, and the next transfer must not be delayed.
func TestCancel_AtRandomMomentsLeavesNothing(t *testing.T) {
	file := bytesIn(t, 3<<20)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		// The whole file takes half a second, so that the moments below cover most of the transfer.
		net.Limit(50_000_000, 64<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir, Person: true}) // a stranger may not make so many offers
		meet(t, a, b)
		dice := rand.New(rand.NewPCG(1, 2))
		rounds := 100
		if testing.Short() {
			rounds = 30
		}
		for i := range rounds {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(i, err)
			}
			time.Sleep(time.Duration(dice.IntN(400)) * time.Millisecond)
			who, other := a, b
			if i%2 == 1 {
				who, other = b, a
			}
			if i%2 == 1 && of(t, b, tr.ID).ID == "" { // the offer has not arrived yet
				who, other = a, b
			}
			who.Cancel(tr.ID)
			for _, n := range []*enginetest.Node{who, other} {
				if got := of(t, n, tr.ID); got.ID == "" { // cancelled before it was sent
					continue
				}
				until(t, n, tr.ID, 500*time.Millisecond, "end", func(tr engine.Transfer) bool { return tr.State.Final() })
				if got := of(t, n, tr.ID); got.State != engine.Cancelled || got.ByPeer != (n != who) {
					t.Errorf("cycle %d: %v, by the peer %v", i, got.State, got.ByPeer)
				}
			}
		}
		time.Sleep(2 * time.Second)
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%d entries are left", len(left))
		}
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, got.Err, err)
		}
	})
	if !same(t, file, filepath.Join(dir, filepath.Base(file))) {
		t.Error("it arrived damaged")
	}
}

// TestOffer_ReportsConflictsBeforeAcceptance checks that existing files are reported before anyone accepts, and may be
// skipped or replaced.
func TestOffer_ReportsConflictsBeforeAcceptance(t *testing.T) {
	file := bytesIn(t, 300_000)
	name := filepath.Base(file)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		next := events(t, b)
		meet(t, a, b)
		for i, step := range []struct {
			opts      engine.AcceptOptions
			saved     string
			unchanged int64
		}{
			{engine.AcceptOptions{}, name, 0},
			{engine.AcceptOptions{Existing: transfer.SkipIdentical}, name, 1},
			{engine.AcceptOptions{Choose: func(string) transfer.Existing { return transfer.Replace }}, name, 1},
			{engine.AcceptOptions{}, name + " (2)", 0},
		} {
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			o := next(is[*engine.Offer]).(*engine.Offer)
			if c := o.Conflicts(dir); (len(c) == 1 && c[0] == name) != (i > 0) {
				t.Errorf("step %d: conflicts %q", i, c)
			}
			step.opts.Dir = dir
			if err := o.Accept(step.opts); err != nil {
				t.Fatal(err)
			}
			got, err := b.Wait(t.Context(), tr.ID)
			if err != nil || got.State != engine.Delivered || len(got.Saved) != 1 || filepath.Base(got.Saved[0]) != step.saved || got.Unchanged != step.unchanged {
				t.Errorf("step %d: %v, saved %q, %d unchanged, %v %v", i, got.State, got.Saved, got.Unchanged, got.Err, err)
			}
		}
	})
}

// TestLanes_AreAddedWherePacketsAreLost also checks that the details list the lanes of a transfer.
func TestLanes_AreAddedWherePacketsAreLost(t *testing.T) {
	file := bytesIn(t, 20<<20)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 2500*time.Microsecond)
		net.Limit(300_000_000, 512<<10)
		net.Lose(0.005)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		began := time.Now()
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for !of(t, a, tr.ID).State.Final() {
			most = max(most, len(of(t, a, tr.ID).Lanes))
			time.Sleep(50 * time.Millisecond)
		}
		got := of(t, a, tr.ID)
		if got.State != engine.Delivered || most < 4 {
			t.Errorf("%v with %d lanes: %v", got.State, most, got.Err)
		}
		t.Logf("%.1f MB/s over up to %d lanes", float64(20<<20)/1e6/time.Since(began).Seconds(), most)
	})
}

func TestTransfer_EndsWhenItsSenderIsBlocked(t *testing.T) {
	file := bytesIn(t, size)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(30_000_000, 256<<10)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		until(t, b, tr.ID, 10*time.Second, "movement", past(1<<20))
		if err := b.SetTrust(a.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*enginetest.Node{a, b} {
			until(t, n, tr.ID, 30*time.Second, "end", inState(engine.Failed))
			if got := of(t, n, tr.ID); !strings.Contains(fmt.Sprint(got.Err), "block") {
				t.Errorf("%v", got.Err)
			}
		}
	})
}

// TestLane_OvertakingTheAnswerIsUsed drops the packet with the answer, so that the lane arrives first. The transfer
// must still be delivered.
func TestLane_OvertakingTheAnswerIsUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	inbox := t.TempDir()
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			n := enginetest.New(t, latency)
			a, b := n.Start(engine.Config{Offers: engine.Everyone}), n.Start(engine.Config{Offers: engine.Everyone})
			if a.Self().ID.Less(b.Self().ID) {
				a, b = b, a // the receiver dials
			}
			next := events(t, b)
			meet(t, a, b)
			tr, err := a.Offer(t.Context(), b.Self().ID, file)
			if err != nil {
				t.Fatal(err)
			}
			offer := next(is[*engine.Offer]).(*engine.Offer)
			time.Sleep(time.Second)
			lost := 0
			n.Drop(func(from, to netip.AddrPort) bool {
				if from == b.Addr && lost <= i%3 {
					lost++
					return true
				}
				return false
			})
			if err := offer.Accept(engine.AcceptOptions{Dir: inbox}); err != nil {
				t.Fatal(err)
			}
			if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
				t.Errorf("%v, %v, %v", got.State, got.Err, err)
			}
		})
	}
}

func TestTransfer_FailureBeforeTheFirstByteIsReported(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A file in place of the hidden folder keeps the receiver from staging.
	if err := os.WriteFile(filepath.Join(dir, ".multipeer-partial"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Offers: engine.Everyone}), n.Start(engine.Config{Offers: engine.Everyone})
		next := events(t, b)
		meet(t, a, b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		offer := next(is[*engine.Offer]).(*engine.Offer)
		if err := offer.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		sent, _ := a.Wait(t.Context(), tr.ID)
		got, _ := b.Wait(t.Context(), tr.ID)
		if sent.State != engine.Failed || errors.Is(sent.Err, engine.ErrBye) || got.State != engine.Failed {
			t.Errorf("sender %v: %v; receiver %v: %v", sent.State, sent.Err, got.State, got.Err)
		}
	})
}
