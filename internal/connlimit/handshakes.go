package connlimit

import (
	"context"
	"crypto/tls"
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Each address may cause handshakeBurst TLS handshakes at once, and handshakeRate per second after that. More are
// delayed. A handshake takes about a millisecond of a core.
const (
	handshakeRate  = 50
	handshakeBurst = 100
	// maxSources is how many addresses are counted separately. All further ones count as one.
	maxSources = 1000
)

// handshakes limits the TLS handshakes of a server.
type handshakes struct {
	mu sync.Mutex
	of map[netip.Addr]*rate.Limiter
}

// LimitHandshakes makes a server with this configuration delay handshakes of an address that requests too many. The
// server's time limit for a handshake ends those that wait too long.
func LimitHandshakes(c *tls.Config) *tls.Config {
	limits := &handshakes{of: map[netip.Addr]*rate.Limiter{}}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		turn := limits.reserve(Source(hello.Conn.RemoteAddr().String()))
		if turn.Delay() > 0 { // guard: tls-handshakes
			return nil, await(hello.Context(), turn)
		}
		return nil, nil
	}
	return c
}

// await waits until a reservation is due. Its slot becomes free again if the connection ends before.
func await(ctx context.Context, turn *rate.Reservation) error {
	timer := time.NewTimer(turn.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return ctx.Err()
	}
}

// reserve counts a handshake.
func (h *handshakes) reserve(from netip.Addr) *rate.Reservation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.limitLocked(from).Reserve()
}

func (h *handshakes) limitLocked(from netip.Addr) *rate.Limiter {
	if l := h.of[from]; l != nil {
		return l
	}
	if len(h.of) >= maxSources {
		maps.DeleteFunc(h.of, func(_ netip.Addr, l *rate.Limiter) bool { return l.Tokens() >= handshakeBurst })
	}
	if len(h.of) >= maxSources { // guard: tls-handshake-sources
		from = netip.Addr{}
		if l := h.of[from]; l != nil {
			return l
		}
	}
	l := rate.NewLimiter(handshakeRate, handshakeBurst)
	h.of[from] = l
	return l
}
