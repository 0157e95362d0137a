package engine_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// This file checks what the package comment promises for every call.

// TestContext_EndIsReportedTwice checks that an error is the engine's and the context's.
func TestContext_EndIsReportedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, gone := n.Start(engine.Config{}), n.Start(engine.Config{Hidden: true})
		n.Cut(gone.Addr, true)
		for want, end := range map[error]func() (context.Context, context.CancelFunc){
			engine.ErrTimeout: func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Second) },
			engine.ErrCancelled: func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
		} {
			for what, call := range map[string]func(context.Context) error{
				"Dial":     func(ctx context.Context) error { _, err := a.Dial(ctx, gone.Addr.String()); return err },
				"WaitPeer": func(ctx context.Context) error { _, err := a.WaitPeer(ctx, gone.Self().ID, engine.Found); return err },
			} {
				ctx, cancel := end()
				if err := call(ctx); !errors.Is(err, want) || !errors.Is(err, ctx.Err()) {
					t.Errorf("%s: %v, want %v and %v", what, err, want, ctx.Err())
				}
				cancel()
			}
		}
	})
}

// TestCancel_OfAnUnknownTransferIsAnError checks that no call with a wrong ID succeeds in silence.
func TestCancel_OfAnUnknownTransferIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enginetest.New(t, latency).Start(engine.Config{})
		if err := a.Cancel("unknown"); !errors.Is(err, engine.ErrUnknownTransfer) {
			t.Error(err)
		}
		if _, err := a.Offer(t.Context(), engine.PeerID{1}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("an offer of nothing: %v", err)
		}
	})
}

// TestHandleStream_RefusesNamesThatNoPeerCanSend checks that a handler that would never be called is reported at once.
func TestHandleStream_RefusesNamesThatNoPeerCanSend(t *testing.T) {
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, name := range []string{strings.Repeat("x", 200), "\xff", "a\nb"} {
		for what, add := range map[string]func(){
			"HandleStream": func() { e.HandleStream(name, func(*engine.Stream) {}) },
			"Listen":       func() { _ = e.Listen(name) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s accepts %q", what, name)
					}
				}()
				add()
			}()
		}
	}
}

// TestSearch_StaysOnTheNetworkOfTheProgram checks that an engine whose network the program supplies probes no other.
func TestSearch_StaysOnTheNetworkOfTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enginetest.New(t, latency).Start(engine.Config{})
		if _, err := a.Search(t.Context()); !errors.Is(err, engine.ErrInvalid) {
			t.Error(err)
		}
	})
}

// TestHandle_EndRemovesEachPeer checks that a PeerRemoved follows each PeerAdded, however Handle ends.
func TestHandle_EndRemovesEachPeer(t *testing.T) {
	for what, c := range map[string]struct {
		end  func(stop context.CancelFunc, e *enginetest.Node)
		want error
	}{
		"the context": {func(stop context.CancelFunc, _ *enginetest.Node) { stop() }, engine.ErrCancelled},
		"the engine":  {func(_ context.CancelFunc, e *enginetest.Node) { _ = e.Stop() }, engine.ErrClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := enginetest.New(t, latency)
			a, b := n.Start(engine.Config{Invite: engine.Everyone}), n.Start(engine.Config{Accept: engine.Everyone})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			added := 0
			var removed []error
			done := a.Handle(ctx, engine.Handler{
				PeerAdded:   func(engine.Peer) { added++ },
				PeerRemoved: func(_ engine.Peer, err error) { removed = append(removed, err) },
			})
			meet(t, a, b)
			time.Sleep(time.Second)
			c.end(stop, a)
			<-done
			if added != 1 || len(removed) != 1 || !errors.Is(removed[0], c.want) {
				t.Errorf("%s ends: added %d, removed %v", what, added, removed)
			}
		})
	}
}

// TestStream_ClosedHereIsNetErrClosed checks that a net.Conn that this side has closed fails as programs expect it.
func TestStream_ClosedHereIsNetErrClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := enginetest.New(t, latency)
		a, b := n.Start(engine.Config{Invite: engine.Everyone}), n.Start(engine.Config{Accept: engine.Everyone})
		b.HandleStream("x", func(s *engine.Stream) { <-s.Done() })
		meetInSession(t, a, b)
		for what, end := range map[string]func(*engine.Stream){
			"Close":      func(s *engine.Stream) { _ = s.Close() },
			"CloseWrite": func(s *engine.Stream) { _ = s.CloseWrite() },
			"Reset":      func(s *engine.Stream) { s.Reset(7) },
		} {
			s, err := a.OpenStream(t.Context(), b.Self().ID, "x")
			if err != nil {
				t.Fatal(err)
			}
			end(s)
			if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || !errors.Is(err, engine.ErrCancelled) {
				t.Errorf("Write after %s: %v", what, err)
			}
			if what == "CloseWrite" {
				continue
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || !errors.Is(err, engine.ErrCancelled) {
				t.Errorf("Read after %s: %v", what, err)
			}
		}
	})
}
