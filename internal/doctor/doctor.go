// Package doctor finds out why devices do not find or reach each other. It reports its findings by stable names,
// which a program turns into text.
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
	"strconv"
	"strings"
	"sync"
	"time"

	"multipeer/engine"
)

// Name is the kind of a finding.
type Name string

// The names.
const (
	Network       Name = "network"            // Detail: the interfaces that are up
	NoNetwork     Name = "no-network"         // none is up; Detail: the requested ones, if any were
	VPN           Name = "vpn"                // Detail: tunnels that are up and may interfere. Bad if nothing else is up
	PortTaken     Name = "port-taken"         // N: the port used instead
	Clock         Name = "clock"              // Detail: the date of this device's clock
	OwnFirewall   Name = "own-firewall"       // Detail: the firewall; Command: the command to type
	NoMulticast   Name = "no-multicast"       // Err: what keeps this device from finding others by multicast
	Peers         Name = "peers"              // N: the number of peers found by multicast and reached
	OtherFirewall Name = "other-firewall"     // Detail: devices that were heard or dialled, but do not answer
	Filtered      Name = "multicast-filtered" // N: the number of peers that can be reached but were not heard
	Nobody        Name = "nobody"             // Err: why not every address was probed; nil if all were
	Address       Name = "address"            // Err: what is wrong with it
	OtherSubnet   Name = "other-subnet"       // Detail: the address, on another network
	Reached       Name = "reached"            // Detail: the address, ID: the device that answers
	Refused       Name = "refused"            // Detail: the address or the devices, which refuse this device
	Version       Name = "version"            // Detail: the address or the devices, which use another version
	SameIdentity  Name = "same-identity"      // Detail: the addresses; ID: the shared identity; N: 1 if it is our own
	LocalSend     Name = "localsend"          // N: the number of devices with LocalSend; Detail: the TCP port used instead of its own
	Failed        Name = "failed"             // Detail: the address or the device; Err: why this device could not reach it
)

// Finding is one result of the examination.
type Finding struct {
	Name    Name
	Bad     bool // it keeps devices from finding or reaching each other
	N       int
	Detail  string // may contain text from a peer, cleaned
	Command string // for the user to type
	ID      engine.PeerID
	Err     error
}

// Listen is how long Examine listens for peers before it probes every address.
const Listen = 3 * time.Second

// Options select what to examine.
type Options struct {
	To         string   // the address of one device; empty looks for all
	OwnPort    bool     // the engine's port was chosen, and may differ from the usual one
	Interfaces []string // the interfaces that the engine was configured to use; empty means all
	LocalSend  int      // the TCP port of the gateway to LocalSend; 0 if it is off
}

// Examine examines this device, and then looks for others, or for the one at an address. It takes up to ten seconds, or
// until ctx ends, and calls report immediately for each finding, from this goroutine. It reports nothing about checks
// that were cut off by the end of ctx. The engine must be running.
func Examine(ctx context.Context, e *engine.Engine, o Options, report func(Finding)) {
	d := &doctor{e, func(f Finding) {
		if ctx.Err() == nil {
			report(f)
		}
	}}
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d.device(short, o)
	if o.To != "" {
		d.address(short, o.To)
	} else {
		d.others(short)
		d.localSend(o)
	}
	for _, c := range e.Conflicts() {
		f := Finding{Name: SameIdentity, Bad: true, ID: c.ID}
		var at []string
		for _, a := range c.Addrs {
			at = append(at, a.String())
		}
		f.Detail = strings.Join(at, ", ")
		if c.ID == e.Self().ID {
			f.N = 1
		}
		d.report(f)
	}
}

type doctor struct {
	e      *engine.Engine
	report func(Finding)
}

// device examines this device alone.
func (d *doctor) device(ctx context.Context, o Options) {
	up, tunnels := interfaces(o.Interfaces)
	switch {
	case len(up) > 0:
		d.report(Finding{Name: Network, Detail: strings.Join(up, ", ")})
	case len(tunnels) == 0:
		d.report(Finding{Name: NoNetwork, Bad: true, Detail: strings.Join(o.Interfaces, ", ")})
	}
	if len(tunnels) > 0 {
		d.report(Finding{Name: VPN, Bad: len(up) == 0, Detail: strings.Join(tunnels, ", ")})
	}
	port := d.e.Self().Port
	if !o.OwnPort && port != 0 && port != engine.DefaultPort {
		d.report(Finding{Name: PortTaken, Bad: true, N: port})
	}
	if now := time.Now(); now.Year() < 2026 { // keys and certificates have dates
		d.report(Finding{Name: Clock, Bad: true, Detail: now.Format(time.DateOnly)})
	}
	if which, command := ownFirewall(ctx, port); which != "" {
		d.report(Finding{Name: OwnFirewall, Bad: true, Detail: which, Command: command})
	}
}

// localSendPort is LocalSend's port, for UDP and TCP.
const localSendPort = 53317

// localSend counts the devices with LocalSend. Finding none may be normal: the app receives no announcements in the
// background.
func (d *doctor) localSend(o Options) {
	if o.LocalSend == 0 {
		return
	}
	f := Finding{Name: LocalSend}
	for _, p := range d.e.Peers() {
		if p.Via != "" {
			f.N++
		}
	}
	if o.LocalSend != localSendPort {
		f.Detail = strconv.Itoa(o.LocalSend)
	}
	d.report(f)
}

// interfaces lists the interfaces that are up with their addresses, and those that are tunnels. If some are specified,
// it lists only those, and they may include the loopback interface.
func interfaces(only []string) (up, tunnels []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 || len(addrs) == 0 {
			continue
		}
		named := slices.Contains(only, i.Name)
		if len(only) > 0 && !named || i.Flags&net.FlagLoopback != 0 && !named {
			continue
		}
		if tunnel(i) && !named {
			tunnels = append(tunnels, i.Name)
			continue
		}
		up = append(up, fmt.Sprintf("%s (%s)", i.Name, addrs[0]))
	}
	return up, tunnels
}

func tunnel(i net.Interface) bool {
	if i.Flags&net.FlagPointToPoint != 0 {
		return true
	}
	return slices.ContainsFunc([]string{"tun", "tap", "wg", "utun", "ppp", "tailscale", "zt"}, func(prefix string) bool { return strings.HasPrefix(i.Name, prefix) })
}

// ownFirewall returns the firewall that blocks incoming traffic on this device, as far as that can be detected without
// privileges; empty if none. remedy is the command to type, if it is known.
func ownFirewall(ctx context.Context, port int) (which, remedy string) {
	run := func(name string, args ...string) string {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, name, args...)
		c.WaitDelay = time.Second // a process that it has started may hold the pipe
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

// inputDrops returns the input chains of an nftables ruleset if one drops by policy, or has a rule that drops
// everything.
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

// mostDialled is the maximum number of found but unreached peers that are dialled.
const mostDialled = 16

// others looks for peers, by multicast and by probing every address.
func (d *doctor) others(ctx context.Context) {
	select {
	case <-time.After(Listen):
	case <-ctx.Done():
		return
	}
	problem := d.e.Problem()
	if errors.Is(problem, engine.ErrNoNetwork) {
		problem = nil // it has already been reported as NoNetwork or VPN
	}
	if problem != nil {
		d.report(Finding{Name: NoMulticast, Bad: true, Err: problem})
	}
	var searched error
	var wg sync.WaitGroup
	wg.Go(func() { _, searched = d.e.Search(ctx) })
	asked := d.dialFound(ctx)
	wg.Wait()

	heard, reached, unheard := 0, 0, 0
	var silent, refused, old []string
	var findings []Finding
	for _, p := range d.e.Peers() {
		if p.Via != "" { // it runs another program
			continue
		}
		if p.Heard {
			heard++
		}
		err, dialled := asked[p.ID]
		switch {
		case p.Confirmed && p.Heard:
			reached++
		case p.Confirmed && onLink(p.Addr.Addr()):
			unheard++
		case dialled:
			switch f := dialFinding(p.Name, err); f.Name {
			case OtherFirewall:
				silent = append(silent, p.Name)
			case Refused:
				refused = append(refused, p.Name)
			case Version:
				old = append(old, p.Name)
			case Failed:
				findings = append(findings, f)
			}
		}
	}
	for _, of := range []struct {
		name Name
		who  []string
	}{{Version, old}, {Refused, refused}, {OtherFirewall, silent}} {
		if len(of.who) > 0 {
			findings = slices.Insert(findings, 0, Finding{Name: of.name, Bad: true, Detail: strings.Join(of.who, ", ")})
		}
	}
	if reached > 0 {
		findings = slices.Insert(findings, 0, Finding{Name: Peers, N: reached})
	}
	switch {
	case heard == 0 && unheard > 0 && problem == nil:
		findings = append(findings, Finding{Name: Filtered, Bad: true, N: unheard})
	case len(d.e.Conflicts()) > 0: // a device was heard, and is reported with its cause
	case heard == 0 && unheard == 0 && len(findings) == 0:
		findings = append(findings, Finding{Name: Nobody, Bad: true, Err: searched})
	}
	for _, f := range findings {
		d.report(f)
	}
}

// dialFound dials the peers that were found but not reached, and returns the results. A device that is hidden from
// strangers does not dial them, which would reveal it.
func (d *doctor) dialFound(ctx context.Context) map[engine.PeerID]error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[engine.PeerID]error{}
	started := 0
	hidden := d.e.Self().Visible != engine.VisibleToAll
	for _, p := range d.e.Peers() {
		if hidden && p.Trust == engine.TrustUnknown { // guard: doctor-hidden
			continue
		}
		if p.Via != "" || p.Confirmed || len(p.Addrs) == 0 || started == mostDialled {
			continue
		}
		started++
		var at []string
		for _, a := range p.Addrs {
			at = append(at, a.String())
		}
		wg.Go(func() {
			_, err := d.e.Dial(ctx, p.ID.String()+"@"+strings.Join(at, ","))
			mu.Lock()
			defer mu.Unlock()
			out[p.ID] = err
		})
	}
	wg.Wait()
	return out
}

// address examines one address.
func (d *doctor) address(ctx context.Context, to string) {
	host, _, err := engine.ParseAddress(to)
	if err != nil {
		d.report(Finding{Name: Address, Bad: true, Err: err})
		return
	}
	if a, err := netip.ParseAddr(host); err == nil && !onLink(a) {
		d.report(Finding{Name: OtherSubnet, Bad: true, Detail: host})
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	id, err := d.e.Dial(short, to)
	if err == nil {
		d.report(Finding{Name: Reached, Detail: host, ID: id})
		return
	}
	d.report(dialFinding(host, err))
}

// dialFinding returns why a device, or the device at an address, was not reached.
func dialFinding(who string, err error) Finding {
	var unresolved *net.DNSError
	switch {
	case err == nil: // reached, but lost since then
		return Finding{}
	case errors.Is(err, engine.ErrOwnKey): // this device, or a copy of it, which is reported separately
		return Finding{Name: Address, Bad: true, Err: fmt.Errorf("%s is this device, or another device with a copy of its profile", who)}
	case errors.Is(err, engine.ErrRefused), errors.Is(err, engine.ErrBlocked):
		return Finding{Name: Refused, Bad: true, Detail: who}
	case errors.Is(err, engine.ErrVersion):
		return Finding{Name: Version, Bad: true, Detail: who}
	case errors.As(err, &unresolved) && unresolved.IsNotFound:
		return Finding{Name: Address, Bad: true, Err: fmt.Errorf("%s cannot be resolved; check the spelling, or give the IP address", who)}
	case errors.As(err, &unresolved):
		return Finding{Name: Address, Bad: true, Err: fmt.Errorf("%s could not be looked up: %w; give the IP address", who, err)}
	case errors.Is(err, engine.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return Finding{Name: OtherFirewall, Bad: true, Detail: who}
	}
	return Finding{Name: Failed, Bad: true, Detail: who, Err: err}
}

// onLink reports whether an address is on a network of this device.
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
