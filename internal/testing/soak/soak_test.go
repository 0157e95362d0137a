package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/testing/load"
)

const members = 16

// word is one message.
type word struct {
	Run string `json:"run"` // of the sender
	N   int    `json:"n"`
}

// member is one device across its restarts.
type member struct {
	s     *soak
	name  string
	cfg   engine.Config
	addr  netip.AddrPort
	inbox string

	mu       sync.Mutex
	node     *enginetest.Node
	run      string
	runs     int
	sent     int
	stop     func()
	newest   map[string]int  // by the run of the sender and ours
	received map[string]bool // "run n", over all our runs
}

// soak is the state of the test.
type soak struct {
	t    *testing.T
	net  *enginetest.Net
	dice *rand.Rand
	all  []*member
	wg   sync.WaitGroup

	mu        sync.Mutex
	delivered []func() error // checks on what was reported as delivered
	counts    map[string]int
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

func (s *soak) counted(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[what]
}

// start begins another run of m.
func (m *member) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs++
	m.run = fmt.Sprintf("%s/%d", m.name, m.runs)
	if m.addr.IsValid() {
		m.node = m.s.net.StartAt(m.addr, m.cfg)
	} else {
		m.node = m.s.net.Start(m.cfg)
		m.addr = m.node.Addr
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := m.run
	done := m.node.Handle(ctx, engine.Handler{
		Receive: func(msg engine.Message) { m.take(run, msg) },
		Offer:   func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: m.inbox, Reserve: -1}) },
	})
	m.stop = func() { cancel(); <-done }
}

// take checks that the messages of one run arrive once and in order.
func (m *member) take(run string, msg engine.Message) {
	var w word
	if err := json.Unmarshal(msg.Body, &w); err != nil {
		m.s.t.Errorf("%s got %s", run, msg.Body)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := w.Run + " to " + run
	if w.N <= m.newest[key] {
		m.s.t.Errorf("%s: message %d after %d", key, w.N, m.newest[key])
	}
	m.newest[key] = w.N
	m.received[fmt.Sprint(w.Run, " ", w.N)] = true
	m.s.count("messages received")
}

func (m *member) now() (*enginetest.Node, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node, m.run
}

// say sends a message from one member to another and records the outcome.
func (s *soak) say(from, to *member) {
	from.mu.Lock()
	from.sent++
	node, w := from.node, word{from.run, from.sent}
	from.mu.Unlock()
	other, _ := to.now()
	id := other.Self().ID
	d, err := node.Post(context.Background(), w, id)
	if err != nil {
		s.count("messages refused")
		return
	}
	s.wg.Go(func() {
		if err := d.Results()[0].Err; err != nil {
			s.count("messages with an error")
			return
		}
		s.count("messages delivered")
		key := fmt.Sprint(w.Run, " ", w.N)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.delivered = append(s.delivered, func() error {
			to.mu.Lock()
			defer to.mu.Unlock()
			if !to.received[key] {
				return fmt.Errorf("message %s was delivered to %s, which never got it", key, to.name)
			}
			return nil
		})
	})
}

// send offers a file, and records the outcome.
func (s *soak) send(from, to *member, n int) {
	content := make([]byte, 10_000+s.dice.IntN(500_000))
	for i := range content {
		content[i] = byte(s.dice.Uint32())
	}
	path := filepath.Join(s.t.TempDir(), fmt.Sprintf("file %d", n))
	if err := os.WriteFile(path, content, 0o644); err != nil {
		s.t.Error(err)
		return
	}
	node, _ := from.now()
	other, _ := to.now()
	id := other.Self().ID
	s.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		tr, err := node.OfferWith(ctx, id, engine.OfferOptions{}, path)
		if err == nil {
			tr, err = node.Wait(ctx, tr.ID)
		}
		if err != nil || tr.State != engine.Delivered {
			s.count("files with an error")
			return
		}
		s.count("files delivered")
		s.mu.Lock()
		defer s.mu.Unlock()
		s.delivered = append(s.delivered, func() error {
			b, err := os.ReadFile(filepath.Join(to.inbox, filepath.Base(path)))
			if err != nil || !bytes.Equal(b, content) {
				return fmt.Errorf("%s was delivered to %s and is missing: %v", path, to.name, err)
			}
			return os.Remove(filepath.Join(to.inbox, filepath.Base(path)))
		})
	})
}

// meet waits until every member has a session with every other.
func (s *soak) meet(within time.Duration) error {
	lonely := ""
	met := load.Within(within, 200*time.Millisecond, func() bool {
		lonely = ""
		for _, m := range s.all {
			node, _ := m.now()
			n := 0
			for _, p := range node.Peers() {
				if p.State == engine.Connected {
					n++
				}
			}
			if n != members-1 || len(node.Peers()) != members-1 {
				lonely += fmt.Sprintf(" %s has %d sessions and %d peers;", m.name, n, len(node.Peers()))
			}
		}
		return lonely == ""
	})
	if met {
		return nil
	}
	return fmt.Errorf("after %v of a quiet machine's time:%s", within, lonely)
}

// weight is what the process holds at a quiet moment.
type weight struct{ goroutines, descriptors, heap int }

func weigh() weight {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w := weight{goroutines: runtime.NumGoroutine(), heap: int(m.HeapAlloc)}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		w.descriptors = len(fds)
	}
	return w
}

// TestSoak runs for MULTIPEER_SOAK (such as 5m or 1h), or for twenty seconds.
func TestSoak(t *testing.T) {
	length := 20 * time.Second
	if text := os.Getenv("MULTIPEER_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MULTIPEER_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("seed %d (MULTIPEER_SEED), %v (MULTIPEER_SOAK)", seed, length)
	s := &soak{t: t, net: enginetest.New(t, time.Millisecond), dice: rand.New(rand.NewPCG(seed, 1)), counts: map[string]int{}}
	for i := range members {
		m := &member{s: s, name: fmt.Sprintf("peer %d", i), inbox: t.TempDir(), newest: map[string]int{}, received: map[string]bool{}}
		m.cfg = engine.Config{Offers: engine.Everyone, Name: m.name, Profile: filepath.Join(t.TempDir(), "profile"), Invite: engine.Everyone, Accept: engine.Everyone}
		s.all = append(s.all, m)
		m.start()
	}
	defer func() {
		for _, m := range s.all {
			m.stop()
		}
	}()
	if err := s.meet(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	var first, last weight
	files := 0
	began := time.Now()
	for round := 0; time.Since(began) < length || round < 2; round++ {
		s.net.Lose(0.03 * s.dice.Float64())
		s.net.Scatter(time.Duration(1+s.dice.IntN(15))*time.Millisecond, 0.02*s.dice.Float64())
		pick := func() *member { return s.all[s.dice.IntN(members)] }
		cut := map[*member]time.Time{}
		for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			for m, until := range cut {
				if time.Now().After(until) {
					s.net.Cut(m.addr, false)
					delete(cut, m)
				}
			}
			a, b := pick(), pick()
			if a == b {
				continue
			}
			n := s.dice.IntN(100)
			noCut, noKill := s.counted("cuts") <= round, s.counted("kills") <= round
			switch left := time.Until(end); { // each round includes a cut and a kill, however slow the machine is
			case noCut && left < 6*time.Second:
				n = 90
			case noKill && left < 4*time.Second:
				n = 92
			}
			switch {
			case n < 80:
				s.say(a, b)
			case n < 90:
				files++
				s.send(a, b, files)
			case n < 92 && len(cut) < 3:
				if _, is := cut[a]; !is {
					s.net.Cut(a.addr, true)
					cut[a] = time.Now().Add(time.Duration(500+s.dice.IntN(3500)) * time.Millisecond)
					s.count("cuts")
				}
			case n < 93:
				if _, is := cut[a]; is {
					continue
				}
				node, _ := a.now()
				a.stop()
				if noKill || s.dice.IntN(2) == 0 {
					_ = node.Kill()
					s.count("kills")
				} else {
					_ = node.Stop()
					s.count("restarts")
				}
				a.start()
			}
		}
		for m := range cut {
			s.net.Cut(m.addr, false)
		}
		s.net.Lose(0)
		s.net.Scatter(0, 0)
		s.wg.Wait()
		if err := s.meet(time.Minute); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.mu.Lock()
		check := s.delivered
		s.delivered = nil
		s.mu.Unlock()
		for _, c := range check {
			if err := c(); err != nil {
				t.Error(err)
			}
		}
		for _, m := range s.all { // what was checked need not be remembered
			m.mu.Lock()
			clear(m.received)
			m.mu.Unlock()
		}
		time.Sleep(time.Second)
		last = weigh()
		if round == 0 {
			first = last
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%v", s.counts)
	t.Logf("goroutines %d and %d, descriptors %d and %d, heap %.1f and %.1f MB", first.goroutines, last.goroutines, first.descriptors, last.descriptors, float64(first.heap)/1e6, float64(last.heap)/1e6)
	if last.goroutines > first.goroutines*5/4+50 || last.descriptors > first.descriptors+20 || last.heap > first.heap*3/2+20<<20 {
		t.Error("something piles up")
	}
	for _, what := range []string{"messages delivered", "files delivered", "cuts", "kills"} {
		if s.counts[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
}
