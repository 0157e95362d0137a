package web

import "slices"

// maxSpans limits the parts of one download that are counted. Browsers load a file in a few parts at once.
const maxSpans = 64

// spans are parts of a file that do not touch each other, in order.
type spans []span

// span is the part of a file from one offset up to, not including, another.
type span struct{ from, to int64 }

// with returns the spans with another part. A part that would exceed maxSpans is not counted.
func (s spans) with(from, to int64) spans {
	if to <= from {
		return s
	}
	first := 0
	for first < len(s) && s[first].to < from {
		first++
	}
	last := first
	for last < len(s) && s[last].from <= to {
		from, to = min(from, s[last].from), max(to, s[last].to)
		last++
	}
	if first == last && len(s) >= maxSpans { // guard: web-spans
		return s
	}
	return slices.Replace(s, first, last, span{from, to})
}

// cover reports whether the spans contain a whole file of that size.
func (s spans) cover(size int64) bool {
	return size == 0 || len(s) == 1 && s[0].from == 0 && s[0].to >= size
}
