package connlimit

import (
	"context"
	"crypto/tls"
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
)

// handshakes limits the TLS handshakes of a server.
type handshakes struct {
	mu sync.Mutex
	of *Sources[rate.Limiter]
}

// LimitHandshakes makes a server with this configuration delay handshakes of an address that requests too many. The
// server's time limit for a handshake ends those that wait too long.
func LimitHandshakes(c *tls.Config) *tls.Config {
	limits := &handshakes{of: NewSources(
		func() *rate.Limiter { return rate.NewLimiter(handshakeRate, handshakeBurst) },
		func(l *rate.Limiter) bool { return l.Tokens() >= handshakeBurst })}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		turn := limits.reserve(Source(hello.Conn.RemoteAddr().String()))
		if turn.Delay() > 0 { // guard: tls-handshakes
			return nil, await(hello.Context(), turn)
		}
		return nil, nil
	}
	return c
}

// reserve counts a handshake.
func (h *handshakes) reserve(from netip.Addr) *rate.Reservation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of.Of(from).Reserve()
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
