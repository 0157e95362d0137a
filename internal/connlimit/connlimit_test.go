package connlimit

import (
	"fmt"
	"net"
	"slices"
	"testing"
)

// fromAddr is a connection from an address.
type fromAddr struct {
	net.Conn
	addr string
}

func (f fromAddr) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.addr)
	return a
}

func connFrom(addr string) net.Conn {
	c, _ := net.Pipe()
	return fromAddr{c, addr}
}

// TestListener_LimitsAllConnections checks the total limit for all addresses.
func TestListener_LimitsAllConnections(t *testing.T) {
	l := &Listener{OfOne: 16, All: 64}
	open := 0
	for i := range 2 * l.All {
		if c := l.enter(connFrom(fmt.Sprintf("10.0.0.%d:1", i))); c != nil {
			c.admitted.Store(true)
			open++
		}
	}
	if open != l.All {
		t.Errorf("%d connections are open", open)
	}
}

// TestListener_LimitsOneAddress checks the limit for one address, and that of one IPv6 network.
func TestListener_LimitsOneAddress(t *testing.T) {
	l := &Listener{OfOne: 16, All: 64}
	for _, pattern := range []string{"10.0.0.1:%d", "[fd00::%x]:1"} {
		open := 0
		for i := range 40 {
			if c := l.enter(connFrom(fmt.Sprintf(pattern, i+1))); c != nil {
				c.admitted.Store(true)
				open++
			}
		}
		if open != l.OfOne {
			t.Errorf("%s: %d connections are open", pattern, open)
		}
	}
}

// TestListener_FloodTakesItsOwnSlots checks that many new connections from one address replace only its own.
func TestListener_FloodTakesItsOwnSlots(t *testing.T) {
	l := &Listener{OfOne: 16, All: 64}
	honest := l.enter(connFrom("10.0.0.200:1"))
	for i := range 20 * l.All {
		l.enter(connFrom(fmt.Sprintf("10.0.0.%d:1", 1+i%5)))
	}
	if !slices.Contains(l.open, honest) {
		t.Error("a device lost its connection")
	}
	if len(l.open) > l.All {
		t.Errorf("%d connections are open", len(l.open))
	}
}
