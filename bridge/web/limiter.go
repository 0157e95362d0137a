package web

import (
	"net"
	"net/netip"
	"sync"
)

// limiter is a listener that holds no more connections than the limits allow, in total and per address; others are
// closed at once.
type limiter struct {
	net.Listener
	mu    sync.Mutex
	total int
	of    map[netip.Addr]int
}

func newLimiter(l net.Listener) *limiter { return &limiter{Listener: l, of: map[netip.Addr]int{}} }

func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addrOf(c.RemoteAddr().String())
		if l.enter(addr) {
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		_ = c.Close()
	}
}

func (l *limiter) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxConns || l.of[addr] >= maxConnsPerAddr { // guard: web-conns
		return false
	}
	l.total++
	l.of[addr]++
	return true
}

func (l *limiter) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	l.of[addr]--
	if l.of[addr] == 0 {
		delete(l.of, addr)
	}
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// addrOf returns the address in HOST:PORT; an IPv6 address stands for its /64 network, which one device owns.
func addrOf(hostport string) netip.Addr {
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(64); err == nil {
			return p.Masked().Addr()
		}
	}
	return a
}
