package main

import (
	"errors"
	"fmt"
)

const (
	// Width and Height are the cells between the walls: drawn with half blocks they fill a terminal of 80 x 24.
	Width, Height = 78, 40
	// MinRiders and MaxRiders limit the number of players.
	MinRiders, MaxRiders = 2, 8
)

// Heading is the direction of a cycle; a right turn adds one.
type Heading uint8

// The headings.
const (
	North Heading = iota
	East
	South
	West
)

// Turn is what one rider does in one tick. It is also a byte on the wire.
type Turn uint8

// The turns. Leave is not a player's choice: it means that the rider has left.
const (
	Straight Turn = iota
	Left
	Right
	Leave
)

// Cell is a position between the walls; 0, 0 is the upper left cell.
type Cell struct{ X, Y int }

// Rider is one cycle.
type Rider struct {
	At      Cell
	Heading Heading
	Out     bool
}

// Board is the whole state of a game. It has no clock and no randomness: the same moves give the same board, which is
// why the leader streams moves and not positions, and why no one has to trust a position.
type Board struct {
	Riders []Rider
	Tick   int // number of steps so far

	trails [Width * Height]uint8 // 1 + the rider who was there, 0 is free
}

// errMoves reports moves that the rules do not allow.
var errMoves = errors.New("illegal moves")

// NewBoard spreads n riders clockwise around the board, each along the nearest wall.
func NewBoard(n int) *Board {
	b := &Board{Riders: make([]Rider, n)}
	const x, y = Width / 6, Height / 6
	starts := [MaxRiders]Rider{
		{At: Cell{x, y}, Heading: East},
		{At: Cell{Width - 1 - x, Height - 1 - y}, Heading: West},
		{At: Cell{Width - 1 - x, y}, Heading: South},
		{At: Cell{x, Height - 1 - y}, Heading: North},
		{At: Cell{Width / 2, 2 * y}, Heading: East},
		{At: Cell{Width/2 - 1, Height - 1 - 2*y}, Heading: West},
		{At: Cell{Width - 1 - 2*x, Height / 2}, Heading: South},
		{At: Cell{2 * x, Height/2 - 1}, Heading: North},
	}
	for i := range b.Riders {
		b.Riders[i] = starts[i]
		b.trails[starts[i].At.index()] = uint8(i + 1)
	}
	return b
}

// Check reports whether moves fit the board: one for each rider, and none for riders who are out.
func (b *Board) Check(moves []Turn) error {
	if len(moves) != len(b.Riders) {
		return fmt.Errorf("%w: %d moves for %d riders", errMoves, len(moves), len(b.Riders))
	}
	if b.Over() {
		return fmt.Errorf("%w: the game is over", errMoves)
	}
	for i, m := range moves {
		if m > Leave || b.Riders[i].Out && m != Straight {
			return fmt.Errorf("%w: move %d of rider %d", errMoves, m, i)
		}
	}
	return nil
}

// Step makes one tick: all turn, all move, and only then are collisions determined. So the order of the riders gives no
// advantage, and two riders who enter the same cell are both out. The trail of a rider who is out stays.
func (b *Board) Step(moves []Turn) error {
	if err := b.Check(moves); err != nil {
		return err
	}
	b.Tick++
	entering := map[Cell]int{}
	for i := range b.Riders {
		r := &b.Riders[i]
		r.Out = r.Out || moves[i] == Leave
		if r.Out {
			continue
		}
		r.Heading = r.Heading.turned(moves[i])
		entering[r.At.next(r.Heading)]++
	}
	for i := range b.Riders {
		r := &b.Riders[i]
		if r.Out {
			continue
		}
		to := r.At.next(r.Heading)
		if b.Free(to) && entering[to] == 1 {
			r.At = to
		} else {
			r.Out = true
		}
	}
	for i, r := range b.Riders {
		if !r.Out {
			b.trails[r.At.index()] = uint8(i + 1)
		}
	}
	return nil
}

// Free reports whether a cell is within the walls and no one has passed it.
func (b *Board) Free(c Cell) bool {
	return c.X >= 0 && c.X < Width && c.Y >= 0 && c.Y < Height && b.trails[c.index()] == 0
}

// Trail returns the rider whose trail covers a cell within the walls.
func (b *Board) Trail(c Cell) (rider int, ok bool) {
	owner := b.trails[c.index()]
	return int(owner) - 1, owner != 0
}

// Over reports whether at most one rider is left.
func (b *Board) Over() bool {
	left := 0
	for _, r := range b.Riders {
		if !r.Out {
			left++
		}
	}
	return left < 2
}

// Winner returns the last rider of a game that is over; ok is false for a draw.
func (b *Board) Winner() (rider int, ok bool) {
	for i, r := range b.Riders {
		if !r.Out {
			return i, b.Over()
		}
	}
	return 0, false
}

// Clone returns a copy of the board for another goroutine to read.
func (b *Board) Clone() *Board {
	c := *b
	c.Riders = append([]Rider(nil), b.Riders...)
	return &c
}

func (h Heading) turned(t Turn) Heading {
	switch t {
	case Left:
		return (h + 3) % 4
	case Right:
		return (h + 1) % 4
	}
	return h
}

func (c Cell) next(h Heading) Cell {
	switch h {
	case North:
		c.Y--
	case East:
		c.X++
	case South:
		c.Y++
	case West:
		c.X--
	}
	return c
}

func (c Cell) index() int { return c.Y*Width + c.X }
