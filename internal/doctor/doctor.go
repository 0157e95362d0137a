// Package doctor finds out why devices do not find or reach each other. It says
// what it has found by names that stay, for a program to put into words.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"multipeer/engine"
)

// Name says what was found.
type Name string

// The names.
const (
	Network       Name = "network"            // Detail: the interfaces that are up
	NoNetwork     Name = "no-network"         // none is up; Detail: of those, if some were asked for
	VPN           Name = "vpn"                // Detail: tunnels that are up; may be in the way
	PortTaken     Name = "port-taken"         // N: the port in its place
	Clock         Name = "clock"              // Detail: the date that it shows
	OwnFirewall   Name = "own-firewall"       // Detail: which; Command: what to type there
	Peers         Name = "peers"              // N: how many were found by multicast and reached
	OtherFirewall Name = "other-firewall"     // Detail: who is heard, or was asked, and does not answer
	Filtered      Name = "multicast-filtered" // N: how many can be reached and not heard
	Nobody        Name = "nobody"             // Err: why the network could not be searched; nil if it was
	Address       Name = "address"            // Err: what is wrong with it
	OtherSubnet   Name = "other-subnet"       // Detail: the address, on another network
	Reached       Name = "reached"            // Detail: the address, ID: who answers
	Refused       Name = "refused"            // Detail: the address, which does not let this device in
	Version       Name = "version"            // Detail: the address, which speaks another version
)

// Finding is one thing that was found.
type Finding struct {
	Name    Name
	Bad     bool // it keeps devices from each other
	N       int
	Detail  string // may hold what a peer has sent, clean
	Command string // for a person to type
	ID      engine.PeerID
	Err     error
}

// Listen is how long it listens for peers before it asks every address.
const Listen = 3 * time.Second

// Options say what to look at.
type Options struct {
	To         string   // the address of one device; empty looks for all
	OwnPort    bool     // the engine's port was chosen, and may differ from the usual one
	Interfaces []string // those that the engine was told to use; empty is all
}

// Examine looks at this device, and then for others, or for the one at an address. It takes up to ten seconds, or until ctx
// ends, and calls tell for each finding as it comes. The engine must run.
func Examine(ctx context.Context, e *engine.Engine, o Options, tell func(Finding)) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d := &doctor{e, tell}
	d.device(ctx, o)
	if o.To != "" {
		d.address(ctx, o.To)
	} else {
		d.others(ctx)
	}
}

type doctor struct {
	e    *engine.Engine
	tell func(Finding)
}

// device looks at this device alone.
func (d *doctor) device(ctx context.Context, o Options) {
	up, tunnels := interfaces(o.Interfaces)
	if len(up) == 0 {
		d.tell(Finding{Name: NoNetwork, Bad: true, Detail: strings.Join(o.Interfaces, ", ")})
	} else {
		d.tell(Finding{Name: Network, Detail: strings.Join(up, ", ")})
	}
	if len(tunnels) > 0 {
		d.tell(Finding{Name: VPN, Detail: strings.Join(tunnels, ", ")})
	}
	port := d.e.Self().Port
	if !o.OwnPort && port != 0 && port != engine.DefaultPort {
		d.tell(Finding{Name: PortTaken, Bad: true, N: port})
	}
	if now := time.Now(); now.Year() < 2026 { // keys and certificates have dates
		d.tell(Finding{Name: Clock, Bad: true, Detail: now.Format(time.DateOnly)})
	}
	if which, command := ownFirewall(ctx, port); which != "" {
		d.tell(Finding{Name: OwnFirewall, Bad: true, Detail: which, Command: command})
	}
}

// interfaces lists those that are up with their addresses, and those that are tunnels; only those that are named, if some
// are, which may be the loopback interface then.
func interfaces(only []string) (up, tunnels []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 || len(addrs) == 0 {
			continue
		}
		if named := slices.Contains(only, i.Name); len(only) > 0 && !named || i.Flags&net.FlagLoopback != 0 && !named {
			continue
		}
		tunnel := i.Flags&net.FlagPointToPoint != 0
		for _, prefix := range []string{"tun", "tap", "wg", "utun", "ppp", "tailscale", "zt"} {
			tunnel = tunnel || strings.HasPrefix(i.Name, prefix)
		}
		if tunnel {
			tunnels = append(tunnels, i.Name)
			continue
		}
		up = append(up, fmt.Sprintf("%s (%s)", i.Name, addrs[0]))
	}
	return up, tunnels
}

// ownFirewall tells what keeps others out here, as far as that can be seen without asking anybody; empty if nothing. remedy
// is what a person types, where that is known.
func ownFirewall(ctx context.Context, port int) (which, remedy string) {
	run := func(name string, args ...string) string {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, name, args...)
		c.WaitDelay = time.Second // what it has started may hold the pipe
		b, err := c.Output()
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch runtime.GOOS {
	case "linux":
		if s := run("ufw", "status"); strings.Contains(s, "Status: active") && !strings.Contains(s, fmt.Sprint(port)) {
			return "ufw", fmt.Sprintf("sudo ufw allow %d && sudo ufw allow 5353/udp", port)
		}
		if s := run("firewall-cmd", "--list-all"); s != "" && !strings.Contains(s, fmt.Sprint(port)) {
			return "firewalld", fmt.Sprintf("sudo firewall-cmd --permanent --add-service=mdns --add-port=%d/udp --add-port=%d/tcp && sudo firewall-cmd --reload", port, port)
		}
		if rules := inputDrops(run("nft", "list", "ruleset")); rules != "" && !strings.Contains(rules, fmt.Sprint(port)) {
			return "nftables", fmt.Sprintf("udp dport { %d, 5353 } accept; tcp dport %d accept", port, port)
		}
	case "windows":
		if s := run("netsh", "advfirewall", "show", "currentprofile", "firewallpolicy"); strings.Contains(s, "BlockInboundAlways") {
			return "Windows", ""
		}
	case "darwin":
		if s := run("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getblockall"); strings.Contains(s, "enabled") {
			return "macOS", ""
		}
	}
	return "", ""
}

// inputDrops returns the input chains of a ruleset of nftables if one drops by policy, or has a rule that drops all.
func inputDrops(ruleset string) string {
	var chain []string
	for part := range strings.SplitSeq(ruleset, "chain ") {
		if !strings.Contains(part, "hook input") {
			continue
		}
		drops := strings.Contains(part, "policy drop")
		for l := range strings.SplitSeq(part, "\n") {
			drops = drops || strings.TrimSpace(l) == "drop" || strings.TrimSpace(l) == "reject"
		}
		if drops {
			chain = append(chain, part)
		}
	}
	return strings.Join(chain, "\n")
}

// others looks for peers, by multicast and by asking every address.
func (d *doctor) others(ctx context.Context) {
	select {
	case <-time.After(Listen):
	case <-ctx.Done():
		return
	}
	heard, reached, unheard, deaf := 0, 0, 0, []string{}
	for _, p := range d.e.Peers() {
		if p.How == "mDNS" {
			heard++
			if p.Confirmed {
				reached++
			} else {
				deaf = append(deaf, p.Name)
			}
		} else if p.Confirmed { // it found us, or an address did
			unheard++
		}
	}
	found, err := d.e.Search(ctx)
	unheard += len(found)
	switch {
	case heard > 0:
		if reached > 0 {
			d.tell(Finding{Name: Peers, N: reached})
		}
		if len(deaf) > 0 {
			d.tell(Finding{Name: OtherFirewall, Bad: true, Detail: strings.Join(deaf, ", ")})
		}
	case unheard > 0:
		d.tell(Finding{Name: Filtered, Bad: true, N: unheard})
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		d.tell(Finding{Name: Nobody, Bad: true, Err: err})
	default:
		d.tell(Finding{Name: Nobody, Bad: true})
	}
}

// address looks at one address.
func (d *doctor) address(ctx context.Context, to string) {
	host, _, err := engine.ParseAddress(to)
	if err != nil {
		d.tell(Finding{Name: Address, Bad: true, Err: err})
		return
	}
	if a, err := netip.ParseAddr(host); err == nil && !onLink(a) {
		d.tell(Finding{Name: OtherSubnet, Bad: true, Detail: host})
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	id, err := d.e.Dial(short, to)
	switch {
	case err == nil:
		d.tell(Finding{Name: Reached, Detail: host, ID: id})
	case errors.Is(err, engine.ErrRefused), errors.Is(err, engine.ErrBlocked):
		d.tell(Finding{Name: Refused, Bad: true, Detail: host})
	case errors.Is(err, engine.ErrVersion):
		d.tell(Finding{Name: Version, Bad: true, Detail: host})
	case errors.As(err, new(*net.DNSError)):
		d.tell(Finding{Name: Address, Bad: true, Err: fmt.Errorf("%s is no name that can be resolved here: check how it is written, or give the IP address", host)})
	default:
		d.tell(Finding{Name: OtherFirewall, Bad: true, Detail: host})
	}
}

// onLink tells whether an address is on a network of this device.
func onLink(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() || a.IsLoopback() {
		return true
	}
	addrs, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Contains(a.Unmap())
	})
}
