//go:build linux

package netlab_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/testing/load"
	"multipeer/internal/testing/netlab"
)

// poster is one process of TestPost_EightProcessesLoseNothing, and its arguments in JSON.
type poster struct {
	Service  string
	Name     string
	Posters  int           // how many processes post
	Messages int           // to each other posting process; 0 neither posts nor awaits messages
	Delay    time.Duration // how long the process takes for each message
}

// posted is what a poster prints once it has received everything.
type posted struct {
	Received int           // messages, all in order and once
	Early    int64         // the most memory in use, in KiB, when a tenth had arrived
	Memory   int64         // the same at the end
	P99      time.Duration // of round trips to the process that posts nothing
}

// quiet is the name of the process that posts nothing.
const quiet = "quiet"

// postMany posts messages to every peer in a loop and receives theirs, prints a posted, and ends with its input.
func postMany(args []string) error {
	var p poster
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	e, err := engine.New(engine.Config{Name: p.Name, Service: p.Service, Invite: engine.Everyone, Accept: engine.Everyone})
	if err != nil {
		return err
	}
	defer e.Close()
	events := e.Watch(ctx)
	if err := e.Start(ctx); err != nil {
		return err
	}
	if p.Messages > 0 {
		report, err := p.exchange(ctx, e, events)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin) // others may still need this process
	return err
}

// exchange posts to all peers, and returns when all of their messages have arrived and its own are delivered.
func (p poster) exchange(ctx context.Context, e *engine.Engine, events func(func(engine.Event) bool)) (report posted, err error) {
	peers, idle, err := p.awaitPeers(ctx, e)
	if err != nil {
		return report, err
	}
	pinging, stop := context.WithCancel(ctx)
	var trips []time.Duration
	var pinger sync.WaitGroup
	pinger.Go(func() { trips = pingUntil(pinging, e, idle) })
	errs := make([]error, len(peers))
	var posting sync.WaitGroup
	for i, peer := range peers {
		posting.Go(func() { errs[i] = p.postTo(ctx, e, peer) })
	}
	err = p.receive(events, &report)
	posting.Wait()
	stop()
	pinger.Wait()
	report.Memory = peakMemory()
	slices.Sort(trips)
	if len(trips) > 0 {
		report.P99 = trips[len(trips)*99/100]
	}
	return report, errors.Join(append(errs, err)...)
}

// postTo posts the messages to one peer, and waits until they are delivered.
func (p poster) postTo(ctx context.Context, e *engine.Engine, peer engine.PeerID) error {
	var last *engine.Delivery
	for n := range p.Messages {
		var err error
		if last, err = e.Post(ctx, n, peer); err != nil {
			return fmt.Errorf("message %d to %s: %w", n, peer.Short(), err)
		}
	}
	return last.Results()[0].Err // they are delivered in order
}

// receive reads until all messages have arrived. Those of each peer must count up from 0.
func (p poster) receive(events func(func(engine.Event) bool), report *posted) error {
	want := (p.Posters - 1) * p.Messages
	next := map[engine.PeerID]int{}
	for ev := range events {
		switch ev := ev.(type) {
		case engine.PeerRemoved:
			return fmt.Errorf("lost %s: %w", ev.Peer.Name, ev.Err)
		case engine.Message:
			m := ev
			var n int
			if err := m.Decode(&n); err != nil || n != next[m.From] {
				return fmt.Errorf("message %s from %s, want %d", m.Body, m.Name, next[m.From])
			}
			next[m.From]++
			report.Received++
			time.Sleep(p.Delay)
		}
		switch report.Received {
		case want / 10:
			report.Early = peakMemory()
		case want:
			return nil
		}
	}
	return errors.New("the engine ended")
}

// awaitPeers waits for sessions with all processes that post, and with the one that does not.
func (p poster) awaitPeers(ctx context.Context, e *engine.Engine) (peers []engine.PeerID, idle engine.PeerID, err error) {
	for range e.WatchState(ctx) {
		peers, idle = nil, engine.PeerID{}
		for _, peer := range e.Peers() {
			switch {
			case peer.State != engine.Connected:
			case peer.Name == quiet:
				idle = peer.ID
			default:
				peers = append(peers, peer.ID)
			}
		}
		if len(peers) == p.Posters-1 && !idle.IsZero() {
			return peers, idle, nil
		}
	}
	return nil, idle, fmt.Errorf("%d of %d peers were found", len(peers), p.Posters-1)
}

// pingUntil measures round trips to a peer until ctx ends.
func pingUntil(ctx context.Context, e *engine.Engine, to engine.PeerID) (trips []time.Duration) {
	for ctx.Err() == nil {
		if d, err := e.Ping(ctx, to, engine.PingReliable); err == nil {
			trips = append(trips, d)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return trips
}

// peakMemory returns the most memory that this process has had in use, in KiB.
func peakMemory() int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, is := strings.CutPrefix(line, "VmHWM:"); is {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// postingProcess is a running poster.
type postingProcess struct {
	poster
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

func startPoster(t *testing.T, h *netlab.Host, p poster) *postingProcess {
	t.Helper()
	args, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	r := &postingProcess{poster: p, cmd: h.Command(t.Context(), os.Args[0], string(args))}
	r.cmd.Env = append(os.Environ(), "MULTIPEER_ROLE=post")
	r.cmd.Stderr = &r.stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPost_EightProcessesLoseNothing: eight processes post to each other in plain loops, and take 0, 1 or 5 ms for each
// message that they receive. All messages arrive, in order and once; memory stays flat; and a ninth process answers
// pings of all of them as fast as ever. MULTIPEER_MESSAGES sets how many messages each posts to each.
func TestPost_EightProcessesLoseNothing(t *testing.T) {
	messages := 300
	if s := os.Getenv("MULTIPEER_MESSAGES"); s != "" {
		var err error
		if messages, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const posters = 8
	delays := []time.Duration{0, time.Millisecond, 5 * time.Millisecond}
	lan := netlab.New(t, posters+1)
	service := enginetest.Service()
	idle := startPoster(t, lan.Host(posters+1), poster{Service: service, Name: quiet})
	var all []*postingProcess
	for i := range posters {
		all = append(all, startPoster(t, lan.Host(i+1), poster{service, fmt.Sprintf("peer %d", i+1), posters, messages, delays[i%len(delays)]}))
	}
	for _, r := range all {
		line, err := r.out.ReadBytes('\n')
		var got posted
		if err != nil || json.Unmarshal(line, &got) != nil {
			t.Errorf("%s: %v: %s", r.Name, err, r.stderr.Bytes())
			continue
		}
		t.Logf("%s, %v a message: %d received, memory %d MB after a tenth and %d MB at the end, p99 of the idle peer %v",
			r.Name, r.Delay, got.Received, got.Early>>10, got.Memory>>10, got.P99.Round(100*time.Microsecond))
		if want := (posters - 1) * messages; got.Received != want {
			t.Errorf("%s: %d messages, want %d", r.Name, got.Received, want)
		}
		if got.Memory > got.Early+32<<10 {
			t.Errorf("%s: memory grows from %d to %d KiB", r.Name, got.Early, got.Memory)
		}
		// Nine busy processes share the processor, so p99 is mostly the wait for it.
		if limit := time.Duration(float64(500*time.Millisecond) * load.Factor()); got.P99 > limit {
			t.Errorf("%s: p99 %v to the idle peer", r.Name, got.P99)
		}
	}
	for _, r := range append(all, idle) {
		_ = r.in.Close()
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", r.Name, err, r.stderr.Bytes())
		}
	}
}
