package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/wire"
)

// TestListen_ServesHTTP: net/http runs over streams without an adapter.
func TestListen_ServesHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s from %s", body, strings.SplitN(r.RemoteAddr, "/", 2)[0])
		})}
		serving := make(chan error, 1)
		l := b.Listen("http")
		go func() { serving <- server.Serve(l) }()
		client := &http.Client{Transport: &http.Transport{
			DialContext:     a.DialStream(b.Self().ID, "http"),
			MaxConnsPerHost: 30,
		}}
		var wg sync.WaitGroup
		places := make(chan struct{}, 100)
		for i := range 1000 {
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				sent := fmt.Sprint("request ", i)
				r, err := client.Post("http://b/", "text/plain", strings.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if want := sent + " from " + a.Self().ID.String(); err != nil || string(got) != want {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		wg.Wait()
		client.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if s, err := a.OpenStream(t.Context(), b.Self().ID, "http"); err == nil {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("after the end of the listener: %v", err)
			}
			_ = s.Close()
		}
	})
}

// Arith is a service of net/rpc.
type Arith struct{}

// Double returns twice its argument.
func (Arith) Double(n int, out *int) error {
	*out = 2 * n
	return nil
}

func TestListen_ServesRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := enginetest.New(t, latency)
		a, b := sim.Start(open("a")), sim.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		server := rpc.NewServer()
		if err := server.Register(Arith{}); err != nil {
			t.Fatal(err)
		}
		l := b.Listen("rpc")
		done := make(chan struct{})
		go func() {
			defer close(done)
			server.Accept(l)
		}()
		s, err := a.OpenStream(t.Context(), b.Self().ID, "rpc")
		if err != nil {
			t.Fatal(err)
		}
		client := rpc.NewClient(s)
		var out int
		if err := client.Call("Arith.Double", 21, &out); err != nil || out != 42 {
			t.Error(out, err)
		}
		_ = client.Close()
		_ = l.Close()
		<-done
	})
}

func TestListen_EndsWithItsEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := enginetest.New(t, latency)
		a := sim.Start(open("a"))
		l := a.Listen("x")
		accepted := make(chan error, 1)
		go func() { _, err := l.Accept(); accepted <- err }()
		time.Sleep(time.Second)
		_ = a.Stop()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestStream_IsANetConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := enginetest.New(t, latency)
		a, b, _, next := pair(t, sim)
		s, err := a.OpenStream(context.Background(), b.Self().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		r := received(t, next)
		defer r.Close()
		if s.LocalAddr() != r.RemoteAddr() || s.RemoteAddr() != r.LocalAddr() || s.LocalAddr().Network() != "multipeer" {
			t.Errorf("%v to %v, and %v to %v", s.LocalAddr(), s.RemoteAddr(), r.LocalAddr(), r.RemoteAddr())
		}
		if err := s.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = s.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("after the deadline: %v", err)
		}
		_ = r.Close()
		time.Sleep(time.Second)
		if err := s.CloseWrite(); !errors.Is(err, engine.ErrCancelled) || strings.Contains(err.Error(), "canceled") {
			t.Errorf("after the other side has closed it: %v", err)
		}
	})
}

// TestListen_StreamsOfEndedSessionsLeave: no goroutine waits for a stream that no one can accept any more.
func TestListen_StreamsOfEndedSessionsLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		victim := net.Start(open("victim"))
		_ = victim.Watch(t.Context())
		l := victim.Listen("http") // accepts nothing
		defer l.Close()
		c, s := newRaw(t, net).join(t, victim)
		before := runtime.NumGoroutine()
		for range 20 {
			for range 20 {
				st, err := c.OpenStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := st.WriteMessage(wire.StreamOpen{Name: "http"}); err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = io.Copy(io.Discard, st); st.Reset(wire.Bye) }()
			}
			time.Sleep(10 * latency) // otherwise the end of their session would overtake the streams
			if err := s.WriteMessage(wire.Leave{}); err != nil {
				t.Fatal(err)
			}
			rejoin(t, s)
		}
		time.Sleep(5 * time.Second)
		if n := runtime.NumGoroutine() - before; n >= 100 {
			t.Errorf("%d goroutines more after 400 streams of ended sessions", n)
		}
	})
}
