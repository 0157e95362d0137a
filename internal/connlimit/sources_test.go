package connlimit

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestSources_AreLimited checks that many addresses do not fill the memory, and that idle ones make room.
func TestSources_AreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type use struct{ idle bool }
		s := NewSources(func() *use { return &use{} }, func(u *use) bool { return u.idle })
		at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
		for i := range 3 * maxSources {
			s.Of(at(i))
		}
		if len(s.of) > maxSources+1 {
			t.Errorf("%d sources are kept", len(s.of))
		}
		if s.Of(at(2*maxSources)) != s.Of(at(2*maxSources+1)) || s.Of(at(0)) == s.Of(at(1)) {
			t.Error("only sources beyond the limit count as one")
		}
		s.Of(at(0)).idle = true
		s.Of(at(1)).idle = true
		time.Sleep(2 * time.Second)
		if s.Of(at(5*maxSources)) == s.Of(at(2*maxSources)) {
			t.Error("idle sources do not make room")
		}
	})
}
