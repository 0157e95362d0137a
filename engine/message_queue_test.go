package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// reader is a program that starts to read when begin is closed, and counts messages by sender.
type reader struct {
	begin  chan struct{}
	counts map[string]int
	stop   func()
}

// newReader subscribes immediately. It pauses after each message.
func newReader(t *testing.T, n *enginetest.Node, pause time.Duration) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{begin: make(chan struct{}), counts: map[string]int{}}
	news, done := n.Watch(ctx), make(chan struct{})
	go func() {
		defer close(done)
		<-r.begin
		for ev := range news {
			if m, ok := ev.(engine.Message); ok && ctx.Err() == nil {
				r.counts[m.Name]++
				time.Sleep(pause)
			}
		}
	}()
	r.stop = func() { cancel(); <-done }
	return r
}

// TestMessage_BlanksAroundOneAreNotKept: a queue of one-byte messages does not take megabytes.
func TestMessage_BlanksAroundOneAreNotKept(t *testing.T) {
	net := enginetest.New(t, 0)
	victim := net.Start(open("victim"))
	r := newReader(t, victim, 0)
	defer r.stop()
	defer close(r.begin)
	_, s := newRaw(t, net).join(t, victim)
	acked := make(chan struct{}, 20)
	go func() {
		for {
			if _, err := s.ReadMessage(1 << 20); err != nil {
				return
			}
			acked <- struct{}{}
		}
	}()
	const messages = 20
	before := heapInUse()
	for n := range messages {
		if err := s.WriteFrame(rawFrame(fmt.Sprintf(`{"type":"message","n":%d,"body":%s1}`, n+1, strings.Repeat(" ", 1<<20-64)))); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		<-acked
	}
	if more := int64(heapInUse()) - int64(before); more > 6<<20 {
		t.Errorf("%d messages of one byte keep %d MiB", messages, more>>20)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// busyAndHonest returns two connected peers.
func busyAndHonest(t *testing.T, net *enginetest.Net) (busy, honest *enginetest.Node) {
	t.Helper()
	busy, honest = net.Start(open("busy")), net.Start(open("honest"))
	if _, err := honest.WaitPeer(t.Context(), busy.Self().ID, engine.Connected); err != nil {
		t.Fatal(err)
	}
	return busy, honest
}

// TestMessage_WaitingOneGetsTheRoomOfAnyPeer: the queue is full of messages from other peers, which then send nothing
// more.
func TestMessage_WaitingOneGetsTheRoomOfAnyPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		busy, honest := busyAndHonest(t, net)
		r := newReader(t, busy, 0)
		for range 4 {
			_, s := newRaw(t, net).join(t, busy)
			go drain(s)
			for n := range 1024 {
				if err := s.WriteFrame(rawFrame(fmt.Sprintf(`{"type":"message","n":%d,"body":1}`, n+1))); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		d, err := honest.Post(t.Context(), "important", busy.Self().ID)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		close(r.begin)
		began := time.Now()
		if err := d.Results()[0].Err; err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		r.stop()
	})
}

// TestMessage_NoisyPeersLeaveRoomForOthers: peers that send as fast as they can have filled the queue and keep it full.
func TestMessage_NoisyPeersLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		busy, honest := busyAndHonest(t, net)
		r := newReader(t, busy, time.Millisecond)
		for range 4 {
			noisy := net.Start(open("noisy"))
			if _, err := noisy.WaitPeer(t.Context(), busy.Self().ID, engine.Connected); err != nil {
				t.Fatal(err)
			}
			go func() {
				for t.Context().Err() == nil {
					if _, err := noisy.Post(t.Context(), 1, busy.Self().ID); err != nil {
						return
					}
				}
			}()
		}
		time.Sleep(10 * time.Second)
		close(r.begin)
		for range 10 {
			began := time.Now()
			res, err := honest.Send(t.Context(), "hello", busy.Self().ID)
			if err != nil || res[0].Err != nil || time.Since(began) > 5*time.Second {
				t.Fatalf("%v %v after %v", res, err, time.Since(began))
			}
		}
		r.stop()
	})
}

// TestMessage_WaitingOnesSurviveABreak: the program empties its queue while the connection is down.
func TestMessage_WaitingOnesSurviveABreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		busy, honest := busyAndHonest(t, net)
		r := newReader(t, busy, 0)
		const messages = 1024 + 64
		var all []*engine.Delivery
		for n := range messages {
			d, err := honest.Post(t.Context(), n, busy.Self().ID)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, d)
		}
		time.Sleep(time.Second)
		net.Drop(func(_, _ netip.AddrPort) bool { return true })
		for busy.Peers()[0].State != engine.Reconnecting {
			time.Sleep(100 * time.Millisecond)
		}
		close(r.begin)
		time.Sleep(100 * time.Millisecond)
		net.Drop(nil)
		time.Sleep(5 * time.Second)
		for n, d := range all {
			if err := d.Results()[0].Err; err != nil {
				t.Fatalf("message %d: %v", n, err)
			}
		}
		if res, err := honest.Send(t.Context(), "next", busy.Self().ID); err != nil || res[0].Err != nil {
			t.Error(res, err)
		}
		r.stop()
		if r.counts["honest"] != messages+1 {
			t.Errorf("%d of %d were read", r.counts["honest"], messages+1)
		}
	})
}

// TestSession_MutePeerIsNotLetInByReconnecting: a peer that twice answered nothing is admitted by no policy, although
// it said goodbye and connected again in between.
func TestSession_MutePeerIsNotLetInByReconnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		game := net.Start(engine.Config{Name: "game", Accept: engine.Everyone})
		mute := newRaw(t, net)
		for range 2 {
			conn, s := mute.join(t, game)
			go drain(s)
			for len(game.Peers()) > 0 && game.Peers()[0].HasSession() {
				_, _ = game.TryPost("state", engine.Broadcast)
				time.Sleep(100 * time.Millisecond)
			}
			conn.Close(wire.Bye)
			time.Sleep(5 * time.Second)
		}
		h := mute.hello()
		h.Service = engine.DefaultService
		s, _, err := mute.dial(t, game).Greet(t.Context(), h, transport.HelloTimeout)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.WriteMessage(wire.Invite{ID: wire.NewID()}); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := s.ReadMessage(wire.MaxFrame)
			if err != nil {
				t.Fatal(err)
			}
			if a, ok := m.(wire.InviteAnswer); ok {
				if a.Accept {
					t.Error("it has a session for the third time")
				}
				return
			}
		}
	})
}

// TestRequest_WaitingOneSurvivesABreak: a request waits behind messages for which the program has no room, the program
// makes room while the connection is down, and the request is answered when it is back.
func TestRequest_WaitingOneSurvivesABreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		busy, honest := busyAndHonest(t, net)
		r := newReader(t, busy, 0)
		busy.Topic("ask").Answer(func(context.Context, engine.Message) (any, error) { return "answer", nil })
		for n := range 1024 + 16 {
			if _, err := honest.Post(t.Context(), n, busy.Self().ID); err != nil {
				t.Fatal(err)
			}
		}
		answered := make(chan error, 1)
		go func() {
			_, err := honest.Topic("ask").Request(t.Context(), "question", busy.Self().ID)
			answered <- err
		}()
		time.Sleep(time.Second)
		net.Drop(func(_, _ netip.AddrPort) bool { return true })
		for busy.Peers()[0].State != engine.Reconnecting {
			time.Sleep(100 * time.Millisecond)
		}
		close(r.begin)
		time.Sleep(100 * time.Millisecond)
		net.Drop(nil)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		r.stop()
	})
}

// TestBroadcast_MutePeerDoesNotHoldUpOthers: a peer that reads and answers nothing loses its session.
func TestBroadcast_MutePeerDoesNotHoldUpOthers(t *testing.T) {
	for name, try := range map[string]bool{"TryPost": true, "Post": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				game, honest := net.Start(open("game")), net.Start(open("honest"))
				if _, err := honest.WaitPeer(t.Context(), game.Self().ID, engine.Connected); err != nil {
					t.Fatal(err)
				}
				r := newReader(t, honest, 0)
				close(r.begin)
				_, s := newRaw(t, net).join(t, game)
				go drain(s)
				const minutes = 3
				sent := 0
				for began := time.Now(); time.Since(began) < minutes*time.Minute; time.Sleep(33 * time.Millisecond) {
					var err error
					if try {
						_, err = game.TryPost("state", engine.Broadcast)
					} else {
						_, err = game.Post(t.Context(), "state", engine.Broadcast)
					}
					if err == nil {
						sent++
					} else if !errors.Is(err, engine.ErrBusy) {
						t.Fatal(err)
					}
				}
				r.stop()
				if due := minutes * 60 * 30; r.counts["game"] < due*3/4 {
					t.Errorf("%d of %d messages came, %d were sent", r.counts["game"], due, sent)
				}
			})
		})
	}
}
