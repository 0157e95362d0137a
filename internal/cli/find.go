package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"multipeer/engine"
)

// sameName is how long to look for another device that has the name of this device, or whose ID begins with the given
// name.
const sameName = 3 * time.Second

// secondDevice is how long to look for a second device with a name that no known device has.
const secondDevice = time.Second

// find waits until the peer that the user means is found. Input that may be a name or a host is tried as both.
func (p *program) find(ctx context.Context, e *engine.Engine, who string, wait time.Duration) (engine.Peer, error) {
	if strings.HasPrefix(who, localSendPrefix) {
		return p.findLocalSend(ctx, e, who, wait)
	}
	if isAddress(who) {
		return p.dialWithin(ctx, e, who, wait)
	}
	if isSelf(e.Self(), who) {
		return engine.Peer{}, exit(exitUsage, fmt.Errorf("%s is this device's own ID; specify a different one", engine.CleanLine(who)))
	}
	if !mayBeHost(who) {
		return p.findNamed(ctx, e, who, wait)
	}
	return findEither(ctx, who, search{
		byName:   func(ctx context.Context) (engine.Peer, error) { return p.findNamed(ctx, e, who, wait) },
		byHost:   func(ctx context.Context) (engine.Peer, error) { return p.dialWithin(ctx, e, who, wait) },
		hostOnce: func(ctx context.Context) (engine.Peer, error) { return dialOnce(ctx, e, who) },
		isHost:   func(ctx context.Context) bool { return isHost(ctx, who) },
		known:    known(e, who),
	})
}

// search holds the ways to look for a peer by input that may be both a name and a host.
type search struct {
	byName, byHost func(context.Context) (engine.Peer, error) // until the peer is found
	hostOnce       func(context.Context) (engine.Peer, error) // the peer that answers at the host now
	isHost         func(context.Context) bool                 // false only if there is certainly no such host
	known          []engine.Acquaintance                      // with that name
}

// hostWait is how long to wait for a host that has the name of a known peer.
const hostWait = 3 * time.Second

// findEither looks for a peer with a name and, at the same time, for a host with that name. Anyone can take any name:
// the host takes precedence over the name of an unknown peer. If a known peer has the name and another device answers
// at the host, the result is an error.
func findEither(ctx context.Context, who string, s search) (engine.Peer, error) {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	looking, enough := context.WithCancel(ctx)
	defer enough()
	type answer struct {
		peer engine.Peer
		err  error
	}
	names, hosts := make(chan answer, 1), make(chan answer, 1)
	running.Go(func() {
		peer, err := s.byName(ctx)
		names <- answer{peer, err}
	})
	running.Go(func() {
		peer, err := s.byHost(looking)
		hosts <- answer{peer, err}
	})
	var name, host *answer
	for name == nil || host == nil {
		select {
		case a := <-names:
			name = &a
			if a.err != nil {
				continue
			}
			if !s.knows(a.peer) { // guard: host-before-name
				if host == nil && !s.isHost(ctx) {
					return engine.Peer{}, onlyNamed(who, errors.New("no host with that name was found"), a.peer)
				}
				continue
			}
			enough()
			one, cancel := context.WithTimeout(ctx, hostWait)
			peer, err := s.hostOnce(one)
			cancel()
			if err == nil && peer.ID != a.peer.ID { // guard: name-and-host
				return engine.Peer{}, twoMeanings(who, a.peer.ID, peer.ID)
			}
			return a.peer, nil
		case a := <-hosts:
			host = &a
			if other := s.another(a.peer); a.err == nil && !other.IsZero() { // guard: host-of-known
				return engine.Peer{}, twoMeanings(who, other, a.peer.ID)
			}
			var not *exitError
			// For example, the address is that of this device.
			if a.err == nil || errors.As(a.err, &not) && not.code != exitNotFound {
				return a.peer, a.err
			}
		}
	}
	switch {
	case name.err == nil:
		return engine.Peer{}, onlyNamed(who, host.err, name.peer)
	case errors.As(host.err, new(*unresolved)): // so the user meant a name
		return engine.Peer{}, name.err
	}
	return engine.Peer{}, host.err
}

// knows reports whether p is a known peer with the name that is searched for.
func (s search) knows(p engine.Peer) bool {
	return slices.ContainsFunc(s.known, func(a engine.Acquaintance) bool { return a.ID == p.ID })
}

// another returns a known peer with the name if p is not a known peer itself; zero if there is none.
func (s search) another(p engine.Peer) engine.PeerID {
	if len(s.known) == 0 || s.knows(p) {
		return engine.PeerID{}
	}
	return s.known[0].ID
}

func twoMeanings(who string, named, host engine.PeerID) error {
	return exit(exitUsage, fmt.Errorf("%q is the name of a device that you know, and another device answers at the host with that name; write HOST:PORT or the ID: %s has the name, %s is at the host",
		engine.CleanLine(who), named, host))
}

// onlyNamed returns the error for a name that only an unknown peer has.
func onlyNamed(who string, why error, p engine.Peer) error {
	return exit(exitNotFound, fmt.Errorf("%w; a device that you do not know calls itself %q (%s); to reach it, give its ID", why, engine.CleanLine(who), p.ID.Short()))
}

// isHost reports whether a name may be a host: it can be resolved, or the name server does not answer.
func isHost(ctx context.Context, who string) bool {
	host, _, err := engine.ParseAddress(who)
	if err != nil {
		return false
	}
	_, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	not := new(net.DNSError)
	return !errors.As(err, &not) || !not.IsNotFound
}

// dialOnce connects to the peer that answers at an address now.
func dialOnce(ctx context.Context, e *engine.Engine, address string) (engine.Peer, error) {
	id, err := e.Dial(ctx, address)
	peer, _ := e.Peer(id)
	peer.ID = id
	return peer, err
}

// isSelf reports whether who is the ID of this device, or the start of it.
func isSelf(self engine.Self, who string) bool {
	return self.ID.HasPrefix(who)
}

// mayBeHost reports whether s can be a host name or an address without a port, and also the name of a peer.
func mayBeHost(who string) bool {
	_, _, err := engine.ParseAddress(who)
	return err == nil && strings.Contains(strings.Trim(who, "."), ".")
}

// findNamed waits for a peer by its name or ID.
func (p *program) findNamed(ctx context.Context, e *engine.Engine, who string, wait time.Duration) (engine.Peer, error) {
	own := strings.EqualFold(e.Self().Name, who)
	if _, err := e.FindPeer(who); own && err == engine.ErrNoPeer && len(known(e, who)) == 0 {
		wait = min(wait, sameName)
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var why, problem error
	held := false
	for ev := range e.WatchState(waiting) {
		switch ev := ev.(type) {
		case engine.Snapshot:
			problem = ev.Problem
		case engine.Problem:
			problem = ev.Err
		}
		peer, err := e.FindPeer(who)
		if err == nil {
			hold := p.secondLook(peer, who)
			if hold == 0 {
				return peer, nil
			}
			if !held {
				held = true
				defer time.AfterFunc(hold, cancel).Stop()
			}
			continue
		}
		why = err
		if !errors.Is(err, engine.ErrNoPeer) {
			return engine.Peer{}, exit(exitUsage, err)
		}
	}
	if ctx.Err() != nil {
		return engine.Peer{}, errInterrupted
	}
	if peer, err := e.FindPeer(who); err == nil { // no other device has appeared
		return peer, nil
	}
	what := fmt.Sprintf("no peer %q was found within %v", engine.CleanLine(who), wait)
	var here []string
	for _, peer := range e.Peers() {
		here = append(here, describe(peer))
	}
	switch {
	case why != nil && why != engine.ErrNoPeer: // a different device has its name
		why = fmt.Errorf("%w; to reach the nearby device anyway, give its ID", why)
	case own:
		why = fmt.Errorf("%q is the name of this device, and no other device with that name was found", engine.CleanLine(who))
	case problem != nil:
		why = fmt.Errorf("%s: %w", what, problem)
	case len(here) > 0:
		why = fmt.Errorf("%s; nearby: %s; see 'multipeer-cli peers'", what, strings.Join(here[:min(len(here), 5)], ", "))
	default:
		why = fmt.Errorf("%s; run 'multipeer-cli doctor' to find out why, or connect with --to HOST:PORT", what)
	}
	return engine.Peer{}, exit(exitNotFound, why)
}

// secondLook returns how long to look for another device that may be the one that is meant. Anyone can take a name, and the
// first answer is not always that of the right device. A host has seen the network for longer already.
func (p *program) secondLook(peer engine.Peer, who string) time.Duration {
	_, notWhole := engine.ParsePeerID(who)
	switch {
	case onlyName(peer, who) && looksLikeID(who): // guard: name-like-an-id
		return sameName
	case notWhole != nil && p.host == nil && !isKnown(peer): // guard: name-of-two
		return secondDevice
	}
	return 0
}

func isKnown(p engine.Peer) bool {
	return p.Trust == engine.TrustSeen || p.Trust == engine.TrustVerified
}

// onlyName reports whether a peer was found only by the name that it has chosen for itself.
func onlyName(p engine.Peer, who string) bool {
	return !isKnown(p) && !p.ID.HasPrefix(who)
}

// looksLikeID reports whether a name may be the start of an ID in its displayed form: a device whose ID begins with it
// may appear later.
func looksLikeID(who string) bool {
	const shown = 8 // characters
	id := strings.ReplaceAll(strings.ToLower(who), "-", "")
	return len(id) >= shown && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// known lists the stored peers with a name.
func known(e *engine.Engine, name string) []engine.Acquaintance {
	return slices.DeleteFunc(e.Acquaintances(), func(a engine.Acquaintance) bool {
		return a.Trust == engine.TrustBlocked || !strings.EqualFold(a.Name, name)
	})
}

func (p *program) dialWithin(ctx context.Context, e *engine.Engine, address string, wait time.Duration) (engine.Peer, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return p.dial(waiting, e, address)
}

// isOwnAddress reports whether an address leads to this engine.
func isOwnAddress(ctx context.Context, e *engine.Engine, address string) bool {
	host, port, err := engine.ParseAddress(address)
	if err != nil || int(port) != e.Self().Port {
		return false
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	isOwn := func(ip netip.Addr) bool {
		ip = ip.Unmap().WithZone("")
		return ip.IsLoopback() || ip.IsUnspecified() || slices.ContainsFunc(own, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && p.Addr().Unmap() == ip
		})
	}
	return len(ips) > 0 && !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !isOwn(ip) })
}

// unresolved is a host name that cannot be resolved.
type unresolved struct{ name string }

func (u *unresolved) Error() string {
	return fmt.Sprintf("%s cannot be resolved; check the spelling, or give the IP address", engine.CleanLine(u.name))
}

// dial connects to an address, and retries until ctx ends.
func (p *program) dial(ctx context.Context, e *engine.Engine, address string) (engine.Peer, error) {
	if _, _, err := engine.ParseAddress(address); err != nil {
		return engine.Peer{}, exit(exitUsage, err)
	}
	for {
		id, err := e.Dial(ctx, address)
		if err == nil {
			if peer, ok := e.Peer(id); ok {
				return peer, nil
			}
		}
		if err != nil && isOwnAddress(ctx, e, address) {
			return engine.Peer{}, exit(exitUsage, fmt.Errorf("%s is this device; give the address of a different one", engine.CleanLine(address)))
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return engine.Peer{}, errInterrupted
			}
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				err = engine.ErrTimeout
			}
			if unknown := new(net.DNSError); errors.As(err, &unknown) {
				return engine.Peer{}, exit(exitNotFound, &unresolved{unknown.Name})
			}
			return engine.Peer{}, exit(exitNotFound, fmt.Errorf("nothing answers at %s: %w; is Multipeer running on that device, and does the firewall on it allow UDP?", engine.CleanLine(address), err))
		}
	}
}

// isAddress distinguishes HOST:PORT and IP addresses from names and IDs.
func isAddress(s string) bool {
	host, _, err := engine.ParseAddress(s)
	if err != nil {
		return false
	}
	colon := strings.Contains(s, ":")
	return colon || strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == ""
}

// describe returns the name of a peer with the start of its ID and, for a device that does not run Multipeer, how it is
// reached.
func describe(p engine.Peer) string {
	if p.Via != "" {
		return fmt.Sprintf("%s (%s, %s%s)", quoted(p.Name), p.ID.Short(), p.Via, viaText(p))
	}
	return fmt.Sprintf("%s (%s)", quoted(p.Name), p.ID.Short())
}

// quoted returns a name as it is printed: in quotes if it has characters that could pass for the surrounding text, as
// in "Anna: see you" and "Anna (verified)".
func quoted(name string) string {
	odd := func(r rune) bool { return unicode.In(r, unicode.P, unicode.S) && !strings.ContainsRune("-'’._&+", r) }
	if !strings.ContainsFunc(name, odd) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, "'") + `"`
}
