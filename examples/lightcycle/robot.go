package main

import "math/rand/v2"

// pilot is a robot's choice for one rider: it avoids what is just ahead, takes the side with more room, and now and
// then turns for no reason, so that games end. It sees the board as it was a tick ago, as a human does.
func pilot(b *Board, rider int, dice *rand.Rand) Turn {
	r := b.Riders[rider]
	if r.Out {
		return Straight
	}
	left, right := freeCells(b, r, Left), freeCells(b, r, Right)
	side := Left
	if right > left || right == left && dice.IntN(2) == 0 {
		side = Right
	}
	switch ahead := freeCells(b, r, Straight); {
	case ahead == 0:
		return side
	case dice.IntN(12) == 0 && max(left, right) > 2:
		return side
	}
	return Straight
}

// freeCells returns how many cells in a straight line are free after a turn.
func freeCells(b *Board, r Rider, t Turn) int {
	h, n := r.Heading.turned(t), 0
	for at := r.At.next(h); b.Free(at); at = at.next(h) {
		n++
	}
	return n
}
