package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine"

	"github.com/quic-go/quic-go"
)

// trip makes one round trip; turn is how many are made in a row.
type trip func() error

const turn = 20

// measureLatency connects two engines in this process and prints their round-trip times.
func measureLatency(dir string, runs int, w *report) error {
	large := filepath.Join(dir, "for-latency")
	if err := writeRandom(large, 512<<20); err != nil {
		return err
	}
	defer os.Remove(large)
	p, err := newPair(dir)
	if err != nil {
		return err
	}
	defer p.close()
	return p.latency(large, min(runs, 3))
}

// latency prints round-trip times, idle and during a transfer, together with those of the bare network and of bare
// QUIC. The methods take turns in each run, so that a machine that slows down slows all of them.
func (p *pair) latency(large string, runs int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ways, closeAll, err := p.ways(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	// Turns are short, because this machine's speed changes from moment to moment.
	measure := func(turns int, stop <-chan error) ([][]time.Duration, error) {
		out := make([][]time.Duration, len(ways))
		for range turns {
			for i, w := range ways {
				for range turn {
					began := time.Now()
					if err := w.once(); err != nil {
						return nil, fmt.Errorf("%s: %w", w.name, err)
					}
					out[i] = append(out[i], time.Since(began))
				}
				if len(stop) > 0 { // the file has arrived
					return out, nil
				}
			}
		}
		return out, nil
	}
	if _, err := measure(5, nil); err != nil { // warm-up
		return err
	}
	idle, err := measure(100*runs, nil)
	if err != nil {
		return err
	}
	busy := make([][]time.Duration, len(ways))
	for range runs {
		moved := make(chan error, 1)
		go func() { moved <- p.send(large) }()
		time.Sleep(200 * time.Millisecond)
		got, err := measure(1000, moved)
		if err != nil {
			return err
		}
		if err := <-moved; err != nil {
			return err
		}
		for i := range got {
			busy[i] = append(busy[i], got[i]...)
		}
	}
	bare := float64(at(idle[1], 0.5))
	fmt.Println("round trips in microseconds, p50 and p99; the ratio is p50 to bare QUIC's when idle")
	fmt.Printf("  %-34s %8s %8s %7s   %s\n", "", "idle", "", "ratio", "while a file moves")
	for i, w := range ways {
		fmt.Printf("  %-34s %8d %8d %7.2f   %8d %8d\n", w.name, at(idle[i], 0.5).Microseconds(), at(idle[i], 0.99).Microseconds(),
			float64(at(idle[i], 0.5))/bare, at(busy[i], 0.5).Microseconds(), at(busy[i], 0.99).Microseconds())
	}
	return nil
}

func at(trips []time.Duration, part float64) time.Duration {
	if len(trips) == 0 {
		return 0
	}
	slices.Sort(trips)
	return trips[min(len(trips)-1, int(float64(len(trips))*part))]
}

type way struct {
	name string
	once trip
}

// ways prepares a round trip of each kind.
func (p *pair) ways(ctx context.Context) (ways []way, closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	}
	add := func(name string, once trip, end func(), err error) error {
		if err != nil {
			closeAll()
			return fmt.Errorf("%s: %w", name, err)
		}
		closers = append(closers, end)
		ways = append(ways, way{name, once})
		return nil
	}
	once, end, err := bareUDP()
	if err := add("bare UDP", once, end, err); err != nil {
		return nil, nil, err
	}
	once, end, err = bareQUIC(ctx)
	if err := add("bare QUIC, one stream", once, end, err); err != nil {
		return nil, nil, err
	}
	for _, mode := range []engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream} {
		ping := func() error { _, err := p.a.Ping(ctx, p.b.Self().ID, mode); return err }
		if err := add("Multipeer, "+string(mode), ping, func() {}, nil); err != nil {
			return nil, nil, err
		}
	}
	once, end = p.messages(ctx)
	err = add("Multipeer, Send until delivered", once, end, nil)
	return ways, closeAll, err
}

// messages returns a Send that waits until the other program has the message.
func (p *pair) messages(ctx context.Context) (trip, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	events := p.b.Watch(ctx)
	go func() {
		defer close(done)
		for range events { // reading acknowledges
		}
	}()
	body := json.RawMessage(`{"ping":12345678}`)
	return func() error {
		r, err := p.a.Send(ctx, body, p.b.Self().ID)
		if err == nil {
			err = r[0].Err
		}
		return err
	}, func() { cancel(); <-done }
}

const payload = 16 // bytes of a ping without the engine

func bareUDP() (trip, func(), error) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		_ = server.Close()
		return nil, nil, err
	}
	b := make([]byte, payload)
	return func() error {
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := client.Write(b); err != nil {
				return err
			}
			_, err := client.Read(b)
			return err
		}, func() {
			_ = client.Close()
			_ = server.Close()
		}, nil
}

// bareQUIC is quic-go with nothing on top: one long-lived stream.
func bareQUIC(ctx context.Context) (trip, func(), error) {
	serverTLS, err := serverTLS()
	if err != nil {
		return nil, nil, err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", serverTLS, nil)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			return
		}
		s, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		b := make([]byte, payload)
		for {
			if _, err := io.ReadFull(s, b); err != nil {
				return
			}
			if _, err := s.Write(b); err != nil {
				return
			}
		}
	}()
	c, err := quic.DialAddr(ctx, l.Addr().String(), clientTLS(), nil)
	if err != nil {
		_ = l.Close()
		return nil, nil, err
	}
	end := func() {
		_ = c.CloseWithError(0, "")
		_ = l.Close()
	}
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		end()
		return nil, nil, err
	}
	b := make([]byte, payload)
	return func() error {
		if _, err := s.Write(b); err != nil {
			return err
		}
		_, err := io.ReadFull(s, b)
		return err
	}, end, nil
}
