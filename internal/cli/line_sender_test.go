package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/chatlog"
)

// TestChat_SilentPeerDelaysNoOthers: while one peer acknowledges nothing, the others get the lines in order and without
// delay, and the end of the input does not wait long for that peer.
func TestChat_SilentPeerDelaysNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer time.Sleep(2 * engine.SendTimeout) // let the pending sends end
		defer stop()
		ben, eve := engine.Peer{ID: engine.PeerID{1}, Name: "Ben", State: engine.Connected}, engine.Peer{ID: engine.PeerID{2}, Name: "Eve", State: engine.Connected}
		const trip = 20 * time.Millisecond
		var got []string
		waiting := 0
		var said strings.Builder
		p := &program{out: newPrinter(&said, &said)}
		m := newLineSender(p, nil, func() []engine.Peer { return []engine.Peer{ben, eve} }, func(v any, to engine.PeerID) (func() error, error) {
			if to == ben.ID {
				got = append(got, v.(chatlog.Words).Text)
				return func() error { time.Sleep(trip); return nil }, nil
			}
			if waiting++; waiting > 256 {
				return func() error { return engine.ErrBusy }, nil
			}
			return func() error { time.Sleep(engine.SendTimeout); return engine.ErrTimeout }, nil
		})
		const lines = 500
		began := time.Now()
		most := 0
		for i := 0; i < lines; {
			if !m.mayRead(time.Now()) {
				select {
				case r := <-m.results:
					m.take(r, time.Now())
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			m.send(ctx, fmt.Sprint(i), time.Now())
			if u := m.under[ben.ID]; u != nil {
				most = max(most, u.lines)
			}
			i++
		}
		if took := time.Since(began); took > muteAfter+lines/linesAhead*trip*4 {
			t.Errorf("%d lines took %v", lines, took)
		}
		if most > linesAhead {
			t.Errorf("%d lines were in flight to a peer that answers", most)
		}
		m.end(time.Now())
		for began = time.Now(); !m.quiet(time.Now()); {
			select {
			case r := <-m.results:
				m.take(r, time.Now())
			case <-time.After(100 * time.Millisecond):
			}
		}
		if took := time.Since(began); took > 3*lastAckWait {
			t.Errorf("the end took %v", took)
		}
		for i, line := range got {
			if line != fmt.Sprint(i) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		if len(got) != lines || m.under[ben.ID] != nil {
			t.Errorf("%d lines have reached the one who answers", len(got))
		}
		if n := strings.Count(said.String(), "not delivered to Eve"); n == 0 || n > strangerLines+5 {
			t.Errorf("%d lines say that one does not answer", n)
		}
	})
}

// TestChat_OutageLosesNoLines checks that piped lines wait for a single recipient that is unreachable for some seconds.
func TestChat_OutageLosesNoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 5*time.Millisecond)
		a, b := net.Start(engine.Config{}), net.Start(engine.Config{Accept: engine.Everyone})
		ctx, stop := context.WithCancel(t.Context())
		got := 0
		done := make(chan struct{})
		events := b.Watch(ctx)
		go func() {
			defer close(done)
			for ev := range events {
				if _, ok := ev.(engine.Message); ok {
					got++
				}
			}
		}()
		time.Sleep(5 * time.Second)
		if err := a.Invite(t.Context(), b.Self().ID); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		p := &program{out: newPrinter(&said, &said)}
		m := newLineSender(p, []engine.PeerID{b.Self().ID}, a.Peers, func(v any, to engine.PeerID) (func() error, error) {
			d, err := a.Post(ctx, v, to)
			if err != nil {
				return nil, err
			}
			return func() error { return d.Results()[0].Err }, nil
		})
		const lines = 2000
		for i := 0; i < lines; {
			if m.mayRead(time.Now()) {
				if i == 500 {
					net.Cut(b.Addr, true)
					time.AfterFunc(8*time.Second, func() { net.Cut(b.Addr, false) })
				}
				m.send(ctx, fmt.Sprint(i), time.Now())
				i++
				continue
			}
			select {
			case r := <-m.results:
				m.take(r, time.Now())
			case <-time.After(100 * time.Millisecond):
			}
		}
		m.end(time.Now())
		for !m.quiet(time.Now()) {
			select {
			case r := <-m.results:
				m.take(r, time.Now())
			case <-time.After(100 * time.Millisecond):
			}
		}
		stop()
		<-done
		// Lines in flight when the session ended are reported as not delivered.
		if got+m.failed < lines || m.failed > linesAhead || m.failed > 0 && m.err() == nil {
			t.Errorf("%d of %d lines came, %d are reported as not delivered: %v", got, lines, m.failed, m.err())
		}
	})
}

// TestChat_LineForNoOneIsAFailure checks that the exit code reports a line that was sent while no one was connected.
func TestChat_LineForNoOneIsAFailure(t *testing.T) {
	p := &program{out: newPrinter(io.Discard, io.Discard)}
	m := newLineSender(p, nil, func() []engine.Peer { return nil }, nil)
	m.send(t.Context(), "hello", time.Now())
	if e := new(exitError); !errors.As(m.err(), &e) || e.code != exitFailed {
		t.Errorf("%v", m.err())
	}
}
