package mdns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ErrNoNetwork reports that no interface is up.
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

// has reports whether the interface has an IPv6 address, or with six false an IPv4 address.
func (f iface) has(six bool) bool {
	return slices.ContainsFunc(f.prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() == six })
}

// onLink reports whether a is an address on this link's networks: other addresses cannot be dialled over this link.
func (f iface) onLink(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(f.prefixes, func(p netip.Prefix) bool { return p.Contains(a) && !broadcast(p, a) })
}

// broadcast reports whether an address reaches the whole network: the last one (RFC 919), and on old systems the
// first.
func broadcast(p netip.Prefix, a netip.Addr) bool {
	return a.Is4() && p.Bits() < 31 && (!p.Contains(a.Next()) || a == p.Masked().Addr())
}

// linkOf returns the name of the interface whose network contains the unicast address a, or "". If several networks do,
// the most specific one wins.
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

// sends reports whether a unicast packet from a can have arrived over this link (RFC 6762 section 11). A packet on the
// loopback interface is from this machine, whatever its address: Linux gives it that of another interface, or none.
func (f iface) sends(a netip.Addr) bool { return f.loopback() || f.onLink(a) }

// addresses returns the interface's own addresses as announced to an asker: those on the asker's network first, then
// one from each other network, because others receive the answer too.
func (f iface) addresses(asker netip.Addr) []netip.Addr {
	asker = asker.Unmap().WithZone("")
	var near, first, rest []netip.Addr
	listed := map[netip.Prefix]bool{}
	for _, p := range f.prefixes {
		switch {
		case f.loopback() && !p.Addr().Is4(): // one address is enough, and ::1 cannot be dialled from everywhere
		case p.Contains(asker):
			near = append(near, p.Addr())
		case !listed[p.Masked()]:
			first = append(first, p.Addr())
		default:
			rest = append(rest, p.Addr())
		}
		listed[p.Masked()] = true
	}
	all := slices.Concat(near, first, rest)
	return all[:min(len(all), maxOwnAddrs)]
}

// usable lists the interfaces to work on, ordered by index: the named ones, or all that are up and support multicast,
// except tunnels. If no other is up, the loopback interface connects processes on one machine.
func usable(names []string) ([]iface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	prefixes := prefixesByIndex(all)
	var out, loop []iface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 {
			continue
		}
		f := iface{Interface: i, prefixes: prefixes[i.Index]}
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
			return nil, fmt.Errorf("%w (of the requested ones: %s)", ErrNoNetwork, strings.Join(names, ", "))
		}
		return nil, ErrNoNetwork
	}
	return out, nil
}

// prefixesByIndex lists the addresses of interfaces, in order.
func prefixesByIndex(all []net.Interface) map[int][]netip.Prefix {
	out, err := systemPrefixes()
	if err != nil {
		out = map[int][]netip.Prefix{}
		for _, i := range all {
			addrs, _ := i.Addrs() // an interface that has just gone has none
			for _, a := range addrs {
				if p, err := netip.ParsePrefix(a.String()); err == nil {
					out[i.Index] = append(out[i.Index], p)
				}
			}
		}
	}
	for _, prefixes := range out {
		slices.SortFunc(prefixes, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	}
	return out
}
