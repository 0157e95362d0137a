package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// listenAs opens an endpoint with the given key, which counts the devices that have proven the same key.
func listenAs(t *testing.T, id *identity.Identity) (addr netip.AddrPort, e *Endpoint, reported *atomic.Int64) {
	t.Helper()
	reported = &atomic.Int64{}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e, err = Listen(Config{
		Identity: id, Conn: c, Log: slog.New(slog.DiscardHandler),
		Check:  func(identity.PeerID, []byte, bool) error { return nil },
		OwnKey: func(netip.AddrPort) { reported.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // Accept never succeeds: each connection has the endpoint's own key
		defer close(done)
		for ctx.Err() == nil {
			if conn, err := e.Accept(ctx); err == nil {
				t.Error("a conn to our own key was accepted")
				conn.Close(wire.Bye)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; _ = e.Close(); _ = c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), e, reported
}

// relay forwards packets between its senders and another address. pass decides, by the number of a dialler's packet
// since the first answer, whether it is forwarded, and after how long.
func relay(t *testing.T, to netip.AddrPort, pass func(sinceAnswer int) (bool, time.Duration)) netip.AddrPort {
	t.Helper()
	front, err1 := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	back, err2 := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = front.Close(); _ = back.Close(); wg.Wait() })
	var from atomic.Value
	var answered atomic.Bool
	wg.Go(func() {
		since := 0
		for b := make([]byte, 2000); ; {
			n, a, err := front.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			from.Store(a)
			if answered.Load() {
				since++
				ok, delay := pass(since)
				if !ok {
					continue
				}
				time.Sleep(delay)
			}
			_, _ = back.Write(b[:n])
		}
	})
	wg.Go(func() {
		for b := make([]byte, 2000); ; {
			n, err := back.Read(b)
			if err != nil {
				return
			}
			answered.Store(true)
			if a, ok := from.Load().(netip.AddrPort); ok {
				_, _ = front.WriteToUDPAddrPort(b[:n], a)
			}
		}
	})
	return front.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestOwnKey_RelayedPacketsAreNoSecondDevice: relaying our packets back to us, completely, partly or late, does not
// make us believe that another device has our key; a device that has it does.
func TestOwnKey_RelayedPacketsAreNoSecondDevice(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	addr, e, reported := listenAs(t, id)
	for name, pass := range map[string]func(int) (bool, time.Duration){
		"whole":                       func(int) (bool, time.Duration) { return true, 0 },
		"without the dialler's end":   func(int) (bool, time.Duration) { return false, 0 },
		"with the dialler's end late": func(n int) (bool, time.Duration) { return true, 1500 * time.Millisecond },
	} {
		_, err := e.Dial(t.Context(), relay(t, addr, pass), KeyOf(id.ID), Session)
		if err == nil || !errors.Is(err, ErrOwnKey) && !errors.Is(err, ErrLost) && !errors.Is(err, wire.ErrTimeout) {
			t.Errorf("%s: %v", name, err)
		}
	}
	time.Sleep(5 * time.Second)
	if n := reported.Load(); n != 0 {
		t.Errorf("%d devices with the same key are reported, and there is none", n)
	}
	other, _, otherReported := listenAs(t, id)
	if _, err := e.Dial(t.Context(), other, KeyOf(id.ID), Session); !errors.Is(err, ErrOwnKey) {
		t.Errorf("a device with the same key: %v", err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && (reported.Load() == 0 || otherReported.Load() == 0); time.Sleep(50 * time.Millisecond) {
	}
	if reported.Load() != 1 || otherReported.Load() != 1 {
		t.Errorf("a device with the same key: reported %d times here, %d there", reported.Load(), otherReported.Load())
	}
}
