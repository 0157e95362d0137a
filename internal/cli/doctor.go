package cli

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

	"github.com/spf13/cobra"
)

// finding is something that the doctor has seen: a short name that stays, what it is, and what to do.
type finding struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Bad    bool   `json:"bad"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// doctorTime is how long it looks for peers by multicast before it asks every address.
const doctorTime = 3 * time.Second

func (p *program) doctorCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "doctor", Short: "Find out why devices do not find or reach each other", Args: cobra.NoArgs,
		Long: `doctor looks at this device's network, firewall, port and clock, listens for others by multicast, asks every
address of small networks, and says what is wrong and what to do about it. With --to it looks at one address. It names no
file and no message. Start Multipeer on the other device first. Exit code 1 says that something was found.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				awaitRunning(ctx, e)
				d := &doctor{p: p, e: e}
				d.device()
				if to != "" {
					d.address(ctx, to)
				} else {
					d.others(ctx)
				}
				if d.bad {
					return exit(exitFailed, errors.New("see above for what to do"))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "the address of a device that cannot be reached (HOST or HOST:PORT)")
	return c
}

type doctor struct {
	p   *program
	e   *engine.Engine
	bad bool
}

// tell prints a finding.
func (d *doctor) tell(name string, bad bool, what, remedy string) {
	d.bad = d.bad || bad
	d.p.out.object(finding{"finding", name, bad, what, remedy})
	mark := "ok  "
	if bad {
		mark = "BAD "
	}
	d.p.out.line("%s%-20s %s", mark, name, what)
	if remedy != "" {
		d.p.out.line("    %-20s %s", "", remedy)
	}
}

// device looks at this device alone.
func (d *doctor) device() {
	up, tunnels := interfaces()
	if len(up) == 0 {
		d.tell("no-network", true, "No network interface is up.", "Join a Wi-Fi, plug in a cable, or switch the interface on.")
	} else {
		d.tell("network", false, "On "+strings.Join(up, ", ")+".", "")
	}
	if len(tunnels) > 0 {
		d.tell("vpn", false, "A VPN or tunnel is up: "+strings.Join(tunnels, ", ")+".", "If devices do not find each other, leave it, or let it spare the local network (\"allow LAN access\").")
	}
	if port := d.e.Self().Port; d.p.port == 0 && port != engine.DefaultPort {
		d.tell("port-taken", true, fmt.Sprintf("UDP port %d is taken, most likely by another Multipeer on this device; this one has %d.", engine.DefaultPort, port), "Close the other one, or give others this device's address with its port.")
	}
	if now := time.Now(); now.Year() < 2026 {
		d.tell("clock", true, "The clock says "+now.Format(time.DateOnly)+".", "Set it: keys and certificates have dates.")
	}
	if what, remedy := ownFirewall(d.e.Self().Port); what != "" {
		d.tell("own-firewall", true, what, remedy)
	}
}

// interfaces lists those that are up with their addresses, and those that are tunnels.
func interfaces() (up, tunnels []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 || i.Flags&net.FlagLoopback != 0 || len(addrs) == 0 {
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

// ownFirewall tells what keeps others out here, as far as that can be seen without asking anybody; empty if nothing.
func ownFirewall(port int) (what, remedy string) {
	run := func(name string, args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch runtime.GOOS {
	case "linux":
		if s := run("ufw", "status"); strings.Contains(s, "Status: active") && !strings.Contains(s, fmt.Sprint(port)) {
			return "ufw is active and has no rule for Multipeer.", fmt.Sprintf("sudo ufw allow %d && sudo ufw allow 5353/udp", port)
		}
		if s := run("firewall-cmd", "--list-all"); s != "" && !strings.Contains(s, fmt.Sprint(port)) {
			return "firewalld is active and has no rule for Multipeer.", fmt.Sprintf("sudo firewall-cmd --add-service=mdns --add-port=%d/udp --add-port=%d/tcp, and the same with --permanent", port, port)
		}
		if rules := inputDrops(run("nft", "list", "ruleset")); rules != "" && !strings.Contains(rules, fmt.Sprint(port)) {
			return "nftables drops what comes in unasked.", fmt.Sprintf("Add to its input chain: udp dport { %d, 5353 } accept; tcp dport %d accept", port, port)
		}
	case "windows":
		if s := run("netsh", "advfirewall", "show", "currentprofile", "firewallpolicy"); strings.Contains(s, "BlockInboundAlways") {
			return "The Windows firewall blocks everything that comes in.", "Settings, Network, Firewall: do not block all incoming connections; then allow Multipeer when it asks."
		}
	case "darwin":
		if s := run("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getblockall"); strings.Contains(s, "enabled") {
			return "The firewall of macOS blocks everything that comes in.", "System Settings, Network, Firewall, Options: do not block all incoming connections."
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
	case <-time.After(doctorTime):
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
	case reached > 0:
		d.tell("peers", false, fmt.Sprintf("%d found by multicast and reached.", reached), "")
	case heard > 0:
		d.tell("other-firewall", true, strings.Join(deaf, ", ")+" can be heard, and does not answer.", "Let Multipeer through its firewall: run multipeer-cli doctor there. On a guest Wi-Fi devices may be kept from each other (\"client isolation\"): use another network.")
	case unheard > 0:
		d.tell("multicast-filtered", true, fmt.Sprintf("%d devices can be reached, and none can be heard by multicast: the network drops it, or this device does.", unheard), "Known devices are found all the same. Connect new ones by their link, QR code or address, or by peers --search. Who runs the network can turn off \"IGMP snooping\" or \"multicast filtering\".")
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		d.tell("nobody", true, fmt.Sprintf("No device was heard, and the network could not be searched: %v.", err), "Give the address of the other device: doctor --to ADDRESS.")
	default:
		d.tell("nobody", true, "No device was heard by multicast, and none answers on this network.", "Is Multipeer running there, on this very network (not a guest Wi-Fi, not another subnet), and does its firewall let it through? Run the doctor there, and here with --to ITS-ADDRESS.")
	}
}

// address looks at one address.
func (d *doctor) address(ctx context.Context, to string) {
	host, _, err := engine.ParseAddress(to)
	if err != nil {
		d.tell("address", true, err.Error()+".", "")
		return
	}
	if a, err := netip.ParseAddr(host); err == nil && !onLink(a) {
		d.tell("other-subnet", true, host+" is on another network than this device.", "Multicast does not cross a router: connect by the address or a link, which works if the router lets it through.")
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	id, err := d.e.Dial(short, to)
	switch {
	case err == nil:
		d.tell("reached", false, host+" answers: it is "+id.Short()+".", "If it is not found by itself, the network drops multicast: connect by this address.")
	case errors.Is(err, engine.ErrRefused), errors.Is(err, engine.ErrBlocked):
		d.tell("refused", true, host+" does not let this device in: it is blocked there, or not visible to strangers.", "Ask its owner.")
	case errors.Is(err, engine.ErrVersion):
		d.tell("version", true, host+" runs another version of Multipeer.", "Update the older one.")
	default:
		d.tell("other-firewall", true, host+" does not answer.", "Is Multipeer running there, and does its firewall let it through? One side is enough: if this device can be reached, dial from there instead.")
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
