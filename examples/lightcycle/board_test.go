package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// put returns a board with riders where a test wants them.
func put(riders ...Rider) *Board {
	b := &Board{Riders: riders}
	for i, r := range riders {
		b.trails[r.At.index()] = uint8(i + 1)
	}
	return b
}

func step(t *testing.T, b *Board, moves ...Turn) {
	t.Helper()
	if err := b.Step(moves); err != nil {
		t.Fatal(err)
	}
}

func out(b *Board) []bool {
	var all []bool
	for _, r := range b.Riders {
		all = append(all, r.Out)
	}
	return all
}

func TestStartsAreFair(t *testing.T) {
	for n := MinRiders; n <= MaxRiders; n++ {
		b := NewBoard(n)
		seen := map[Cell]bool{}
		for _, r := range b.Riders {
			if seen[r.At] || b.Free(r.At) {
				t.Errorf("%d riders: start %v", n, r.At)
			}
			seen[r.At] = true
		}
		for range 10 { // a rider who does nothing for a second is still alive
			step(t, b, make([]Turn, n)...)
		}
		if slices.Contains(out(b), true) {
			t.Errorf("%d riders: out after a second: %v", n, out(b))
		}
	}
}

func TestTurns(t *testing.T) {
	for _, c := range []struct {
		heading Heading
		turn    Turn
		want    Cell
	}{
		{North, Straight, Cell{10, 9}},
		{North, Left, Cell{9, 10}},
		{North, Right, Cell{11, 10}},
		{East, Straight, Cell{11, 10}},
		{East, Left, Cell{10, 9}},
		{East, Right, Cell{10, 11}},
		{South, Straight, Cell{10, 11}},
		{South, Left, Cell{11, 10}},
		{South, Right, Cell{9, 10}},
		{West, Straight, Cell{9, 10}},
		{West, Left, Cell{10, 11}},
		{West, Right, Cell{10, 9}},
	} {
		b := put(Rider{At: Cell{10, 10}, Heading: c.heading}, Rider{At: Cell{40, 20}})
		step(t, b, c.turn, Straight)
		if got := b.Riders[0].At; got != c.want {
			t.Errorf("heading %d, turn %d: %v, want %v", c.heading, c.turn, got, c.want)
		}
	}
}

func TestWhatPutsOut(t *testing.T) {
	far := Rider{At: Cell{40, 20}, Heading: East}
	for _, c := range []struct {
		name   string
		board  *Board
		moves  []Turn
		want   []bool
		winner int // -1 is a draw, -2 a game that continues
	}{
		{"upper wall", put(Rider{At: Cell{5, 0}, Heading: North}, far), []Turn{Straight, Straight}, []bool{true, false}, 1},
		{"lower wall", put(Rider{At: Cell{5, Height - 1}, Heading: South}, far), []Turn{Straight, Straight}, []bool{true, false}, 1},
		{"left wall", put(Rider{At: Cell{0, 5}, Heading: South}, far), []Turn{Right, Straight}, []bool{true, false}, 1},
		{"right wall", put(far, Rider{At: Cell{Width - 1, 5}, Heading: East}), []Turn{Straight, Straight}, []bool{false, true}, 0},
		{"another's trail", put(Rider{At: Cell{39, 20}, Heading: East}, Rider{At: Cell{40, 20}, Heading: North}), []Turn{Straight, Straight}, []bool{true, false}, 1},
		{"one cell", put(Rider{At: Cell{10, 10}, Heading: East}, Rider{At: Cell{12, 10}, Heading: West}), []Turn{Straight, Straight}, []bool{true, true}, -1},
		{"head to head", put(Rider{At: Cell{10, 10}, Heading: East}, Rider{At: Cell{11, 10}, Heading: West}), []Turn{Straight, Straight}, []bool{true, true}, -1},
		{"three in one cell", put(Rider{At: Cell{10, 10}, Heading: East}, Rider{At: Cell{12, 10}, Heading: West}, Rider{At: Cell{11, 11}, Heading: North}, far), []Turn{0, 0, 0, 0}, []bool{true, true, true, false}, 3},
		{"gone", put(far, Rider{At: Cell{10, 10}}), []Turn{Leave, Straight}, []bool{true, false}, 1},
		{"all gone", put(far, Rider{At: Cell{10, 10}}), []Turn{Leave, Leave}, []bool{true, true}, -1},
		{"it goes on", put(far, Rider{At: Cell{10, 10}}, Rider{At: Cell{1, 1}}), []Turn{Leave, Straight, Straight}, []bool{true, false, false}, -2},
	} {
		step(t, c.board, c.moves...)
		if got := out(c.board); !slices.Equal(got, c.want) {
			t.Errorf("%s: out %v", c.name, got)
		}
		if over := c.board.Over(); over != (c.winner != -2) {
			t.Errorf("%s: over %v", c.name, over)
		}
		if w, ok := c.board.Winner(); ok != (c.winner >= 0) || ok && w != c.winner {
			t.Errorf("%s: winner %d %v", c.name, w, ok)
		}
	}
}

func TestOwnTrailPutsOut(t *testing.T) {
	b := put(Rider{At: Cell{10, 10}, Heading: East}, Rider{At: Cell{40, 20}, Heading: East})
	for _, m := range []Turn{Straight, Right, Right, Right} {
		if b.Riders[0].Out {
			t.Fatal("out too early")
		}
		step(t, b, m, Straight)
	}
	if !b.Riders[0].Out {
		t.Error("a circle of four cells ends on its own trail")
	}
}

func TestTrailOfTheGoneStays(t *testing.T) {
	at := Cell{10, 10}
	b := put(Rider{At: at}, Rider{At: Cell{20, 10}}, Rider{At: Cell{40, 20}})
	step(t, b, Leave, Straight, Straight)
	if owner, ok := b.Trail(at); !ok || owner != 0 || b.Free(at) {
		t.Errorf("the trail is %d %v", owner, ok)
	}
}

func TestMovesAgainstTheRules(t *testing.T) {
	b := put(Rider{At: Cell{10, 10}}, Rider{At: Cell{20, 10}}, Rider{At: Cell{30, 10}, Out: true})
	before := *b.Clone()
	for _, moves := range [][]Turn{nil, {0, 0}, {0, 0, 0, 0}, {4, 0, 0}, {0, 255, 0}, {0, 0, Left}, {0, 0, Leave}} {
		if err := b.Step(moves); !errors.Is(err, errMoves) {
			t.Errorf("moves %v: %v", moves, err)
		}
	}
	if b.Tick != before.Tick || b.trails != before.trails || !slices.Equal(b.Riders, before.Riders) {
		t.Error("refused moves have changed the board")
	}
	step(t, b, Leave, Straight, Straight)
	if err := b.Step([]Turn{0, 0, 0}); !errors.Is(err, errMoves) {
		t.Errorf("a move after the end: %v", err)
	}
}

func TestCloneIsApart(t *testing.T) {
	b := NewBoard(2)
	c := b.Clone()
	step(t, b, Left, Leave)
	if c.Tick != 0 || c.Riders[1].Out || !c.Free(b.Riders[0].At) {
		t.Error("the clone has moved too")
	}
}

// TestRobotsPlayToAnEnd plays whole games: they end, and the same moves give the same board.
func TestRobotsPlayToAnEnd(t *testing.T) {
	longest := 0
	for seed := range uint64(200) {
		dice := rand.New(rand.NewPCG(seed, 0))
		n := MinRiders + int(seed)%(MaxRiders-MinRiders+1)
		b, copied := NewBoard(n), NewBoard(n)
		for !b.Over() {
			moves := make([]Turn, n)
			for i := range moves {
				moves[i] = pilot(b, i, dice)
			}
			step(t, b, moves...)
			step(t, copied, moves...)
		}
		if b.trails != copied.trails || !slices.Equal(b.Riders, copied.Riders) {
			t.Fatalf("seed %d: two boards with the same moves differ", seed)
		}
		longest = max(longest, b.Tick)
	}
	t.Logf("the longest of 200 games took %d ticks", longest)
}

func FuzzStep(f *testing.F) {
	f.Add(uint8(2), []byte{0, 1, 2, 3, 0, 0})
	f.Add(uint8(8), make([]byte, 400))
	f.Fuzz(func(t *testing.T, riders uint8, raw []byte) {
		n := MinRiders + int(riders)%(MaxRiders-MinRiders+1)
		b := NewBoard(n)
		for ; len(raw) >= n; raw = raw[n:] {
			moves := make([]Turn, n)
			for i := range moves {
				moves[i] = Turn(raw[i])
			}
			tick := b.Tick
			if err := b.Step(moves); (err == nil) != (b.Tick == tick+1) {
				t.Fatal(err, tick, b.Tick)
			}
		}
	})
}
