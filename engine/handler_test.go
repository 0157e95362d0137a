package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// TestHandler_ReportsEventsUntilItsContextEnds checks that Handle reports events in the style of the Pythonista
// module, and ends with its context.
func TestHandler_ReportsEventsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		cfg := open("a")
		cfg.Context = "initial"
		a, b := net.Start(cfg), net.Start(open("b"))
		var mu sync.Mutex
		var news []string
		tell := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			news = append(news, fmt.Sprintf(format, args...))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{
				PeerAdded:   func(p engine.Peer) { tell("added %s %s", p.Name, p.Context) },
				PeerRemoved: func(p engine.Peer, err error) { tell("removed %s: %v", p.Name, err) },
				Receive:     func(m engine.Message) { tell("%s says %s, unreliable %v", m.Name, m.Body, m.Unreliable) },
				StreamReceive: func(s *engine.Stream) {
					b, err := io.ReadAll(s)
					tell("stream %s: %s %v", s.Name, b, err)
				},
				PeerLost: func(p engine.Peer) { tell("lost %s", p.Name) },
			})
		}()
		time.Sleep(5 * time.Second)
		if r, err := a.Send(t.Context(), "hi", engine.Broadcast); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if _, err := a.SendDatagram("ho", engine.Broadcast); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s, err := a.OpenStream(t.Context(), b.Self().ID, "log")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte("bytes"))
		_ = s.Close()
		time.Sleep(time.Second)
		_ = a.Stop()
		time.Sleep(time.Second)
		cancel()
		<-done
		want := []string{
			`added a "initial"`, `a says "hi", unreliable false`, `a says "ho", unreliable true`,
			`stream log: bytes <nil>`, `removed a: the other side has left`, `lost a`,
		}
		if !slices.Equal(news, want) {
			t.Errorf("%q", news)
		}
	})
}

// TestHandler_ReportsTransferEndOnceAcrossRestart checks that an end is not reported again after a restart, although
// saved transfers are still listed.
func TestHandler_ReportsTransferEndOnceAcrossRestart(t *testing.T) {
	file := bytesIn(t, 1000)
	dir, profile := t.TempDir(), t.TempDir()+"/profile"
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		cfg := engine.Config{Offers: engine.Everyone, Profile: profile, Accept: engine.Everyone}
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(cfg)
		meet(t, a, b)
		handle := func(n *enginetest.Node) (ends *atomic.Int64, stop func()) {
			ends = &atomic.Int64{}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				<-n.Handle(ctx, engine.Handler{
					Offer: func(o *engine.Offer) {
						if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
							t.Error(err)
						}
					},
					Transfer: func(tr engine.Transfer) {
						if tr.State == engine.Delivered {
							ends.Add(1)
						}
					},
				})
			}()
			return ends, func() { cancel(); <-done }
		}
		first, stop := handle(b)
		tr, err := a.Offer(t.Context(), b.Self().ID, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, err)
		}
		time.Sleep(time.Second)
		again, stopAgain := handle(b) // the transfer ended before this handler started, in the same run
		time.Sleep(time.Second)
		stop()
		stopAgain()
		if first.Load() != 1 || again.Load() != 1 {
			t.Errorf("reported %d and %d times", first.Load(), again.Load())
		}
		saved := of(t, b, tr.ID).Saved
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		b = net.StartAt(b.Addr, cfg)
		later, stop := handle(b)
		time.Sleep(time.Second)
		stop()
		if later.Load() != 0 {
			t.Error("reported again after a restart")
		}
		if got := of(t, b, tr.ID).Saved; len(saved) != 1 || !slices.Equal(got, saved) {
			t.Errorf("saved as %q, and listed as %q later", saved, got)
		}
	})
}

// TestHandler_ReportsWithdrawnInvitation checks that a withdrawal is reported, so that a question on screen can be
// removed.
func TestHandler_ReportsWithdrawnInvitation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, a, b)
		var asked, closed atomic.Value
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{
				Invitation:       func(i *engine.Invitation) { asked.Store(i.ID) },
				InvitationClosed: func(i *engine.Invitation) { closed.Store(i.ID) },
			})
		}()
		asking, withdraw := context.WithTimeout(t.Context(), 5*time.Second)
		defer withdraw()
		if err := a.Invite(asking, b.Self().ID); err == nil {
			t.Fatal("accepted")
		}
		time.Sleep(time.Second)
		if asked.Load() == nil || closed.Load() != asked.Load() {
			t.Errorf("asked %v, closed %v", asked.Load(), closed.Load())
		}
		cancel()
		<-done
	})
}

// TestHandle_TakesFromTheCallOn checks that what arrives before Handle's goroutine has started is accepted.
func TestHandle_TakesFromTheCallOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		got := make(chan string, 1)
		ctx, cancel := context.WithCancel(t.Context())
		handled := b.Handle(ctx, engine.Handler{StreamReceive: func(s *engine.Stream) {
			bytes, _ := io.ReadAll(s)
			got <- string(bytes)
		}})
		s, err := a.OpenStream(ctx, b.Self().ID, "early")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if text := <-got; text != "hello" {
			t.Errorf("%q", text)
		}
		_ = s.Close()
		cancel()
		<-handled
	})
}

// TestHandler_SlowCallMissesNoTransferEnd checks that an end is reported however long a call takes: a transfer that has
// ended is retried and ends again in the meantime.
func TestHandler_SlowCallMissesNoTransferEnd(t *testing.T) {
	path := bytesIn(t, 1000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		meet(t, a, b)
		meet(t, b, a)
		var offers, delivered atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{
				Offer: func(o *engine.Offer) {
					if offers.Add(1) == 1 {
						_ = o.Decline()
						return
					}
					if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
						t.Error(err)
					}
					_, _ = b.Wait(ctx, o.Transfer.ID)
				},
				Transfer: func(tr engine.Transfer) {
					if tr.State == engine.Delivered {
						delivered.Add(1)
					}
				},
			})
		}()
		tr, err := a.Offer(t.Context(), b.Self().ID, path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Wait(t.Context(), tr.ID); !errors.Is(err, engine.ErrDeclined) {
			t.Fatal(err)
		}
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := of(t, b, tr.ID); got.State != engine.Delivered || delivered.Load() != 1 {
			t.Errorf("%v, reported %d deliveries", got.State, delivered.Load())
		}
		cancel()
		<-done
	})
}

// TestHandler_RepeatedOfferIsReportedAgain checks that an offer that is repeated while the first call is busy is
// reported again.
func TestHandler_RepeatedOfferIsReportedAgain(t *testing.T) {
	path := bytesIn(t, 1000)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
		meet(t, a, b)
		meet(t, b, a)
		var offers atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{Offer: func(o *engine.Offer) {
				offers.Add(1)
				_ = o.Decline()
				time.Sleep(3 * time.Second)
			}})
		}()
		tr, err := a.Offer(t.Context(), b.Self().ID, path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = a.Wait(t.Context(), tr.ID)
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if offers.Load() != 2 {
			t.Errorf("asked %d times; at the sender it is %v", offers.Load(), of(t, a, tr.ID).State)
		}
		cancel()
		<-done
	})
}

// TestHandler_ClockSetBackRepeatsNoTransferEnd sets the clock back between two runs: a transfer that ended in the
// first must not be reported again.
func TestHandler_ClockSetBackRepeatsNoTransferEnd(t *testing.T) {
	path := bytesIn(t, 1000)
	dir, profile := t.TempDir(), t.TempDir()+"/profile"
	cfg := engine.Config{Offers: engine.Everyone, Profile: profile, Accept: engine.Everyone}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(cfg)
		meet(t, a, b)
		b.Handle(t.Context(), engine.Handler{Offer: func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) }})
		tr, err := a.Offer(t.Context(), b.Self().ID, path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, err)
		}
		time.Sleep(time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // the clock starts over
		net := enginetest.New(t, latency)
		b := net.Start(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		n := 0
		go func() {
			defer close(done)
			<-b.Handle(ctx, engine.Handler{Transfer: func(tr engine.Transfer) { n++ }})
		}()
		time.Sleep(time.Second)
		cancel()
		<-done
		if n != 0 {
			t.Errorf("a transfer that ended in an earlier run is reported %d times", n)
		}
	})
}

// TestHandler_LeavesToOthersWhatItDoesNotTake: a package that only watches peers does not decide about the streams,
// messages, offers and invitations of another package that shares the engine.
func TestHandler_LeavesToOthersWhatItDoesNotTake(t *testing.T) {
	file := bytesIn(t, 1000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		defer readers.Wait()
		defer cancel()
		var mu sync.Mutex
		var whole, messages int
		readers.Go(waitFor(b.Handle(ctx, engine.Handler{PeerAdded: func(engine.Peer) {}}))) // a log
		readers.Go(waitFor(b.Handle(ctx, engine.Handler{
			StreamReceive: func(s *engine.Stream) {
				if got, err := io.ReadAll(s); err == nil && len(got) == 100_000 {
					mu.Lock()
					whole++
					mu.Unlock()
				}
			},
			Receive:    func(engine.Message) { mu.Lock(); messages++; mu.Unlock() },
			Invitation: func(i *engine.Invitation) { time.Sleep(time.Second); _ = i.Accept() },
			Offer: func(o *engine.Offer) {
				time.Sleep(time.Second)
				_ = o.Accept(engine.AcceptOptions{Dir: dir, Reserve: -1})
			},
		})))
		meet(t, a, b)
		id := b.Self().ID
		if err := a.Invite(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			s, err := a.OpenStream(t.Context(), id, "x")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(make([]byte, 100_000)); err != nil {
				t.Error(err)
			}
			_ = s.CloseWrite()
			_, _ = io.ReadAll(s)
			_ = s.Close()
		}
		if r, err := a.Send(t.Context(), 1, id); err != nil || r[0].Err != nil {
			t.Error(r, err)
		}
		offer, err := a.Offer(t.Context(), id, file)
		if err != nil {
			t.Fatal(err)
		}
		if end, err := a.Wait(t.Context(), offer.ID); err != nil || end.State != engine.Delivered {
			t.Errorf("%v: %v %v", end.State, end.Err, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if whole != 20 || messages != 1 {
			t.Errorf("%d of 20 streams are complete, %d messages", whole, messages)
		}
	})
}

// TestHandler_RefusesWhatNothingTakes: the other side is notified immediately, and nothing is kept.
func TestHandler_RefusesWhatNothingTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		defer readers.Wait()
		defer cancel()
		readers.Go(waitFor(b.Handle(ctx, engine.Handler{PeerAdded: func(engine.Peer) {}})))
		readers.Go(func() {
			for range b.Watch(ctx) { // takes messages, and no streams
			}
		})
		id := b.Self().ID
		began := time.Now()
		for range 3 * engine.MaxStreams { // unread streams would block after MaxStreams
			s, err := a.OpenStream(t.Context(), id, "x")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("reading: %v", err)
			}
			_ = s.Close()
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		stop := b.HandleStream("mine", func(s *engine.Stream) { defer s.Close(); _, _ = s.Write([]byte("ok")) })
		for name, want := range map[string]error{"mine": nil, "other": engine.ErrUnavailable} {
			s, err := a.OpenStream(t.Context(), id, name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s)
			if want == nil && (err != nil || string(got) != "ok") || want != nil && !errors.Is(err, want) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			_ = s.Close()
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("two handlers for one name")
				}
			}()
			b.HandleStream("mine", func(*engine.Stream) {})
		}()
		stop()
		b.HandleStream("mine", func(s *engine.Stream) { _ = s.Close() })()
	})
}

// TestHandler_ForgetsWhatTheEngineForgets checks that a peer whose offers come and go leaves nothing behind, and that
// an end is still reported once.
func TestHandler_ForgetsWhatTheEngineForgets(t *testing.T) {
	e := alone(t)
	reported, remembered := engine.ReportEnds(e, 50_000)
	if reported != 50_000 || remembered > 5000 {
		t.Errorf("%d ends were reported, %d are remembered", reported, remembered)
	}
}

// TestHandler_PeerIsFoundOnce checks that a program that invites in PeerFound does so once: a refusal only changes a
// peer.
func TestHandler_PeerIsFoundOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		b.Handle(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { _ = i.Decline() }})
		found, changed, lost := 0, 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		done := a.Handle(ctx, engine.Handler{
			PeerFound: func(p engine.Peer) {
				found++
				if err := a.Invite(ctx, p.ID); !errors.Is(err, engine.ErrDeclined) {
					t.Errorf("the invitation: %v", err)
				}
			},
			PeerChanged: func(engine.Peer) { changed++ },
			PeerLost:    func(engine.Peer) { lost++ },
		})
		time.Sleep(time.Minute)
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		cancel()
		<-done
		if found != 1 || changed == 0 || lost != 1 {
			t.Errorf("found %d times, changed %d times, lost %d times", found, changed, lost)
		}
	})
}

// TestRun_WaitsForHandlers checks that acknowledged messages are handled before Run returns.
func TestRun_WaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		var handled atomic.Int64
		b.Handle(t.Context(), engine.Handler{Receive: func(engine.Message) {
			time.Sleep(100 * time.Millisecond)
			handled.Add(1)
		}})
		events(t, a)(is[engine.PeerAdded])
		for range 50 {
			if _, err := a.Send(t.Context(), "x", b.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := handled.Load(); n != 50 {
			t.Errorf("Run has returned after %d of 50 messages", n)
		}
	})
}

// TestHandler_MayClose checks that a call may end the engine.
func TestHandler_MayClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(open("a"))
		a.Handle(t.Context(), engine.Handler{PeerAdded: func(engine.Peer) {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}})
		net.Start(open("b"))
		<-a.Done()
	})
}

// TestHandler_EndsIfRunHasEnded checks that a call of Handle on an ended engine reports its end.
func TestHandler_EndsIfRunHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enginetest.New(t, latency).Start(engine.Config{Offers: engine.Everyone})
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		<-a.Handle(t.Context(), engine.Handler{Receive: func(engine.Message) {}})
	})
}

// TestSnapshot_LeavesClaimedQuestionsOut checks that a reader that comes later is not asked what a function decides.
func TestSnapshot_LeavesClaimedQuestionsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		answer := make(chan struct{})
		defer b.HandleInvitations(func(i *engine.Invitation) {
			<-answer
			_ = i.Decline()
		})()
		meet(t, a, b)
		invited := make(chan error, 1)
		go func() { invited <- a.Invite(t.Context(), b.Self().ID) }()
		time.Sleep(5 * time.Second)
		b.Handle(t.Context(), engine.Handler{Invitation: func(i *engine.Invitation) { _ = i.Accept() }})
		time.Sleep(5 * time.Second)
		close(answer)
		if err := <-invited; !errors.Is(err, engine.ErrDeclined) {
			t.Errorf("a reader has answered: %v", err)
		}
	})
}

// TestHandle_SlowFunctionIsLogged: a function that waits delays all further events, so its program must learn of it.
func TestHandle_SlowFunctionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var out lockedBuffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
		a := net.Start(engine.Config{Accept: engine.Everyone, Log: log})
		a.Handle(t.Context(), engine.Handler{
			PeerFound: func(engine.Peer) { time.Sleep(4 * time.Second) },
			PeerAdded: func(engine.Peer) { time.Sleep(20 * time.Second) },
			Receive:   func(engine.Message) { time.Sleep(6 * time.Second) },
		})
		b := net.Start(engine.Config{Invite: engine.Everyone})
		events(t, b)(is[engine.PeerAdded])
		for i := range 3 {
			if _, err := b.Post(t.Context(), i, a.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		for function, want := range map[string]int{"PeerFound": 0, "PeerAdded": 1, "Receive": 1} {
			if got := strings.Count(string(out.bytes()), "function="+function); got != want {
				t.Errorf("%s was logged %d times: %s", function, got, string(out.bytes()))
			}
		}
	})
}
