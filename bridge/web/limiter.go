package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// limiter is a listener that accepts connections only at certain addresses, and limits their number in total and per
// address. A new connection replaces the oldest one that has not used the secret path, from the address with the most
// such connections. If all have used it, the new connection is closed.
type limiter struct {
	net.Listener
	addrs []netip.Addr // this device's addresses
	mu    sync.Mutex
	open  []*limitedConn // oldest first
}

func newLimiter(l net.Listener, addrs []netip.Addr) *limiter {
	return &limiter{Listener: l, addrs: addrs}
}

func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if local, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil && l.answersAt(local.Addr().Unmap()) {
			if lc := l.enter(c); lc != nil {
				return lc, nil
			}
		}
		_ = c.Close()
	}
}

// answersAt reports whether a link answers at an address. The loopback address reaches only this device.
func (l *limiter) answersAt(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(l.addrs, a) }

// enter registers a connection; nil means that there is no slot for it.
func (l *limiter) enter(c net.Conn) *limitedConn {
	lc := &limitedConn{Conn: c, l: l, from: addrOf(c.RemoteAddr().String())}
	l.mu.Lock()
	defer l.mu.Unlock()
	same := func(o *limitedConn) bool { return o.from == lc.from }
	count := 0
	for _, o := range l.open {
		if same(o) {
			count++
		}
	}
	if count >= maxConnsPerAddr && !l.replaceLocked(same) { // guard: web-conns
		return nil
	}
	if len(l.open) >= maxConns && !l.replaceLocked(l.ofBusiestLocked()) { // guard: web-conns-in-all
		return nil
	}
	l.open = append(l.open, lc)
	return lc
}

// ofBusiestLocked selects the connections from the address with the most connections that have not used the secret
// path: a device that floods the link loses its own slots.
func (l *limiter) ofBusiestLocked() func(*limitedConn) bool {
	counts := map[netip.Addr]int{}
	var busiest netip.Addr
	for _, o := range l.open {
		if o.admitted.Load() {
			continue
		}
		counts[o.from]++
		if counts[o.from] > counts[busiest] {
			busiest = o.from
		}
	}
	return func(o *limitedConn) bool { return o.from == busiest }
}

// replaceLocked closes the oldest connection that has not used the secret path, among those that may be closed.
func (l *limiter) replaceLocked(may func(*limitedConn) bool) bool {
	for i, o := range l.open {
		if may(o) && !o.admitted.Load() {
			l.open = slices.Delete(l.open, i, i+1)
			_ = o.Conn.Close()
			return true
		}
	}
	return false
}

func (l *limiter) leave(c *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(o *limitedConn) bool { return o == c })
}

// limitedConn releases its slot when it is closed.
type limitedConn struct {
	net.Conn
	l        *limiter
	from     netip.Addr
	admitted atomic.Bool // a request on it has used the secret path
}

func (c *limitedConn) Close() error {
	c.l.leave(c)
	return c.Conn.Close()
}

type connKey struct{}

// rememberConn stores the connection in the context of its requests.
func rememberConn(ctx context.Context, c net.Conn) context.Context {
	if t, is := c.(*tls.Conn); is {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// admitted records that the connection of a request has used the secret path.
func admitted(r *http.Request) {
	if c, is := r.Context().Value(connKey{}).(*limitedConn); is {
		c.admitted.Store(true)
	}
}

// addrOf returns the address in HOST:PORT. For IPv6 it returns the /64 network, which belongs to one device.
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
