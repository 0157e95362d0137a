package history

import (
	"cmp"
	"maps"
	"slices"
)

// If a talk with several senders is too long, the senders with the most rows lose rows: a sender that floods the talk
// must not displace the messages of others.

// share is the part of a talk that one sender has.
type share struct{ rows, bytes int64 }

// measure selects the size of a talk that is limited.
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

// sender returns the sender of a row.
func (r Row) sender() string {
	if r.Own {
		return "own"
	}
	return cmp.Or(r.From, r.Who)
}

// peers counts the senders other than this device. Rows without a sender, such as notices, do not count.
func (b *book) peers() int {
	n := len(b.shares)
	for _, who := range []string{"own", ""} {
		if _, has := b.shares[who]; has {
			n--
		}
	}
	return n
}

// is reports whether a row is an earlier state of another row.
func (r Row) is(now Row) bool {
	id := func(r Row) string {
		if r.File == nil {
			return ""
		}
		return r.File.ID
	}
	return r.Kind == now.Kind && r.Own == now.Own && r.At.Equal(now.At) && r.From == now.From && id(r) == id(now)
}

// count adds a row to the share of its sender, or subtracts it with -1.
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

// page is how many rows are read at a time when all are read.
const page = 1000

// shareLocked computes the share of each sender. It reads all rows once; after that, Append and the cuts keep it
// current.
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

// thinLocked frees an eighth of a talk, by a measure: senders lose their oldest rows, down to the same level for all.
// The remaining rows keep their order and move to the end of the part that was read, so that the numbers of a talk have
// no gap. It reads only up to the last row that it removes, and runs again only after as many new rows. It reports
// whether a row was removed.
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

// above returns how far each sender is above a level that is chosen so that free is freed in total. It omits senders
// below the level.
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
