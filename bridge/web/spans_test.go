package web

import (
	"math/rand/v2"
	"testing"
)

// TestSpans_CoverWhatWasAdded compares random parts with a set of bytes.
func TestSpans_CoverWhatWasAdded(t *testing.T) {
	for range 2000 {
		const size = 20
		var has [size]bool
		var s spans
		for range rand.IntN(12) {
			from := rand.IntN(size)
			to := from + rand.IntN(size-from+1)
			s = s.with(int64(from), int64(to))
			for i := from; i < to; i++ {
				has[i] = true
			}
		}
		whole := has == [size]bool(makeTrue(size))
		if s.cover(size) != whole {
			t.Fatalf("%v: %v covers %v", has, s, s.cover(size))
		}
		for i := range s {
			if s[i].from >= s[i].to || i > 0 && s[i].from <= s[i-1].to {
				t.Fatalf("%v", s)
			}
		}
	}
}

func makeTrue(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

// TestSpans_AreLimited checks that a visitor that requests single bytes cannot fill the memory.
func TestSpans_AreLimited(t *testing.T) {
	var s spans
	for i := range int64(10 * maxSpans) {
		s = s.with(2*i, 2*i+1)
	}
	if len(s) != maxSpans {
		t.Errorf("%d spans", len(s))
	}
	if s = s.with(0, 20*maxSpans); !s.cover(20 * maxSpans) {
		t.Errorf("%v", s)
	}
}
