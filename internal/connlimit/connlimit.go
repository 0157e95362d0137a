// Package connlimit limits the open connections of a server, in total and from each address, so that a device that
// opens many uses up only its own slots.
package connlimit

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// Listener is a listener that holds no more connections than its limits. A new connection replaces the oldest one that
// is not admitted, from the address with the most of them; if all are admitted, the new one is closed.
type Listener struct {
	net.Listener
	// Answers reports whether the server answers at one of this device's addresses. Nil means that it answers at all of
	// them.
	Answers func(local netip.Addr) bool
	OfOne   int // connections from one address
	All     int // connections in total

	mu   sync.Mutex
	open []*conn // oldest first
}

// Accept returns the next connection within the limits.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		local, err := netip.ParseAddrPort(c.LocalAddr().String())
		if err == nil && (l.Answers == nil || l.Answers(local.Addr().Unmap())) {
			if lc := l.enter(c); lc != nil {
				return lc, nil
			}
		}
		_ = c.Close()
	}
}

// enter makes room for a connection. It returns nil if there is none.
func (l *Listener) enter(c net.Conn) *conn {
	lc := &conn{Conn: c, l: l, from: Source(c.RemoteAddr().String())}
	l.mu.Lock()
	defer l.mu.Unlock()
	same := func(o *conn) bool { return o.from == lc.from }
	count := 0
	for _, o := range l.open {
		if same(o) {
			count++
		}
	}
	if count >= l.OfOne && !l.replaceLocked(same) { // guard: conns-of-one
		return nil
	}
	if len(l.open) >= l.All && !l.replaceLocked(l.ofBusiestLocked()) { // guard: conns-in-total
		return nil
	}
	l.open = append(l.open, lc)
	return lc
}

// ofBusiestLocked selects the connections from the address with the most that are not admitted.
func (l *Listener) ofBusiestLocked() func(*conn) bool {
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
	return func(o *conn) bool { return o.from == busiest }
}

// replaceLocked closes the oldest connection that is not admitted, of those that may be closed.
func (l *Listener) replaceLocked(may func(*conn) bool) bool {
	for i, o := range l.open {
		if may(o) && !o.admitted.Load() {
			l.open = slices.Delete(l.open, i, i+1)
			_ = o.Conn.Close()
			return true
		}
	}
	return false
}

func (l *Listener) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(o *conn) bool { return o == c })
}

// conn is a connection that frees its slot when it is closed.
type conn struct {
	net.Conn
	l        *Listener
	from     netip.Addr
	admitted atomic.Bool
}

// Close closes the connection. It is idempotent.
func (c *conn) Close() error {
	c.l.leave(c)
	return c.Conn.Close()
}

// ReadFrom implements io.ReaderFrom, so that net/http passes files to the connection without copying them.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

type connKey struct{}

// Context is http.Server.ConnContext: it makes the connection known to its requests, for Admit.
func Context(ctx context.Context, c net.Conn) context.Context {
	if t, is := c.(*tls.Conn); is {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// Admit marks the connection of a request, so that new connections do not replace it.
func Admit(r *http.Request) {
	if c, is := r.Context().Value(connKey{}).(*conn); is {
		c.admitted.Store(true)
	}
}

// Unacknowledged returns how many bytes that were written to the connection of a request the other device has not
// acknowledged, and false if the connection is closed. On systems that do not report it, the number is 0.
func Unacknowledged(r *http.Request) (n int64, open bool) {
	c, is := r.Context().Value(connKey{}).(*conn)
	if !is {
		return 0, true
	}
	s, is := c.Conn.(syscall.Conn)
	if !is {
		return 0, true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) { n = int64(unacknowledged(fd)) })
	return n, err == nil
}

// Source returns the address in HOST:PORT that limits apply to: an IPv6 address stands for its /64 network, which one
// device owns.
func Source(hostport string) netip.Addr {
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	return SourceOf(ap.Addr())
}

// SourceOf is Source for an address.
func SourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(64); err == nil {
			return p.Masked().Addr()
		}
	}
	return a
}
