package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"multipeer/engine"
)

// ball is the message that is sent back and forth. Back distinguishes the two directions, and Test the concurrent
// tests.
type ball struct {
	Test string `json:"test"` // the way, and the peer that is measured
	N    int    `json:"n"`
	Back bool   `json:"back,omitempty"`
}

const (
	streamName = "ping"
	maxFrame   = 1 << 10
	patience   = time.Second // a ball that takes longer is lost
	warmUp     = 20          // round trips that do not count
)

// tester answers pings and sends them.
type tester struct {
	e     *engine.Engine
	out   io.Writer
	added chan engine.PeerID

	mu      sync.Mutex
	waiting map[ball]chan struct{} // our balls in flight
}

func newTester(e *engine.Engine, out io.Writer) *tester {
	return &tester{e: e, out: out, added: make(chan engine.PeerID, 100), waiting: map[ball]chan struct{}{}}
}

// handler answers what other testers send, in the way in which it came, and only to its sender.
func (t *tester) handler(ctx context.Context) engine.Handler {
	return engine.Handler{
		PeerAdded: func(p engine.Peer) {
			fmt.Fprintf(t.out, "%s (%s) is here\n", p.Name, p.ID.Short())
			select {
			case t.added <- p.ID:
			default: // more concurrent peers than anyone wants to measure
			}
		},
		PeerRemoved: func(p engine.Peer, err error) {
			fmt.Fprintf(t.out, "%s (%s) has left: %v\n", p.Name, p.ID.Short(), err)
		},
		Receive: func(m engine.Message) {
			var b ball
			if json.Unmarshal(m.Body, &b) != nil { // another program's message
				return
			}
			if b.Back {
				t.caught(b)
				return
			}
			b.Back = true
			if m.Unreliable {
				_, _ = t.e.SendDatagram(b, m.From) // the other side counts lost answers
			} else {
				_, _ = t.e.Post(ctx, b, m.From)
			}
		},
		StreamReceive: func(s *engine.Stream) {
			for {
				frame, err := s.ReadFrame(maxFrame)
				if err != nil || s.WriteFrame(frame) != nil {
					return
				}
			}
		},
	}
}

func (t *tester) caught(b ball) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.waiting[b]; c != nil {
		close(c)
		delete(t.waiting, b)
	}
}

// measure tests one peer in the three ways and prints the results.
func (t *tester) measure(ctx context.Context, id engine.PeerID, n int) error {
	p, ok := t.e.Peer(id)
	if !ok {
		return engine.ErrNoPeer
	}
	fmt.Fprintf(t.out, "%s (%s): measuring\n", p.Name, id.Short())
	stream, err := t.e.OpenStream(ctx, id, streamName)
	if err != nil {
		return err
	}
	defer stream.Close()
	for _, way := range []struct {
		name string
		once func(i int) error
	}{
		{"unreliable", func(i int) error {
			return t.throw(ctx, id, ball{Test: "unreliable " + id.Short(), N: i}, func(b ball) error {
				r, err := t.e.SendDatagram(b, id)
				return first(r, err) // a peer that has left ends the test
			})
		}},
		{"reliable", func(i int) error {
			return t.throw(ctx, id, ball{Test: "reliable " + id.Short(), N: i}, func(b ball) error {
				_, err := t.e.Post(ctx, b, id) // the returned ball is its receipt
				return err
			})
		}},
		{"stream", func(i int) error {
			stream.SetDeadline(time.Now().Add(10 * patience))
			if err := stream.WriteFrame(fmt.Append(nil, i)); err != nil {
				return err
			}
			_, err := stream.ReadFrame(maxFrame)
			return err
		}},
	} {
		var trips []time.Duration
		lost := 0
		for i := range warmUp + n {
			began := time.Now()
			err := way.once(i)
			took := time.Since(began)
			switch {
			case errors.Is(err, errLost):
				lost++
			case err != nil:
				return fmt.Errorf("%s: %w", way.name, err)
			case i >= warmUp:
				trips = append(trips, took)
			}
		}
		t.report(way.name, trips, lost)
	}
	path, err := t.e.Path(id)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "  to %v", path.Remote)
	if path.Interface != "" {
		fmt.Fprintf(t.out, " over %s", path.Interface)
	}
	fmt.Fprintf(t.out, ", at least %.1f %% of packets lost\n", 100*path.Loss)
	return nil
}

var errLost = errors.New("lost")

// throw sends one ball and waits for it to come back.
func (t *tester) throw(ctx context.Context, id engine.PeerID, b ball, send func(ball) error) error {
	back := b
	back.Back = true
	c := make(chan struct{})
	t.mu.Lock()
	t.waiting[back] = c
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.waiting, back)
		t.mu.Unlock()
	}()
	if err := send(b); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-timer.C:
		if p, ok := t.e.Peer(id); !ok || !p.HasSession() {
			return engine.ErrNotConnected
		}
		return errLost
	case <-ctx.Done():
		return ctx.Err()
	}
}

func first(r []engine.Result, err error) error {
	if err != nil {
		return err
	}
	return r[0].Err
}

func (t *tester) report(name string, trips []time.Duration, lost int) {
	if len(trips) == 0 {
		fmt.Fprintf(t.out, "  %-10s all %d lost\n", name, lost)
		return
	}
	slices.Sort(trips)
	part := func(p float64) time.Duration { return trips[int(float64(len(trips)-1)*p)].Round(time.Microsecond) }
	fmt.Fprintf(t.out, "  %-10s %d round trips: min %v, median %v, p95 %v, max %v, %d lost\n",
		name, len(trips), part(0), part(0.5), part(0.95), part(1), lost)
}
