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

// The number of incoming handshakes that may begin, per second and in a burst: each costs about a millisecond of one
// core. Above proveAddr a dialler has to prove its address first (RFC 9000 section 8.1.2), so that no other host can
// use up an address's share.
const (
	handshakesPerAddr = 32
	handshakesAtOnce  = 128
	lanesPerAddr      = 128 // each transfer has several
	lanesAtOnce       = 512
	handshakesInAll   = 256
	handshakesBurst   = 512
	proveAddr         = 10
	proveBurst        = 64
	// maxGateAddrs limits the number of addresses that are counted individually.
	maxGateAddrs = 4096
)

var errGate = errors.New("too many handshakes")

// A source that has not dialled for a while can begin a few handshakes that are counted separately, so that it gets in
// however many handshakes others begin.
const (
	freshEvery  = 10 * time.Second
	freshBurst  = 4
	freshInAll  = 64
	freshAtOnce = 256
)

// gate limits handshakes before they cost anything. Its methods may be called concurrently.
type gate struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	all     *rate.Limiter
	fresh   *rate.Limiter
	prove   *rate.Limiter
	sources map[netip.Addr]*source
	swept   time.Time
}

// source counts the recent handshakes of one source.
type source struct{ all, fresh *rate.Limiter }

func newGate(perSource rate.Limit, atOnce int) *gate {
	return &gate{
		rate: perSource, burst: atOnce,
		all: rate.NewLimiter(handshakesInAll, handshakesBurst), fresh: rate.NewLimiter(freshInAll, freshAtOnce),
		prove: rate.NewLimiter(proveAddr, proveBurst), sources: map[netip.Addr]*source{},
	}
}

// enter reports whether another handshake may begin.
func (g *gate) enter(from net.Addr) bool {
	a, ok := addrOf(from)
	if !ok {
		return false
	}
	a = SourceOf(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[a]
	if s == nil {
		if now := time.Now(); len(g.sources) >= maxGateAddrs && now.Sub(g.swept) >= time.Second { // forget quiet sources
			g.swept = now
			for a, s := range g.sources {
				if s.all.TokensAt(now) >= float64(g.burst) && s.fresh.TokensAt(now) >= freshBurst {
					delete(g.sources, a)
				}
			}
		}
		if len(g.sources) >= maxGateAddrs { // guard: gate-table
			return false
		}
		s = &source{rate.NewLimiter(g.rate, g.burst), rate.NewLimiter(rate.Every(freshEvery), freshBurst)}
		g.sources[a] = s
	}
	if !s.all.Allow() { // guard: handshakes-per-address
		return false
	}
	if s.fresh.Allow() && g.fresh.Allow() { // guard: handshakes-fresh
		return true
	}
	if !g.all.Allow() { // guard: handshakes-in-all
		return false
	}
	return true
}

func addrOf(from net.Addr) (netip.Addr, bool) {
	var a netip.Addr
	switch from := from.(type) {
	case *net.UDPAddr:
		a = from.AddrPort().Addr()
	case *net.TCPAddr:
		a = from.AddrPort().Addr()
	}
	return a, a.IsValid()
}

// SourceOf returns the unit by which strangers are counted: an IPv4 address; an IPv6 /64 network, in which a device can
// have as many addresses as it likes; all link-local addresses together; or this machine, which has 2^24 addresses of
// its own.
func SourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return netip.IPv6Loopback()
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// mustProve reports whether the next dialler has to prove its address.
func (g *gate) mustProve(net.Addr) bool { return !g.prove.Allow() }

// guarded returns c for a listener behind the gate.
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
