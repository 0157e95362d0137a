package localsend

import (
	"net"
	"net/netip"
	"sync"
)

// Connections that are open at once, of one address and of all.
const (
	maxConnsOfOne = 16
	maxConns      = 128
)

// limitedListener closes connections beyond the limits at once.
type limitedListener struct {
	net.Listener

	mu   sync.Mutex
	open map[netip.Addr]int
	all  int
}

func limitConns(l net.Listener) *limitedListener {
	return &limitedListener{Listener: l, open: map[netip.Addr]int{}}
}

// Accept returns the next connection within the limits.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := netip.Addr{}
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = networkOf(a.AddrPort().Addr())
		}
		if l.take(from) {
			return &limitedConn{Conn: c, giveBack: sync.OnceFunc(func() { l.giveBack(from) })}, nil
		}
		_ = c.Close()
	}
}

// networkOf returns an address, or the /64 network of an IPv6 address, which one device owns.
func networkOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if p, err := a.Prefix(64); a.Is6() && !a.IsLoopback() && err == nil {
		return p.Masked().Addr()
	}
	return a
}

func (l *limitedListener) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= maxConnsOfOne || l.all >= maxConns { // guard: localsend-conns
		return false
	}
	l.open[from]++
	l.all++
	return true
}

func (l *limitedListener) giveBack(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	l.open[from]--
	if l.open[from] == 0 {
		delete(l.open, from)
	}
}

// limitedConn frees its slot when it is closed.
type limitedConn struct {
	net.Conn
	giveBack func()
}

// Close closes the connection. It is idempotent.
func (c *limitedConn) Close() error {
	defer c.giveBack()
	return c.Conn.Close()
}
