package connlimit

import (
	"maps"
	"net/netip"
	"time"
)

// maxSources is how many sources a Sources keeps. All further ones count as one.
const maxSources = 1000

// Sources keeps something for each source of connections; see SourceOf. It is not safe for concurrent use: its owner
// holds a lock.
type Sources[T any] struct {
	new    func() *T
	isIdle func(*T) bool
	of     map[netip.Addr]*T
	swept  time.Time // when idle sources were last forgotten
}

// NewSources returns a Sources. It forgets a source for which isIdle returns true when it needs room.
func NewSources[T any](newOne func() *T, isIdle func(*T) bool) *Sources[T] {
	return &Sources[T]{new: newOne, isIdle: isIdle, of: map[netip.Addr]*T{}}
}

// Of returns what belongs to the source of an address.
func (s *Sources[T]) Of(addr netip.Addr) *T {
	from := SourceOf(addr)
	if one := s.of[from]; one != nil {
		return one
	}
	if len(s.of) >= maxSources && time.Since(s.swept) >= time.Second {
		s.swept = time.Now()
		maps.DeleteFunc(s.of, func(_ netip.Addr, one *T) bool { return s.isIdle(one) })
	}
	if len(s.of) >= maxSources { // guard: sources-counted
		from = netip.Addr{}
		if one := s.of[from]; one != nil {
			return one
		}
	}
	one := s.new()
	s.of[from] = one
	return one
}
