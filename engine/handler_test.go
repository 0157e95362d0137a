package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
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

// TestHandler tells the news in the style of the Pythonista module, and ends with its context.
func TestHandler(t *testing.T) {
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
			b.Handle(ctx, engine.Handler{
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
		if r, err := a.Send(t.Context(), "hi"); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if _, err := a.SendDatagram("ho"); err != nil {
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

// TestWhatWasDeliveredIsRead also by a program that stops to read while it is busy: by the same loop if its context ends,
// by the next one if it breaks off.
func TestWhatWasDeliveredIsRead(t *testing.T) {
	const sent = 5
	for name, leave := range map[string]bool{"context ends": false, "loop breaks off": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				a, b := net.Start(open("a")), net.Start(open("b"))
				ctx, cancel := context.WithCancel(t.Context())
				busy := make(chan struct{})
				var got []string
				done := make(chan struct{})
				go func() {
					defer close(done)
					for ev := range b.Watch(ctx) {
						if m, ok := ev.(engine.MessageReceived); ok {
							<-busy
							if got = append(got, string(m.Message.Body)); leave {
								break
							}
						}
					}
				}()
				time.Sleep(5 * time.Second)
				say := func(i int) error {
					r, err := a.Send(t.Context(), i)
					if err != nil {
						t.Fatal(err)
					}
					return r[0].Err
				}
				for i := range sent {
					if err := say(i); err != nil {
						t.Fatal(err)
					}
				}
				if !leave {
					cancel()
					synctest.Wait()
					if err := say(sent); !errors.Is(err, engine.ErrUnavailable) { // it reads no more, and says so
						t.Error(err)
					}
				}
				close(busy)
				<-done
				cancel()
				if leave {
					if err := say(sent); !errors.Is(err, engine.ErrUnavailable) {
						t.Error(err)
					}
					_ = b.Stop()
					for ev := range b.Watch(t.Context()) {
						if m, ok := ev.(engine.MessageReceived); ok {
							got = append(got, string(m.Message.Body))
						}
					}
				}
				if want := []string{"0", "1", "2", "3", "4"}; !slices.Equal(got, want) {
					t.Errorf("read %q, delivered were %q", got, want)
				}
			})
		})
	}
}

// TestSeveralEnginesInOneProcess of two services do not see each other's.
func TestSeveralEnginesInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var all []*enginetest.Node
		for i := range 6 {
			cfg := open("")
			cfg.Service = []string{"chat-demo", "speedtest"}[i%2]
			all = append(all, net.Start(cfg))
		}
		time.Sleep(10 * time.Second)
		for i, n := range all {
			if connected(n) != 2 || len(n.Peers()) != 2 {
				t.Errorf("engine %d: %d sessions, %d rows", i, connected(n), len(n.Peers()))
			}
		}
	})
}

// TestLogs are structured: each peer's coming and going has its ID and the reason.
func TestLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		var lines lockedBuffer
		cfg := open("a")
		cfg.Log = slog.New(slog.NewJSONHandler(&lines, nil))
		a, b := net.Start(cfg), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		_ = b.Stop()
		time.Sleep(time.Second)
		want := map[string]bool{"conn up": false, "conn down": false, "lost": false}
		for _, line := range bytes.Split(bytes.TrimSpace(lines.bytes()), []byte("\n")) {
			var entry struct{ Msg, Peer, Err string }
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if entry.Peer == b.Self().ID.Short() {
				want[entry.Msg] = true
			}
		}
		for msg, there := range want {
			if !there {
				t.Errorf("no %q in\n%s", msg, lines.bytes())
			}
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// TestHandlerTellsAnEndOnce: not again after a restart, where what was saved is still listed.
func TestHandlerTellsAnEndOnce(t *testing.T) {
	file := bytesIn(t, 1000)
	dir, profile := t.TempDir(), t.TempDir()+"/profile"
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		cfg := engine.Config{Profile: profile, Accept: engine.Everyone}
		a, b := net.Start(engine.Config{}), net.Start(cfg)
		meet(t, a, b)
		handle := func(n *enginetest.Node) (ends *atomic.Int64, stop func()) {
			ends = &atomic.Int64{}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				n.Handle(ctx, engine.Handler{
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
		again, stopAgain := handle(b) // it ended before this one began to listen, in the same run
		time.Sleep(time.Second)
		stop()
		stopAgain()
		if first.Load() != 1 || again.Load() != 1 {
			t.Errorf("told %d and %d times", first.Load(), again.Load())
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
			t.Error("told again after a restart")
		}
		if got := of(t, b, tr.ID).Saved; len(saved) != 1 || !slices.Equal(got, saved) {
			t.Errorf("saved as %q, and listed as %q later", saved, got)
		}
	})
}

// TestHandlerTellsAWithdrawal, so that a question that is on screen can go.
func TestHandlerTellsAWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{})
		meet(t, a, b)
		var asked, closed atomic.Value
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Handle(ctx, engine.Handler{
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

// TestHandlingReadsAtOnce: what comes before the other goroutine has begun is taken.
func TestHandlingReadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := pair(t, enginetest.New(t, latency))
		got := make(chan string, 1)
		ctx, cancel := context.WithCancel(t.Context())
		handle := b.Handling(ctx, engine.Handler{StreamReceive: func(s *engine.Stream) {
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
		done := make(chan struct{})
		go func() { defer close(done); handle() }()
		if text := <-got; text != "hello" {
			t.Errorf("%q", text)
		}
		_ = s.Close()
		cancel()
		<-done
	})
}

// TestHandlerMissesNoEnd, however long a call takes: a transfer that has ended is retried and ends again meanwhile.
func TestHandlerMissesNoEnd(t *testing.T) {
	path := bytesIn(t, 1000)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		meet(t, a, b)
		meet(t, b, a)
		var offers, delivered atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Handle(ctx, engine.Handler{
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
		if _, err := a.Wait(t.Context(), tr.ID); !errors.Is(err, nil) {
			t.Fatal(err)
		}
		if err := a.Retry(tr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := of(t, b, tr.ID); got.State != engine.Delivered || delivered.Load() != 1 {
			t.Errorf("%v, told of %d deliveries", got.State, delivered.Load())
		}
		cancel()
		<-done
	})
}

// TestHandlerIsAskedAgain about an offer that was made anew while the first call was busy.
func TestHandlerIsAskedAgain(t *testing.T) {
	path := bytesIn(t, 1000)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		meet(t, a, b)
		meet(t, b, a)
		var offers atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Handle(ctx, engine.Handler{Offer: func(o *engine.Offer) {
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

// TestClockSetBack between two runs: what ended in the first is still not news.
func TestClockSetBack(t *testing.T) {
	path := bytesIn(t, 1000)
	dir, profile := t.TempDir(), t.TempDir()+"/profile"
	cfg := engine.Config{Profile: profile, Accept: engine.Everyone}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{}), net.Start(cfg)
		meet(t, a, b)
		go b.Handle(t.Context(), engine.Handler{Offer: func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: dir}) }})
		tr, err := a.Offer(t.Context(), b.Self().ID, path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Wait(t.Context(), tr.ID); err != nil || got.State != engine.Delivered {
			t.Fatal(got.State, err)
		}
		time.Sleep(time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // the clock begins anew
		net := enginetest.New(t, latency)
		b := net.Start(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		n := 0
		go func() {
			defer close(done)
			b.Handle(ctx, engine.Handler{Transfer: func(tr engine.Transfer) { n++ }})
		}()
		time.Sleep(time.Second)
		cancel()
		<-done
		if n != 0 {
			t.Errorf("what ended in an earlier run is told %d times", n)
		}
	})
}
