package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// How many handshakes are begun with others that dial us, in a second and at once: each costs about a millisecond of a
// core. Above proveAddr a dialler has to prove its address first (RFC 9000 section 8.1.2), so that the count of an
// address is that of who has it.
const (
	handshakesPerAddr = 32
	handshakesAtOnce  = 128
	lanesPerAddr      = 128 // each transfer has some
	lanesAtOnce       = 512
	handshakesInAll   = 256
	handshakesBurst   = 512
	proveAddr         = 10
	proveBurst        = 64
	// maxGateAddrs bounds the addresses that are counted one by one.
	maxGateAddrs = 4096
)

var errGate = errors.New("too many handshakes")

// gate bounds handshakes before they cost anything. Its methods may be called concurrently.
type gate struct {
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	all   *rate.Limiter
	prove *rate.Limiter
	addrs map[netip.Addr]*rate.Limiter
	swept time.Time
}

func newGate(perAddr rate.Limit, atOnce int) *gate {
	return &gate{
		rate: perAddr, burst: atOnce,
		all: rate.NewLimiter(handshakesInAll, handshakesBurst), prove: rate.NewLimiter(proveAddr, proveBurst),
		addrs: map[netip.Addr]*rate.Limiter{},
	}
}

// enter tells whether one more handshake may begin.
func (g *gate) enter(from net.Addr) bool {
	a, ok := sourceOf(from)
	if !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.addrs[a]
	if l == nil {
		if now := time.Now(); len(g.addrs) >= maxGateAddrs && now.Sub(g.swept) >= time.Second { // those that have been quiet need not be remembered
			g.swept = now
			for a, l := range g.addrs {
				if l.TokensAt(now) >= float64(g.burst) {
					delete(g.addrs, a)
				}
			}
		}
		if len(g.addrs) >= maxGateAddrs { // guard: gate-table
			return false
		}
		l = rate.NewLimiter(g.rate, g.burst)
		g.addrs[a] = l
	}
	if !l.Allow() { // guard: handshakes-per-address
		return false
	}
	if !g.all.Allow() { // guard: handshakes-in-all
		return false
	}
	return true
}

// sourceOf is who counts as one: an IPv4 address, or a network of IPv6, in which a device has as many as it likes.
func sourceOf(from net.Addr) (netip.Addr, bool) {
	var a netip.Addr
	switch from := from.(type) {
	case *net.UDPAddr:
		a = from.AddrPort().Addr()
	case *net.TCPAddr:
		a = from.AddrPort().Addr()
	default:
		return a, false
	}
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		p, err := a.Prefix(64)
		return p.Addr(), err == nil
	}
	return a, a.IsValid()
}

// mustProve tells whether the next dialler has to prove its address.
func (g *gate) mustProve(net.Addr) bool { return !g.prove.Allow() }

// guarded is c for a listener behind the gate.
func (g *gate) guarded(c *quic.Config) *quic.Config {
	inner := c.Clone()
	c.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		if !g.enter(info.RemoteAddr) {
			return nil, errGate
		}
		return inner, nil
	}
	return c
}
