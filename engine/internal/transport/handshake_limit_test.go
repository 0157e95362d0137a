package transport

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func udp(s string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(s), 1))
}

// TestGate_LimitsEachAddressAndTheTotal: one address gets its share and no more, an IPv6 network counts as one, and
// other addresses are accepted in the meantime, until the total is reached; the table of addresses stays bounded.
func TestGate_LimitsEachAddressAndTheTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enter := func(g *gate, from func(int) string, n int) (in int) {
			for i := range n {
				if g.enter(udp(from(i))) {
					in++
				}
			}
			return in
		}
		g := newGate(handshakesPerAddr, handshakesAtOnce)
		one := func(int) string { return "192.168.1.9" }
		if n := enter(g, one, 1000); n != handshakesAtOnce {
			t.Errorf("one address begins %d handshakes at once", n)
		}
		time.Sleep(time.Second)
		if n := enter(g, one, 1000); n != handshakesPerAddr {
			t.Errorf("and %d a second later", n)
		}
		if n := enter(g, func(i int) string { return netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}).String() }, 200); n != handshakesAtOnce {
			t.Errorf("a network of IPv6 begins %d", n)
		}
		if n := enter(g, func(i int) string { return netip.AddrFrom4([4]byte{127, 0, byte(i), 2}).String() }, 200); n != handshakesAtOnce {
			t.Errorf("this machine begins %d", n)
		}
		g = newGate(handshakesPerAddr, handshakesAtOnce)
		many := func(i int) string { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String() }
		if n := enter(g, many, 2000); n != handshakesBurst+freshAtOnce {
			t.Errorf("all together begin %d", n)
		}
		for range 10 {
			time.Sleep(time.Second)
			enter(g, many, 3000)
		}
		g = newGate(handshakesPerAddr, handshakesAtOnce)
		few := func(i int) string { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 50)}).String() }
		for range 20 {
			time.Sleep(time.Second)
			enter(g, few, 3000)
		}
		if n := enter(g, one, 3); n != 3 {
			t.Errorf("one that dials seldom begins %d of 3 handshakes while fifty addresses dial all the time", n)
		}
		g = newGate(handshakesPerAddr, handshakesAtOnce)
		enter(g, many, 3*maxGateAddrs)
		if n := len(g.sources); n > maxGateAddrs {
			t.Errorf("%d addresses are counted", n)
		}
		for range proveBurst {
			if g.mustProve(nil) {
				t.Fatal("an address has to be proven though few dial")
			}
		}
		if !g.mustProve(nil) {
			t.Error("no address has to be proven though many dial")
		}
	})
}
