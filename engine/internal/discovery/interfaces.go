package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ErrNoNetwork tells that no interface is up.
var ErrNoNetwork = errors.New("no network: no interface is up")

// iface is a network interface with its addresses.
type iface struct {
	net.Interface
	prefixes []netip.Prefix
}

func (f iface) equal(g iface) bool {
	return f.Index == g.Index && f.Name == g.Name && slices.Equal(f.prefixes, g.prefixes)
}

func (f iface) loopback() bool { return f.Flags&net.FlagLoopback != 0 }

func (f iface) hasIPv4() bool {
	return slices.ContainsFunc(f.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

// onLink tells whether a belongs to this link: a packet from elsewhere, or one that points elsewhere, was forged.
func (f iface) onLink(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(f.prefixes, func(p netip.Prefix) bool { return p.Contains(a) && !broadcast(p, a) })
}

// broadcast tells the addresses of a network that reach all of it: the last one (RFC 919), and on old systems the first.
func broadcast(p netip.Prefix, a netip.Addr) bool {
	return a.Is4() && p.Bits() < 31 && (!p.Contains(a.Next()) || a == p.Masked().Addr())
}

// linkOf names the interface whose network holds an address of one device, that of the narrowest network; empty is none.
func linkOf(ifs []iface, a netip.Addr) (name string) {
	if a.Is6() && a.IsLinkLocalUnicast() {
		if slices.ContainsFunc(ifs, func(f iface) bool { return f.Name == a.Zone() }) {
			return a.Zone()
		}
		return ""
	}
	a = a.Unmap().WithZone("")
	bits := -1
	for _, f := range ifs {
		for _, p := range f.prefixes {
			switch {
			case !p.Contains(a) || a.IsLoopback() != f.loopback():
			case broadcast(p, a):
				return ""
			case p.Bits() > bits:
				bits, name = p.Bits(), f.Name
			}
		}
	}
	return name
}

// sends tells whether a packet from a can have come over this link. What comes over the loopback interface is from
// this machine, whatever its address: Linux uses that of another interface there, or none.
func (f iface) sends(a netip.Addr) bool { return f.loopback() || f.onLink(a) }

// addresses are the interface's own, as text for the registrar.
func (f iface) addresses() []string {
	var out []string
	for _, p := range f.prefixes {
		if f.loopback() && !p.Addr().Is4() {
			continue // one address is enough, and ::1 is not dialled from everywhere
		}
		out = append(out, p.Addr().String())
	}
	return out
}

// usable lists the interfaces to work on, in order of their index: the named ones, or all that are up and can do
// multicast, without tunnels. Where nothing else is up the loopback interface serves processes of one machine.
func usable(names []string) ([]iface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var out, loop []iface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 {
			continue
		}
		f := iface{Interface: i, prefixes: prefixesOf(i)}
		named := slices.Contains(names, i.Name)
		switch {
		case len(f.prefixes) == 0 || len(names) > 0 && !named:
		case named:
			out = append(out, f)
		case f.loopback():
			loop = append(loop, f)
		case i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagPointToPoint == 0:
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		out = loop
	}
	if len(out) == 0 {
		if len(names) > 0 {
			return nil, fmt.Errorf("%w of those asked for (%s)", ErrNoNetwork, strings.Join(names, ", "))
		}
		return nil, ErrNoNetwork
	}
	return out, nil
}

func prefixesOf(i net.Interface) []netip.Prefix {
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return out
}
