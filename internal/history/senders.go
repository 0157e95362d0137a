package history

import (
	"cmp"
	"maps"
	"slices"
)

// A talk of several senders that is too long loses rows of those that have most: one that floods it must not drive out
// what the others have said.

// share is what one sender has of a talk.
type share struct{ rows, bytes int64 }

// measure is by what a talk is too long.
type measure int

const (
	byRows measure = iota
	byBytes
)

func (m measure) of(r Row) int64 {
	if m == byRows {
		return 1
	}
	return weight(r)
}

func (c share) of(m measure) int64 {
	if m == byRows {
		return c.rows
	}
	return c.bytes
}

// sender is who a row is of.
func (r Row) sender() string {
	if r.Own {
		return "own"
	}
	return cmp.Or(r.From, r.Who)
}

// peers counts the senders other than this device. Rows that name none, such as notices, count for none.
func (b *book) peers() int {
	n := len(b.shares)
	for _, who := range []string{"own", ""} {
		if _, has := b.shares[who]; has {
			n--
		}
	}
	return n
}

// is reports whether a row is an earlier state of another one.
func (r Row) is(now Row) bool {
	id := func(r Row) string {
		if r.File == nil {
			return ""
		}
		return r.File.ID
	}
	return r.Kind == now.Kind && r.Own == now.Own && r.At.Equal(now.At) && r.From == now.From && id(r) == id(now)
}

// count adds a row to the share of its sender, or with -1 takes it off.
func (b *book) count(r Row, n int64) {
	if b.shares == nil {
		return
	}
	who := r.sender()
	c := b.shares[who]
	if c.rows += n; c.rows <= 0 {
		delete(b.shares, who)
		return
	}
	c.bytes += n * weight(r)
	b.shares[who] = c
}

// page is how many rows are read at once where all are.
const page = 1000

// shareLocked counts what each sender has. It reads all rows once; Append and the cuts keep the numbers from then on.
func (s *Store) shareLocked(talk string, b *book) {
	if b.shares != nil {
		return
	}
	b.shares = map[string]share{}
	for from := b.first; from < b.next; from += page {
		for _, r := range s.readLocked(talk, from, min(from+page, b.next)) {
			b.count(r, 1)
		}
	}
}

// thinLocked frees an eighth of a talk, by a measure: senders lose their oldest rows, down to a level that is the same for
// all. The rows that stay keep their order and move up to the end of the part that was looked at, so that the numbers of
// a talk have no gap. It reports whether a row has gone. It reads up to the last row that goes: that is an eighth of the
// talk and what stays before it, once for as many new rows.
func (s *Store) thinLocked(talk string, b *book, m measure) bool {
	const part = 8
	has := map[string]int64{}
	all := int64(0)
	for who, c := range b.shares {
		has[who] = c.of(m)
		all += has[who]
	}
	over := above(has, max(1, all/part))
	left := len(over)
	var stay []Row
	gone := false
	seq := b.first
	for seq < b.next-1 && left > 0 { // the newest row stays
		rows := s.readLocked(talk, seq, min(seq+page, b.next-1))
		for _, r := range rows {
			if left == 0 {
				break
			}
			seq++
			who := r.sender()
			if over[who] <= 0 {
				stay = append(stay, r)
				continue
			}
			if over[who] -= m.of(r); over[who] <= 0 {
				left--
			}
			b.talk.Bytes -= weight(r)
			b.count(r, -1)
			gone = true
		}
	}
	if !gone {
		return false
	}
	first := seq - uint64(len(stay))
	for old := b.first; old < first; old++ {
		delete(s.pending, key{talk, old})
	}
	for i, r := range stay {
		s.pending[key{talk, first + uint64(i)}] = r
	}
	b.first = first
	s.talks[talk] = true
	return true
}

// above returns by how much each sender is above a level, so that it is free in all; those that are not are left out.
func above(has map[string]int64, free int64) map[string]int64 {
	sorted := slices.SortedFunc(maps.Values(has), func(a, b int64) int { return cmp.Compare(b, a) })
	level, sum := int64(0), int64(0)
	for i, n := range sorted {
		sum += n
		next := int64(0)
		if i+1 < len(sorted) {
			next = sorted[i+1]
		}
		if most := int64(i + 1); sum-most*next >= free {
			level = max(0, (sum-free)/most)
			break
		}
	}
	over := map[string]int64{}
	for who, n := range has {
		if n > level {
			over[who] = n - level
		}
	}
	return over
}
