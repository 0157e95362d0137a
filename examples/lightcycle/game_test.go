package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

const latency = time.Millisecond

// seated is a player on a simulated network.
type seated struct {
	*enginetest.Node
	game *Game
	stop context.CancelFunc
	done chan struct{} // closed when Play has returned
	err  error         // of Play, after done

	mu      sync.Mutex
	lines   []string
	picture Picture
}

// sit starts a player; robots is 0 for a human.
func sit(t *testing.T, net *enginetest.Net, name string, robots int, seed uint64) *seated {
	t.Helper()
	c := newCard(int(seed) % len(colours))
	p := &seated{Node: net.Start(config(name, "lightcycle", nil, c)), done: make(chan struct{})}
	p.game = NewGame(p.Engine, Options{
		Card: c, Robot: robots > 0, Robots: robots, Dice: rand.New(rand.NewPCG(seed, 1)),
		Say: func(line string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.lines = append(p.lines, line)
		},
		Show: func(pic Picture) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.picture = pic
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		defer close(p.done)
		p.err = p.game.Play(ctx)
	}()
	t.Cleanup(func() { cancel(); <-p.done })
	return p
}

func sitAll(t *testing.T, net *enginetest.Net, n, robots int) []*seated {
	t.Helper()
	var all []*seated
	for i := range n {
		all = append(all, sit(t, net, fmt.Sprint("robot ", i), robots, uint64(i)))
	}
	return all
}

func (p *seated) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// count returns how many lines start with begin.
func (p *seated) count(begin string) int {
	n := 0
	for _, line := range p.said() {
		if strings.HasPrefix(line, begin) {
			n++
		}
	}
	return n
}

func (p *seated) sees() Picture {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.picture
}

// lobby returns the state of the named player, as p sees it.
func (p *seated) lobby(name string) string {
	for _, s := range p.sees().Lobby {
		if s.Name == name {
			return s.At
		}
	}
	return "absent"
}

// wait waits until a condition holds.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 20000 {
		if so() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: the condition was never met", what)
}

func (p *seated) finished(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(5 * time.Minute):
		t.Fatalf("%s plays forever: %q", p.game.me.name, p.said())
	}
}

// byID sorts players as the game does: the first one leads.
func byID(all []*seated) []*seated {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *seated) int {
		if a.Self().ID.Less(b.Self().ID) {
			return -1
		}
		return 1
	})
	return all
}

// result returns the line that reports how a game has ended.
func (p *seated) result() string {
	for _, line := range p.said() {
		if line == "draw" || strings.HasPrefix(line, "winner: ") || strings.HasPrefix(line, "no winner: ") {
			return line
		}
	}
	return ""
}

// sameGame waits for all, and checks that they saw the same game.
func sameGame(t *testing.T, all []*seated) {
	t.Helper()
	for _, p := range all {
		p.finished(t)
		if p.err != nil {
			t.Errorf("%s: %v; %q", p.game.me.name, p.err, p.said())
			continue
		}
		first := all[0]
		if p.result() == "" || p.result() != first.result() {
			t.Errorf("%s reports %q, %s reports %q", p.game.me.name, p.result(), first.game.me.name, first.result())
		}
		if p.game.last.board.trails != first.game.last.board.trails {
			t.Errorf("%s and %s have different boards", p.game.me.name, first.game.me.name)
		}
	}
}

func TestEightRobots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		all := sitAll(t, net, MaxRiders, MaxRiders)
		sameGame(t, all)
		leader := byID(all)[0]
		for _, p := range all {
			if p.count("added: ") != MaxRiders-1 {
				t.Errorf("%s has seen %q", p.game.me.name, p.said())
			}
			if p.count("start: ") != 1 || !slices.ContainsFunc(p.said(), func(line string) bool {
				return strings.HasSuffix(line, "; leader "+leader.game.me.name)
			}) {
				t.Errorf("%s: the leader is not %s: %q", p.game.me.name, leader.game.me.name, p.said())
			}
		}
		t.Logf("%s after %d ticks", leader.result(), leader.game.last.board.Tick)
	})
}

// TestLossyNetwork plays on a lossy network: ticks are late, but all arrive.
func TestLossyNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 20*time.Millisecond)
		net.Lose(0.05)
		sameGame(t, sitAll(t, net, 4, 4))
	})
}

// TestUndecidedLeaver: a player who has not committed keeps the others waiting, but not after it has crashed.
func TestUndecidedLeaver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		all := sitAll(t, net, 7, 8)
		undecided := sit(t, net, "undecided", 0, 9)
		for _, p := range all {
			wait(t, "all others ready", func() bool { return p.count("ready: ") == len(all) })
		}
		time.Sleep(time.Minute)
		for _, p := range all {
			if p.count("start: ") != 0 {
				t.Fatal("started without one who has not committed")
			}
		}
		if err := undecided.Kill(); err != nil {
			t.Error(err)
		}
		sameGame(t, all)
	})
}

// TestLeaderLeaves ends the leader in the middle of a game, in both ways: the game is over for all, and the reason is
// reported.
func TestLeaderLeaves(t *testing.T) {
	for name, leave := range map[string]func(*enginetest.Node) error{"goodbye": (*enginetest.Node).Stop, "crash": (*enginetest.Node).Kill} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				all := byID(sitAll(t, net, MaxRiders, MaxRiders))
				for _, p := range all {
					wait(t, "some ticks", func() bool { b := p.sees().Board; return b != nil && b.Tick >= 10 })
				}
				if err := leave(all[0].Node); err != nil {
					t.Error(err)
				}
				for _, p := range all[1:] {
					p.finished(t)
					want := fmt.Sprintf("no winner: the leader, %s, has left", all[0].game.me.name)
					if p.result() != want || p.err == nil {
						t.Errorf("%s: %q, %v", p.game.me.name, p.result(), p.err)
					}
				}
			})
		})
	}
}

// TestRiderLeaves: the others play on, and its trail stays.
func TestRiderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		all := byID(sitAll(t, net, 4, 4))
		wait(t, "the start", func() bool { return all[3].count("start: ") == 1 })
		if err := all[3].Stop(); err != nil {
			t.Error(err)
		}
		sameGame(t, all[:3])
		b := all[0].game.last.board
		if start := NewBoard(4).Riders[3].At; !b.Riders[3].Out || b.Free(start) {
			t.Error("the peer that has left is in, or its trail is gone")
		}
	})
}

// TestConnBreaks cuts a player off long enough to end its connection but not its session: it receives everything that
// it missed.
func TestConnBreaks(t *testing.T) {
	again := 0
	for _, dead := range []time.Duration{5 * time.Second, 8 * time.Second, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			all := byID(sitAll(t, net, 3, 3))
			late := all[2]
			wait(t, "some ticks", func() bool { b := late.sees().Board; return b != nil && b.Tick >= 3 })
			net.Drop(func(from, to netip.AddrPort) bool { return from == late.Addr || to == late.Addr })
			time.Sleep(dead)
			net.Drop(nil)
			sameGame(t, all)
			again += late.count("again: ")
			if late.count("again: ") > 2 {
				t.Errorf("%v: opens its streams over and over: %q", dead, late.said())
			}
		})
	}
	if again == 0 {
		t.Error("no conn has broken")
	}
}

// TestLobby plays with two people, and a third who is late.
func TestLobby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := sit(t, net, "a", 0, 1)
		a.game.Commit()
		time.Sleep(10 * time.Second)
		if a.count("start: ") != 0 {
			t.Fatal("committing alone has started a game")
		}
		b := sit(t, net, "b", 0, 2)
		wait(t, "b knows that a is ready", func() bool { return b.lobby("a") == "ready" && a.lobby("b") == "chooses" })
		c := sit(t, net, "c", 0, 3)
		wait(t, "c is late and knows that a is ready", func() bool { return c.lobby("a") == "ready" && b.lobby("c") == "chooses" })
		b.game.Commit()
		wait(t, "c knows who is ready", func() bool { return c.lobby("a") == "ready" && c.lobby("b") == "ready" })
		if got := c.sees().Lobby; len(got) != 3 || got[1].Colour != 1 || got[2].Colour != 2 {
			t.Errorf("c sees %+v", got)
		}
		if a.count("start: ") != 0 {
			t.Fatal("started without c")
		}
		c.stop()
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		for _, p := range []*seated{a, b} {
			wait(t, "the start", func() bool { return p.sees().Live })
			if self := p.Self(); self.Advertising || self.Browsing || self.Info["at"] != "playing" {
				t.Errorf("looks on in a game: %+v", self)
			}
		}
		for _, p := range []*seated{a, b} { // neither steers: both hit a wall
			wait(t, "the end", func() bool { return p.result() != "" && !p.sees().Live })
			if self := p.Self(); !self.Advertising || !self.Browsing || self.Info["at"] != "lobby" || p.sees().Ready {
				t.Errorf("not back in the lobby: %+v", self)
			}
		}
		wait(t, "both are back", func() bool { return a.lobby("b") == "chooses" && b.lobby("a") == "chooses" })
		d := sit(t, net, "d", 0, 4)
		for _, p := range []*seated{a, b, d} {
			wait(t, "three in the lobby", func() bool { return len(p.sees().Lobby) == 3 })
			p.game.Commit()
		}
		for _, p := range []*seated{a, b, d} {
			wait(t, "the second game", func() bool { return len(p.sees().Riders) == 3 })
		}
	})
}

// TestSteering: the turns of a human arrive, from the leader and from the other players.
func TestSteering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		all := byID([]*seated{sit(t, net, "same", 0, 1), sit(t, net, "same", 0, 1)})
		for _, p := range all {
			wait(t, "two in the lobby", func() bool { return len(p.sees().Lobby) == 2 })
			p.game.Commit()
		}
		for _, p := range all {
			wait(t, "the start", func() bool { return p.sees().Live })
		}
		all[0].game.Turn(Right)
		all[1].game.Turn(Right)
		all[1].game.Turn(Right) // two turns in one tick take two ticks
		wait(t, "three ticks", func() bool { return all[1].sees().Board.Tick >= 3 })
		pic := all[1].sees()
		if h0, h1 := pic.Board.Riders[0].Heading, pic.Board.Riders[1].Heading; h0 != South || h1 != East {
			t.Errorf("headings %d and %d", h0, h1)
		}
		if pic.Riders[0].Name != "same" || pic.Riders[1].Name != "same #2" || pic.Riders[0].Colour == pic.Riders[1].Colour {
			t.Errorf("riders that look the same: %+v", pic.Riders)
		}
	})
}

// intruder is an engine with the game's service type but without a game: the test acts for it.
func intruder(t *testing.T, net *enginetest.Net, context any) (*enginetest.Node, chan *engine.Stream) {
	t.Helper()
	cfg := config("intruder", "lightcycle", nil, card{})
	cfg.Context = context
	n := net.Start(cfg)
	streams := make(chan *engine.Stream, 10)
	n.HandleStream("", func(s *engine.Stream) {
		streams <- s
		<-s.Done() // the stream is closed when this returns
	})
	seq := n.Watch(t.Context())
	go func() { // it reads the messages of the game
		for range seq {
		}
	}()
	return n, streams
}

func TestHostileContext(t *testing.T) {
	id := engine.PeerID{7}
	for _, raw := range []string{``, `null`, `1`, `"red"`, `[1,2]`, `{}`, `{"colour":7,"token":[]}`, `{"colour":"x","token":"zz"}`, `{"colour":"\u001b[2J","token":"0011"}`} {
		colour, token := readCard(json.RawMessage(raw), id)
		if colour != 7 || token != id.String() {
			t.Errorf("%s: %d %s", raw, colour, token)
		}
	}
	if colour, token := readCard(json.RawMessage(`{"colour":"blue","token":"0011223344556677"}`), id); colour != 3 || token != "0011223344556677" {
		t.Errorf("%d %s", colour, token)
	}
}

func TestHostileMessages(t *testing.T) {
	for _, m := range []any{
		1, "x", nil,
		map[string]any{},
		map[string]any{"state": 1},
		map[string]any{"state": map[string]any{"game": "\n"}},
		message{State: &state{}, Start: &start{}},
		message{Start: &start{Game: newGameID()}},
		strings.Repeat("x", 100000),
		message{Start: &start{Game: newGameID(), Riders: make([]entry, 1000)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			a := sit(t, net, "a", 0, 1)
			n, _ := intruder(t, net, []int{1, 2, 3})
			wait(t, "it is there", func() bool { return a.lobby("intruder") == "chooses" })
			if _, err := n.Send(t.Context(), m, engine.Broadcast); err != nil {
				t.Fatal(err)
			}
			wait(t, "it is dropped", func() bool { return a.lobby("intruder") == "absent" })
			if a.count("dropped: intruder") != 1 {
				t.Errorf("%q", a.said())
			}
		})
	}
}

// againstIntruder starts players until one has a higher ID than the intruder, which then leads, or a lower one.
func againstIntruder(t *testing.T, net *enginetest.Net, leads bool) (*seated, *enginetest.Node, chan *engine.Stream) {
	t.Helper()
	n, streams := intruder(t, net, nil)
	for {
		p := sit(t, net, "a", 0, 1)
		if n.Self().ID.Less(p.Self().ID) == leads {
			wait(t, "it is there", func() bool { return p.lobby("intruder") == "chooses" })
			return p, n, streams
		}
		p.stop()
		<-p.done
		_ = p.Stop()
	}
}

// TestHostileRider breaks the rules on its stream to the leader.
func TestHostileRider(t *testing.T) {
	for what, attack := range map[string]func(*engine.Stream){
		"long hello":  func(s *engine.Stream) { s.WriteFrame(make([]byte, 5)) },
		"short hello": func(s *engine.Stream) { s.WriteFrame(nil) },
		"late hello":  func(s *engine.Stream) { s.WriteFrame(helloFrame(1 << 30)) },
		"huge frame":  func(s *engine.Stream) { s.Write([]byte{255, 255, 255, 255}) },
		"turn":        func(s *engine.Stream) { s.WriteFrame(helloFrame(1)); s.WriteFrame([]byte{byte(Leave)}) },
		"long turn":   func(s *engine.Stream) { s.WriteFrame(helloFrame(1)); s.WriteFrame([]byte{1, 1}) },
		"flood": func(s *engine.Stream) {
			s.WriteFrame(helloFrame(1))
			for range 10000 {
				if s.WriteFrame([]byte{byte(Left)}) != nil {
					return
				}
			}
		},
		"unknown stream": nil,
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				p, n, _ := againstIntruder(t, net, false)
				p.game.Commit()
				if _, err := n.Send(t.Context(), message{State: &state{Ready: true}}, engine.Broadcast); err != nil {
					t.Fatal(err)
				}
				wait(t, "the start", func() bool { return p.sees().Live })
				name := turnsPrefix + p.game.me.state.Game
				if attack == nil {
					name = "files"
				}
				s, err := n.OpenStream(t.Context(), p.Self().ID, name)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if attack != nil {
					attack(s)
				}
				wait(t, "the end", func() bool { return p.result() != "" })
				if p.count("dropped: intruder") == 0 || p.result() != "winner: a" {
					t.Errorf("%q", p.said())
				}
			})
		})
	}
}

// TestHostileLeader breaks the rules on its stream of ticks, or sends nothing.
func TestHostileLeader(t *testing.T) {
	for what, attack := range map[string]func(*engine.Stream){
		"long tick":   func(s *engine.Stream) { s.WriteFrame(tickFrame(1, make([]Turn, 3))) },
		"short tick":  func(s *engine.Stream) { s.WriteFrame(tickFrame(1, nil)) },
		"tick 0":      func(s *engine.Stream) { s.WriteFrame(tickFrame(0, make([]Turn, 2))) },
		"tick 2":      func(s *engine.Stream) { s.WriteFrame(tickFrame(2, make([]Turn, 2))) },
		"bad move":    func(s *engine.Stream) { s.WriteFrame(tickFrame(1, []Turn{0, 4})) },
		"huge frame":  func(s *engine.Stream) { s.Write([]byte{255, 255, 255, 255}) },
		"silence":     func(s *engine.Stream) {},
		"early end":   func(s *engine.Stream) { s.Close() },
		"early reset": func(s *engine.Stream) { s.Reset(99) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := enginetest.New(t, latency)
				p, n, streams := againstIntruder(t, net, true)
				p.game.Commit()
				wait(t, "ready", func() bool { return p.lobby("a") == "ready" })
				s := &start{Game: newGameID(), Riders: []entry{{ID: n.Self().ID, Name: "\x1b[2J\n", Colour: 1}, {ID: p.Self().ID, Name: strings.Repeat("ä", 1000)}}}
				if _, err := n.Send(t.Context(), message{Start: s}, engine.Broadcast); err != nil {
					t.Fatal(err)
				}
				turns := <-streams
				if hello, err := turns.ReadFrame(helloSize); err != nil || len(hello) != helloSize || turns.Name != turnsPrefix+s.Game {
					t.Fatalf("%x %v", hello, err)
				}
				board, err := n.OpenStream(t.Context(), p.Self().ID, boardPrefix+s.Game)
				if err != nil {
					t.Fatal(err)
				}
				attack(board)
				wait(t, "the end", func() bool { return strings.HasPrefix(p.result(), "no winner: the leader, ") && !p.sees().Live })
				if _, err := io.Copy(io.Discard, turns); err == nil && p.count("dropped") > 0 {
					t.Error("the stream to a peer that was dropped has ended well")
				}
				if strings.ContainsAny(strings.Join(p.said(), ""), "\x1b\n") {
					t.Errorf("control characters: %q", p.said())
				}
			})
		})
	}
}
