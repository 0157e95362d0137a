//go:build linux

package hostile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
)

// report is what the honest peer has seen between two lines on its standard input.
type report struct {
	P99   time.Duration
	Trips int
	Err   string
}

// silence is a discovery that finds no one: floods of mDNS are meant for the victim alone.
type silence struct{}

func (silence) Run(ctx context.Context, _ discovery.Announcement, _ discovery.Sink) error {
	<-ctx.Done()
	return nil
}
func (silence) Update(discovery.Announcement) {}
func (silence) Forget(engine.PeerID)          {}
func (silence) Recheck(engine.PeerID)         {}
func (silence) Link(netip.Addr) string        { return "" }

// runHonest runs a program that constantly talks to the victim, in its own process: slowness of the attacker must not
// count as slowness of the victim.
func runHonest(at, id, service string) error {
	e, err := engine.New(engine.Config{Name: "friend in need", Service: service, Discovery: silence{}})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	victim, err := engine.ParsePeerID(id)
	if err != nil {
		return err
	}
	for range 100 {
		if _, err = e.Dial(ctx, at); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err == nil {
		err = e.Invite(ctx, victim)
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	lines := make(chan bool)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- true
		}
	}()
	var trips []time.Duration
	var failed error
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				stop()
				return <-ended
			}
			r := report{Trips: len(trips)}
			if slices.Sort(trips); len(trips) > 0 {
				r.P99 = trips[min(len(trips)-1, len(trips)*99/100)]
			}
			if failed != nil {
				r.Err = failed.Error()
			}
			b, _ := json.Marshal(r)
			fmt.Println(string(b))
			trips, failed = nil, nil
		case <-time.After(3 * time.Millisecond):
			within, cancel := context.WithTimeout(ctx, 5*time.Second)
			d, err := e.Ping(within, victim, engine.PingReliable)
			cancel()
			if err != nil {
				failed = err
				continue
			}
			trips = append(trips, d)
		}
	}
}

// honest is that process as the test sees it.
type honest struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startHonest(t *testing.T, v *victim, service string) *honest {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("MULTIPEER_HONEST=127.0.0.1:%d", v.port), "MULTIPEER_VICTIM_ID="+v.id.String(), "MULTIPEER_SERVICE="+service)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("the honest peer ended with ", err)
		}
	})
	h := &honest{in, bufio.NewReader(out)}
	if line, err := h.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the honest peer is not let in: %q, %v", line, err)
	}
	return h
}

// ask returns what the peer has seen since the last call.
func (h *honest) ask() (r report, err error) {
	if _, err := h.in.Write([]byte("\n")); err != nil {
		return r, err
	}
	line, err := h.out.ReadString('\n')
	if err != nil {
		return r, fmt.Errorf("the honest peer is gone: %w", err)
	}
	return r, json.Unmarshal([]byte(line), &r)
}

// during measures the peer's round trips while f runs.
func (h *honest) during(f func() error) (p99 time.Duration, err error) {
	if _, err := h.ask(); err != nil {
		return 0, err
	}
	err = f()
	const least = 5 // f may return at once
	trips := 0
	for end := time.Now().Add(10 * time.Second); trips < least && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		r, askErr := h.ask()
		if askErr != nil {
			return 0, errors.Join(err, askErr)
		}
		trips += r.Trips
		p99 = max(p99, r.P99)
		if err == nil && r.Err != "" {
			err = fmt.Errorf("the honest peer: %s", r.Err)
		}
	}
	if err == nil && trips < least {
		err = fmt.Errorf("the honest peer made %d round trips", trips)
	}
	return p99, err
}
