// Package localsend reaches devices with LocalSend, as a gateway.Gateway. It speaks version 2 of the LocalSend protocol
// as the apps 1.15 to 1.18 do: UDP multicast for discovery, and HTTPS with a certificate on both sides, or plain HTTP
// if a device has turned encryption off. It uses a separate key, so that a device cannot be tracked from one protocol
// to the other.
package localsend

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"multipeer/engine/gateway"
	"multipeer/internal/connlimit"
)

// Name is Peer.Via of devices with LocalSend.
const Name = "LocalSend"

// DefaultPort is the port of LocalSend, for UDP and TCP.
const DefaultPort = 53317

// The limits on open connections, from one address and in total.
const (
	maxConnsOfOne = 16
	maxConns      = 128
)

// portInterval is how often a gateway tries to open LocalSend's port while it uses another.
const portInterval = 2 * time.Second

// Options configure a Gateway. The zero value of every field is usable.
type Options struct {
	// Dir is the folder that holds the key, by which phones recognize this device. Empty means a new key each time.
	Dir string
	// PIN is required of every device that sends; empty means none. It consists of letters and digits: LocalSend does
	// not percent-encode other characters.
	PIN string
	// GivePIN is sent to devices that require a PIN when this device sends to them. Only devices that have proven a key
	// get it.
	GivePIN string
	// Interfaces names the network interfaces to use. Empty means all that are up.
	Interfaces []string
	// Log receives log records for developers.
	Log *slog.Logger

	loopback bool          // for tests: only 127.0.0.1, and no multicast
	port     int           // the port with loopback; any if 0
	stalls   time.Duration // stallsFor; tests shorten it
}

// Gateway is a gateway.Gateway.
type Gateway struct {
	opts        Options
	log         *slog.Logger
	certificate tls.Certificate
	fingerprint string

	devices  *devices
	sessions *sessions
	sent     *outgoing
	pins     pinGuesses
	typed    *addresses

	changed chan struct{}     // signals that self has changed
	mu      sync.Mutex        // guards what follows, and opts.PIN
	given   map[string]string // PINs by the keys of devices
	self    gateway.Self
	off     bool
	port    int // of the server; 0 while it does not listen
}

// New returns a gateway. The error comes from Options.Dir, or reports an invalid PIN.
func New(opts Options) (*Gateway, error) {
	if err := errors.Join(checkPIN(opts.PIN), checkPIN(opts.GivePIN)); err != nil {
		return nil, err
	}
	certificate, err := loadCertificate(opts.Dir)
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.stalls == 0 {
		opts.stalls = stallsFor
	}
	g := &Gateway{
		opts: opts, log: opts.Log, certificate: certificate, fingerprint: fingerprintOf(certificate.Certificate[0]),
		changed: make(chan struct{}, 1),
	}
	g.typed = loadAddresses(opts.Dir, g.knows)
	g.devices = newDevices(g)
	g.sessions = newSessions(opts.stalls)
	g.sent = newOutgoing()
	return g, nil
}

// Name returns Name.
func (g *Gateway) Name() string { return Name }

// Fingerprint returns the fingerprint of this device, which LocalSend shows for comparison.
func (g *Gateway) Fingerprint() string { return g.fingerprint }

// Port returns the TCP port of this gateway; 0 while it is off.
func (g *Gateway) Port() int { return g.info().Port }

// Update replaces what is announced.
func (g *Gateway) Update(self gateway.Self) {
	g.mu.Lock()
	g.self = self
	g.mu.Unlock()
	g.signal()
}

// Run serves while this device is visible, until ctx ends. While it is hidden, no port is open and nothing is sent,
// except to complete transfers that were accepted before.
func (g *Gateway) Run(ctx context.Context, self gateway.Self, to gateway.Sink) error {
	g.mu.Lock()
	if g.self == (gateway.Self{}) {
		g.self = self
	}
	g.mu.Unlock()
	for ctx.Err() == nil {
		if g.visible() {
			if err := g.serve(ctx, to); err != nil && ctx.Err() == nil {
				g.log.Warn("LocalSend does not work; trying again", "err", err)
				pause(ctx, 10*time.Second)
			}
			continue
		}
		select {
		case <-g.changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// SetOn turns the gateway off and on again. It is on at first.
func (g *Gateway) SetOn(on bool) {
	g.mu.Lock()
	g.off = !on
	g.mu.Unlock()
	g.signal()
}

func (g *Gateway) signal() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func (g *Gateway) visible() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.self.Visible && !g.off
}

// info returns the description of this device.
func (g *Gateway) info() deviceInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return deviceInfo{
		Alias: g.self.Name, Version: protocolVersion, DeviceModel: "Multipeer", DeviceType: "desktop", Fingerprint: g.fingerprint,
		Port: g.port, Protocol: schemeTLS,
	}
}

// serve finds devices and serves them until this device is hidden and nothing is being received, or ctx ends.
func (g *Gateway) serve(ctx context.Context, to gateway.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, preferred, err := g.listen()
	if err != nil {
		return err
	}
	g.setPort(portOfListener(listener))
	defer g.setPort(0)
	g.devices.begin(to)
	g.sessions.begin(to)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { g.devices.run(ctx) })
	if !g.opts.loopback {
		running.Go(func() {
			if err := g.discover(ctx); err != nil {
				g.log.Warn("LocalSend: multicast does not work; devices find this one by its address only", "err", err)
			}
		})
	}
	server := g.server()
	failed := make(chan error, 2)
	serveOn := func(l net.Listener) { failed <- server.Serve(tls.NewListener(l, g.serverTLS())) }
	running.Go(func() { serveOn(listener) })
	if !preferred {
		running.Go(func() { g.movePort(ctx, serveOn) })
	}
	var idle <-chan struct{} // while this device is hidden: closed when nothing is being received any more
	for {
		select {
		case <-g.changed:
			switch hidden := !g.visible(); {
			case hidden && idle == nil:
				g.sessions.refuseNew()
				idle = g.sessions.idle()
			case !hidden && idle != nil:
				idle = nil
				g.sessions.begin(to)
			}
		case <-idle:
			return g.stop(server)
		case <-ctx.Done():
			g.sessions.cancelAll()
			return g.stop(server)
		case err := <-failed:
			g.sessions.cancelAll()
			return errors.Join(err, g.stop(server))
		}
	}
}

// stop ends the server and the sessions of devices.
func (g *Gateway) stop(server *http.Server) error {
	err := server.Close()
	<-g.sessions.idle()
	g.devices.forgetAll()
	return err
}

// listen opens LocalSend's port. While the app itself or a connection of another program uses that port, it opens any
// other, and preferred is false; devices then find this one only by multicast.
func (g *Gateway) listen() (l net.Listener, preferred bool, err error) {
	if l, err = net.Listen("tcp", g.address(g.preferredPort())); err == nil {
		return g.limited(l), true, nil
	}
	var otherErr error
	if l, otherErr = net.Listen("tcp", g.address(0)); otherErr != nil {
		return nil, false, errors.Join(err, otherErr)
	}
	return g.limited(l), false, nil
}

// movePort opens LocalSend's port as soon as it is free, and serves there too. The port lies in the range from which
// systems take the ports of outgoing connections, so what uses it may be short-lived. The other port stays open for
// devices that already know it.
func (g *Gateway) movePort(ctx context.Context, serveOn func(net.Listener)) {
	for ctx.Err() == nil {
		pause(ctx, portInterval)
		if ctx.Err() != nil {
			return
		}
		if l, err := net.Listen("tcp", g.address(g.preferredPort())); err == nil {
			g.setPort(portOfListener(l))
			serveOn(g.limited(l))
			return
		}
	}
}

func (g *Gateway) setPort(port int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.port = port
}

func portOfListener(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func (g *Gateway) preferredPort() int {
	if g.opts.loopback {
		return g.opts.port
	}
	return DefaultPort
}

func (g *Gateway) address(port int) string {
	host := ""
	if g.opts.loopback {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func (g *Gateway) limited(l net.Listener) net.Listener {
	return &connlimit.Listener{Listener: l, OfOne: maxConnsOfOne, All: maxConns, Answers: g.answersAt}
}

// answersAt reports whether an address of this device is on an interface that is used.
func (g *Gateway) answersAt(local netip.Addr) bool {
	if len(g.opts.Interfaces) == 0 {
		return true
	}
	for _, i := range g.interfaces() {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == local.WithZone("") {
				return true
			}
		}
	}
	return false
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
