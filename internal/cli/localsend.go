package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/engine/gateway"
)

// pinVariable is the environment variable that --localsend-pin can be given by: other users of the machine can read the
// arguments of a program, but not its environment.
const pinVariable = "MULTIPEER_LOCALSEND_PIN"

// localSendPrefix begins the address of a device with LocalSend.
const localSendPrefix = "localsend:"

// addLocalSend adds the gateway to a configuration. Its key is in the profile, unless the identity is temporary.
func (p *program) addLocalSend(cfg *engine.Config) error {
	opts := localsend.Options{PIN: p.localSendPIN, Interfaces: cfg.Interfaces, Log: cfg.Log}
	if !p.temporary {
		opts.Dir = cfg.Profile
	}
	if p.gives {
		opts.PIN, opts.GivePIN = "", opts.PIN
	}
	g, err := localsend.New(opts)
	if errors.Is(err, engine.ErrInvalid) {
		return exit(exitUsage, err)
	}
	if err != nil {
		return exit(exitFailed, err)
	}
	p.localSend = g
	cfg.Gateways = append(cfg.Gateways, g)
	return nil
}

// localSendPort returns the TCP port of the gateway; 0 if there is none or it is off.
func (p *program) localSendPort() int {
	g := p.localSend
	if p.host != nil {
		g = p.host.LocalSend
	}
	if g == nil {
		return 0
	}
	return g.Port()
}

// findLocalSend queries the device at an address that a person has typed, until it answers.
func (p *program) findLocalSend(ctx context.Context, e *engine.Engine, who string, wait time.Duration) (engine.Peer, error) {
	g := p.localSend
	if p.host != nil {
		g = p.host.LocalSend
	}
	if g == nil {
		return engine.Peer{}, exit(exitUsage, fmt.Errorf("%s: LocalSend is off; use --localsend", engine.CleanLine(who)))
	}
	at, err := localSendAddress(ctx, strings.TrimPrefix(who, localSendPrefix))
	if err != nil {
		return engine.Peer{}, exit(exitUsage, err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		key, err := g.Find(ctx, at)
		var another *localsend.AnotherDevice
		if errors.As(err, &another) {
			return engine.Peer{}, exit(exitFailed, fmt.Errorf("%w; nothing was sent. If this is the right device, forget the other one: multipeer-cli trust %s unknown", err, another.Before))
		}
		if err == nil {
			if peer, ok := e.Peer(gateway.PeerID(localsend.Name, key)); ok {
				return peer, nil
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return engine.Peer{}, errInterrupted
			}
			return engine.Peer{}, exit(exitNotFound, fmt.Errorf("LocalSend does not answer at %s: %w; open the app on that device, and keep it in the foreground", at, err))
		}
	}
}

// localSendAddress parses HOST or HOST:PORT.
func localSendAddress(ctx context.Context, s string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, fmt.Sprint(localsend.DefaultPort)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, &unresolved{host}
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)), nil
}

// viaNote names the protocol of a device that does not run Multipeer, and the risks of that protocol.
func viaNote(e *engine.Engine, id engine.PeerID) string {
	p, ok := e.Peer(id)
	if !ok || p.Via == "" {
		return ""
	}
	return ", " + p.Via + viaText(p)
}

// viaText describes how a device that does not run Multipeer is reached.
func viaText(p engine.Peer) string {
	switch {
	case p.Via == "":
		return ""
	case p.Plain:
		return ", not encrypted"
	case p.Trust != engine.TrustVerified:
		return ", not verified"
	}
	return ""
}
