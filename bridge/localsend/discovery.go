package localsend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"

	"golang.org/x/net/ipv4"
)

// multicastGroup is LocalSend's group. It is inside 224.0.0.0/24 because some Android devices receive no other.
const multicastGroup = "224.0.0.167"

// interfacesEvery is how often the network interfaces are polled.
const interfacesEvery = 5 * time.Second

// The limit on announcements from one address; more are dropped. LocalSend sends a few when it starts.
const (
	packetRate  = 5 // per second
	packetBurst = 30
)

// announceAfter lists when this device announces itself, counted from the start and from each change of the interfaces.
var announceAfter = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}

// discover announces this device and receives announcements, until ctx ends.
func (g *Gateway) discover(ctx context.Context) error {
	group := &net.UDPAddr{IP: net.ParseIP(multicastGroup), Port: DefaultPort}
	conn, err := net.ListenUDP("udp4", group) // package net shares the port of a multicast group with other programs
	if err != nil {
		return err
	}
	m := &multicast{g: g, conn: ipv4.NewPacketConn(conn), group: group, packets: newSourceLimits(packetRate, packetBurst)}
	_ = m.conn.SetControlMessage(ipv4.FlagInterface, true)
	_ = m.conn.SetMulticastLoopback(true)
	_ = m.conn.SetMulticastTTL(1)
	var running sync.WaitGroup
	running.Go(func() { m.followInterfaces(ctx) })
	running.Go(func() {
		<-ctx.Done()
		_ = conn.Close()
	})
	defer running.Wait()
	return m.read(ctx)
}

// multicast is the socket on which devices announce themselves.
type multicast struct {
	g     *Gateway
	conn  *ipv4.PacketConn
	group *net.UDPAddr
	// packets limits how many announcements from an address are parsed, since parsing takes time.
	packets *sourceLimits
}

// read reads announcements.
func (m *multicast) read(ctx context.Context) error {
	buf := make([]byte, 64<<10) // Windows reports an error for a larger packet
	for {
		n, on, from, err := m.conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // for example, a network has disappeared
			pause(ctx, time.Second)
			continue
		}
		at, ok := from.(*net.UDPAddr)
		if ok && (on == nil || m.g.uses(on.IfIndex)) {
			m.take(buf[:n], at.AddrPort().Addr().Unmap())
		}
	}
}

// take handles an announcement. It reports whether the announcement was parsed.
func (m *multicast) take(packet []byte, from netip.Addr) bool {
	if len(packet) > maxInfo || !m.packets.allow(from) { // guard: localsend-packets
		return false
	}
	i, err := parseInfo(bytes.NewReader(packet))
	if err == nil && i.Fingerprint != m.g.fingerprint {
		m.g.devices.takeAnnouncement(from, i)
	}
	return true
}

// followInterfaces joins the group on each interface, and announces this device when they change.
func (m *multicast) followInterfaces(ctx context.Context) {
	var before []net.Interface
	for ctx.Err() == nil {
		now := m.g.interfaces()
		if !m.g.visible() {
			now = nil // it is announced again later
		}
		if len(now) > 0 && !slices.EqualFunc(before, now, func(a, b net.Interface) bool { return a.Index == b.Index && a.Name == b.Name }) {
			for _, i := range now {
				_ = m.conn.JoinGroup(&i, m.group) // joined before, or an interface that is being removed
			}
			m.announce(ctx, now)
		}
		before = now
		pause(ctx, interfacesEvery)
	}
}

// announce announces this device on some interfaces.
func (m *multicast) announce(ctx context.Context, interfaces []net.Interface) {
	for _, after := range announceAfter {
		pause(ctx, after)
		if ctx.Err() != nil || !m.g.visible() {
			return
		}
		i := m.g.info()
		i.Announce, i.Announcement = true, true
		text, err := json.Marshal(i)
		if err != nil {
			return
		}
		for _, to := range interfaces {
			if err := m.conn.SetMulticastInterface(&to); err != nil {
				continue
			}
			if _, err := m.conn.WriteTo(text, nil, m.group); err != nil {
				m.g.log.Debug("announcing to LocalSend", "interface", to.Name, "err", err)
			}
		}
	}
}

// interfaces lists the network interfaces that are used.
func (g *Gateway) interfaces() []net.Interface {
	all, err := net.Interfaces()
	if err != nil {
		g.log.Debug("network interfaces", "err", err)
	}
	return slices.DeleteFunc(all, func(i net.Interface) bool {
		if i.Flags&net.FlagUp == 0 {
			return true
		}
		if len(g.opts.Interfaces) > 0 {
			return !slices.Contains(g.opts.Interfaces, i.Name)
		}
		return i.Flags&net.FlagMulticast == 0
	})
}

// uses reports whether a network interface is used.
func (g *Gateway) uses(index int) bool {
	return len(g.opts.Interfaces) == 0 || slices.ContainsFunc(g.interfaces(), func(i net.Interface) bool { return i.Index == index })
}

// isNear reports whether an address is on one of this machine's networks: an announcement must not make this device
// send elsewhere.
func isNear(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Contains(a)
	})
}

// Find queries an address that a person has typed, and reports the device as found if LocalSend answers there. It
// returns the device's gateway.Device.Key. The gateway must be running. If a known device has answered at this address
// before and a different one answers now, the error wraps ErrIdentity: see AnotherDevice.
func (g *Gateway) Find(ctx context.Context, at netip.AddrPort) (key string, err error) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	own, err := json.Marshal(g.info())
	if err != nil {
		return "", err
	}
	var failed error
	for _, encrypted := range []bool{true, false} {
		d := &device{Device: gateway.Device{Key: unprovenKey(at.Addr()), Addr: at, Encrypted: encrypted}}
		answer, err := g.call(ctx, d, http.MethodPost, "register", own)
		if err != nil {
			if failed == nil {
				failed = err
			}
			continue
		}
		d.Name = answer.Alias
		if answer.seen != "" {
			d.Key, d.Proven = answer.seen, true
		}
		if before := g.knownAt(at, d.Key); before != "" && before != d.Key { // guard: localsend-typed
			return "", &AnotherDevice{At: at, Before: gateway.PeerID(Name, before), Encrypted: d.Proven}
		}
		if _, ok := g.devices.record(d.Device, true); !ok {
			return "", fmt.Errorf("%w: too many devices with LocalSend", engine.ErrBusy)
		}
		g.answeredAt(d.Device)
		return d.Key, nil
	}
	return "", failed
}

// knownAt returns the key of the known device that has answered at an address; otherwise that of a known device that is
// listed there, preferably the given key; empty if there is none.
func (g *Gateway) knownAt(at netip.AddrPort, key string) string {
	if before := g.typed.of(at); before != "" && g.knows(before) {
		return before
	}
	return g.devices.knownAt(at, key)
}

// knows reports whether the person has accepted a device.
func (g *Gateway) knows(key string) bool {
	to := g.sessions.sink()
	return to != nil && to.Knows(key)
}

// answeredAt stores the address of a device that has proven its key there.
func (g *Gateway) answeredAt(d gateway.Device) {
	if !d.Proven {
		return
	}
	if err := g.typed.keep(d.Addr, d.Key); err != nil {
		g.log.Warn("keeping the address of a device", "err", err)
	}
}

// AnotherDevice is the error for an address where a known device has answered before and a different one answers now.
// It wraps engine.ErrIdentity.
type AnotherDevice struct {
	At        netip.AddrPort
	Before    engine.PeerID // the known device
	Encrypted bool          // the device that answers now has proven a key
}

func (e *AnotherDevice) Error() string {
	how := "another device"
	if !e.Encrypted {
		how = "a device without encryption"
	}
	return fmt.Sprintf("%s answers at %s, where %s was before", how, e.At, e.Before.Short())
}

// Unwrap returns engine.ErrIdentity.
func (e *AnotherDevice) Unwrap() error { return engine.ErrIdentity }
