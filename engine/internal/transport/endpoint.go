// Package transport owns the UDP socket and every QUIC connection on it: who may connect (TLS 1.3 with both
// certificates, checked on each handshake), when a connection is up (after Hello and HelloAck), how long a peer may
// stay silent, and how the end of a connection is reported.
//
// Two kinds of connection are distinguished by ALPN before any data is sent: a session connection carries control,
// messages and datagrams; a lane carries the bytes of one transfer, so that bulk data never delays a message. Lanes
// have their own sockets, and run over QUIC or over TLS and TCP (lane.go, lane_listener.go).
package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"github.com/quic-go/quic-go"
)

// DefaultPort is the UDP port that an engine tries first, so that firewall rules and typed addresses can name it. It
// lies below the range from which systems assign ports.
const DefaultPort = 17717

// Time limits. A peer that stops responding is detected after Idle, and given up after another DialTimeout: after
// 10.5 s, or at worst 13 s if the last keep-alive was sent just before.
const (
	KeepAlive    = 2500 * time.Millisecond
	Idle         = 7500 * time.Millisecond
	DialTimeout  = 3 * time.Second
	HelloTimeout = 5 * time.Second
	writeTimeout = 15 * time.Second
)

// Kind is the purpose of a connection.
type Kind string

// The two kinds are the two ALPN names.
const (
	Session Kind = "multipeer/1"
	Lane    Kind = "multipeer-lane/1"
)

// Config configures an endpoint.
type Config struct {
	Identity *identity.Identity
	// Conn is the socket to use instead of opening one. Close leaves it open.
	Conn net.PacketConn
	// Port is the UDP port; 0 tries DefaultPort and falls back to any free one.
	Port int
	// Check returns why a key may not connect; nil admits it. It runs in each handshake and may be called concurrently.
	// dialled means that we began the handshake.
	Check func(id identity.PeerID, certificate []byte, dialled bool) error
	// OwnKey, if set, is called when another device has proven our own key. It may be called concurrently.
	OwnKey func(at netip.AddrPort)
	// OwnConns is shared by the program's endpoints with this identity. nil means that there is only one.
	OwnConns *OwnConns
	Log      *slog.Logger
}

// Endpoint is one UDP socket that listens and dials. Its methods may be called concurrently.
type Endpoint struct {
	cfg      Config
	socket   net.PacketConn
	own      bool
	tr       *quic.Transport
	listener *quic.Listener
	gate     *gate // for incoming handshakes
	laneGate *gate // the same for lanes on their own sockets
	ownHeld  *ownHolder
}

// Listen opens the endpoint. The caller must close it.
func Listen(cfg Config) (*Endpoint, error) {
	e := &Endpoint{cfg: cfg, socket: cfg.Conn, gate: newGate(handshakesPerAddr, handshakesAtOnce), laneGate: newGate(lanesPerAddr, lanesAtOnce), ownHeld: newOwnHolder(cfg.OwnConns)}
	if e.socket == nil {
		c, err := openSocket(cfg.Port, cfg.Log)
		if err != nil {
			return nil, err
		}
		e.socket, e.own = c, true
	}
	e.tr = &quic.Transport{Conn: e.socket, StatelessResetKey: resetKey(cfg.Identity, "session"), VerifySourceAddress: e.gate.mustProve}
	l, err := e.tr.Listen(e.tlsConfig(AnyKey, false, nil, Session, Lane), e.gate.guarded(quicConfig()))
	if err != nil {
		if e.own {
			_ = e.socket.Close()
		}
		return nil, fmt.Errorf("listening: %w", err)
	}
	e.listener = l
	return e, nil
}

func openSocket(port int, log *slog.Logger) (net.PacketConn, error) {
	want := port
	if want == 0 {
		want = DefaultPort
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{Port: want})
	if err == nil {
		return c, nil
	}
	if port != 0 {
		return nil, fmt.Errorf("opening UDP port %d: %w; choose another port, or 0 for any", port, err)
	}
	log.Info("default port is taken, using another", "port", DefaultPort)
	if c, err = net.ListenUDP("udp", nil); err != nil {
		return nil, fmt.Errorf("opening a UDP port: %w", err)
	}
	return c, nil
}

// resetKey is derived from the identity, so that an engine that restarts after a crash can signal its peers at once
// that the old connections are gone (RFC 9000 section 10.3). Each socket has its own key: the answer of one must not
// end connections of another (RFC 9000 section 21.11).
func resetKey(id *identity.Identity, socket string) *quic.StatelessResetKey {
	seed := id.Cert.PrivateKey.(ed25519.PrivateKey).Seed()
	b, err := hkdf.Key(sha256.New, seed, nil, "multipeer stateless reset, "+socket, 32)
	if err != nil {
		panic(err) // SHA-256 can always provide 32 bytes
	}
	k := quic.StatelessResetKey(b)
	return &k
}

// Streams and their windows. A stream whose reader has stopped holds at most streamWindow bytes of the connection's
// window, which has room for all streams: so it blocks its own writer and no other stream, least of all the control
// stream. The window also limits the queue that a file builds up on the path: about 4 ms at 1 Gbit/s, while a window
// of 1 MiB fills whatever queue a switch has.
const (
	// MaxStreams is how many streams the other side may have open: the control stream, and those of the programs.
	MaxStreams   = 40
	streamWindow = 512 << 10
	firstWindow  = 16 << 10                      // until the reader has shown that it reads: see peers.unread for what a byte can cost
	connWindow   = 2 * MaxStreams * streamWindow // streams of either side carry bytes to us
)

// packetSize is the UDP payload size of the first packets: every internet path carries that (RFC 9000 section 14).
// The library's larger default needs an MTU of 1308, which a VPN or a tunnel on the path may not have. Path MTU
// discovery finds out whether larger packets arrive (RFC 8899).
const packetSize = 1200

func quicConfig() *quic.Config {
	return &quic.Config{
		InitialPacketSize:              packetSize,
		HandshakeIdleTimeout:           DialTimeout,
		MaxIdleTimeout:                 Idle,
		KeepAlivePeriod:                KeepAlive,
		MaxIncomingStreams:             MaxStreams,
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     firstWindow,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindow,
		EnableDatagrams:                true,
	}
}

// Pin defines which key the other side of a connection must have. The zero value accepts none.
type Pin struct {
	id identity.PeerID
	ok func(identity.PeerID) bool // replaces id if it is not nil
}

// AnyKey accepts every key, for an address whose device is not known yet.
var AnyKey = KeyThat(func(identity.PeerID) bool { return true })

// KeyOf accepts the key of one peer.
func KeyOf(id identity.PeerID) Pin { return Pin{id: id} }

// KeyThat accepts the keys of peers for which ok returns true. A device whose key is refused does not learn ours: a
// client checks the server's certificate before it sends its own (RFC 8446 section 4.4).
func KeyThat(ok func(identity.PeerID) bool) Pin { return Pin{ok: ok} }

func (p Pin) accepts(id identity.PeerID) bool {
	if p.ok != nil {
		return p.ok(id)
	}
	return id == p.id && !id.Reserved()
}

// tlsConfig pins a key instead of verifying a chain: want defines which key is accepted. refused, if not nil, is called
// with our reason for refusing the other side, because QUIC carries only an alert.
func (e *Endpoint) tlsConfig(want Pin, dialled bool, refused func(error), kinds ...Kind) *tls.Config {
	c := &tls.Config{
		Certificates:           []tls.Certificate{e.cfg.Identity.Cert},
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // the pin in VerifyConnection replaces the chain
		SessionTicketsDisabled: true, // a resumed handshake could outlive a changed decision
		VerifyConnection: func(s tls.ConnectionState) error {
			err := e.verify(s, want, dialled)
			if err != nil && refused != nil {
				refused(err)
			}
			return err
		},
	}
	for _, k := range kinds {
		c.NextProtos = append(c.NextProtos, string(k))
	}
	return c
}

func (e *Endpoint) verify(s tls.ConnectionState, want Pin, dialled bool) error {
	id, err := peerOf(s)
	switch {
	case err != nil:
		return err
	case !want.accepts(id): // guard: pinned-key
		return wire.ErrIdentity
	case id == e.cfg.Identity.ID: // a certificate is public, so this is refused only once the key is proven
		return nil
	case e.cfg.Check != nil:
		return e.cfg.Check(id, s.PeerCertificates[0].Raw, dialled)
	}
	return nil
}

func peerOf(s tls.ConnectionState) (identity.PeerID, error) {
	if n := len(s.PeerCertificates); n != 1 { // guard: one-certificate
		return identity.PeerID{}, fmt.Errorf("%d certificates, want 1", n)
	}
	_, id, err := identity.ParseCert(s.PeerCertificates[0].Raw)
	return id, err
}

// Port returns the UDP port of the socket.
func (e *Endpoint) Port() int {
	if a, ok := e.socket.LocalAddr().(*net.UDPAddr); ok {
		return a.Port
	}
	return 0
}

// Accept waits for the next connection. It is not up yet: AwaitHello must follow.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	q, err := e.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	return e.newConn(q, false)
}

// Dial opens one connection to addr. The peer's key must match want. The other side may still refuse ours: the
// connection is up only after Greet.
func (e *Endpoint) Dial(ctx context.Context, addr netip.AddrPort, want Pin, kind Kind) (*Conn, error) {
	return e.dialFrom(e.tr)(ctx, addr, want, kind)
}

// dialFrom is Dial from another socket.
func (e *Endpoint) dialFrom(tr *quic.Transport) func(context.Context, netip.AddrPort, Pin, Kind) (*Conn, error) {
	return func(ctx context.Context, addr netip.AddrPort, want Pin, kind Kind) (*Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, DialTimeout)
		defer cancel()
		refused := make(chan error, 1)
		report := func(err error) {
			select {
			case refused <- err:
			default:
			}
		}
		cfg := quicConfig()
		if kind == Lane {
			cfg = laneConfig()
		}
		q, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(addr), e.tlsConfig(want, true, report, kind), cfg)
		if err != nil {
			select {
			case err = <-refused:
			default:
				err = dialError(err)
			}
			return nil, fmt.Errorf("dialling %s: %w", addr, err)
		}
		return e.newConn(q, true)
	}
}

func dialError(err error) error {
	var idle *quic.HandshakeTimeoutError
	var silent *quic.IdleTimeoutError
	if errors.As(err, &idle) || errors.As(err, &silent) || errors.Is(err, context.DeadlineExceeded) {
		return wire.ErrTimeout
	}
	return Cause(err)
}

// DialAny dials all addresses, a tenth of a second apart, and keeps the first that answers within the time limit.
func (e *Endpoint) DialAny(ctx context.Context, addrs []netip.AddrPort, want Pin, kind Kind, within time.Duration) (*Conn, error) {
	if len(addrs) == 0 {
		return nil, errors.New("dialling: no address known")
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type result struct {
		c   *Conn
		err error
	}
	results := make(chan result, len(addrs))
	for i, a := range addrs {
		go func() {
			select {
			case <-time.After(time.Duration(i) * 100 * time.Millisecond):
			case <-ctx.Done():
				results <- result{err: ctx.Err()}
				return
			}
			c, err := e.Dial(ctx, a, want, kind)
			results <- result{c, err}
		}()
	}
	var won *Conn
	var failed error
	for range addrs {
		switch r := <-results; {
		case r.err != nil:
			if failed == nil || errors.Is(failed, context.Canceled) {
				failed = r.err
			}
		case won == nil:
			won = r.c
			cancel() // the slower attempts end before the other side has to choose between them
		default:
			r.c.Close(wire.Duplicate)
		}
	}
	if won == nil {
		return nil, failed
	}
	return won, nil
}

// Close ends every connection and closes the socket.
func (e *Endpoint) Close() error {
	e.ownHeld.close()
	err := e.listener.Close()
	err = errors.Join(err, e.tr.Close())
	if e.own {
		err = errors.Join(err, e.socket.Close())
	}
	return err
}
