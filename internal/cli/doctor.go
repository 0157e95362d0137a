package cli

import (
	"context"
	"errors"
	"fmt"

	"multipeer/engine"
	"multipeer/internal/doctor"

	"github.com/spf13/cobra"
)

// finding is a finding of the doctor, in JSON.
type finding struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Bad    bool   `json:"bad"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

func (p *program) doctorCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "doctor", Short: "Find out why devices do not find or reach each other", Args: cobra.NoArgs,
		Long: `doctor looks at this device's network, firewall, port and clock, listens for others by multicast, asks every
address of small networks, and says what is wrong and what to do about it. With --to it looks at one address. It names no
file and no message. Start Multipeer on the other device first. Exit code 1 says that something was found.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				awaitRunning(ctx, e)
				bad := false
				doctor.Examine(ctx, e, doctor.Options{To: to, OwnPort: p.ownPort(), Interfaces: p.interfaces()}, func(f doctor.Finding) {
					bad = bad || f.Bad
					p.printFinding(f)
				})
				if ctx.Err() != nil { // what was found so far says nothing about the rest
					return errInterrupted
				}
				if bad {
					return exit(exitFailed, errors.New("see above for what to do"))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "the address of a device that cannot be reached (HOST or HOST:PORT)")
	return c
}

// ownPort reports whether the user has chosen the engine's port.
func (p *program) ownPort() bool {
	if p.host != nil {
		return p.host.OwnPort
	}
	return p.port != 0
}

// interfaces returns the interfaces that the engine was configured to use; none means all.
func (p *program) interfaces() []string {
	if p.host != nil {
		return p.host.Interfaces
	}
	return p.ifaces
}

func (p *program) printFinding(f doctor.Finding) {
	what, remedy := findingText(f)
	p.out.object(finding{"finding", string(f.Name), f.Bad, what, remedy})
	mark := verbatim("ok  ")
	if f.Bad {
		mark = "BAD "
	}
	p.out.line("%s%-20s %s", mark, f.Name, what)
	if remedy != "" {
		p.out.line("    %-20s %s", "", remedy)
	}
}

// findingText returns what was found, and what to do.
func findingText(f doctor.Finding) (what, remedy string) {
	switch f.Name {
	case doctor.Network:
		return "On " + f.Detail + ".", ""
	case doctor.NoNetwork:
		if f.Detail != "" {
			return "None of the interfaces that were asked for is up: " + f.Detail + ".", "Switch it on, or leave --interface out."
		}
		return "No network interface is up.", "Join a Wi-Fi, plug in a cable, or switch the interface on."
	case doctor.VPN:
		if f.Bad {
			return "No network is up but a VPN or tunnel: " + f.Detail + ".", "Join a Wi-Fi, plug in a cable, or switch the interface on. Give --interface to find devices through the tunnel, if it carries multicast."
		}
		return "A VPN or tunnel is up: " + f.Detail + ".", "If devices do not find each other, leave it, or let it spare the local network (\"allow LAN access\")."
	case doctor.PortTaken:
		return fmt.Sprintf("UDP port %d is taken, most likely by another Multipeer on this device; this one has %d.", engine.DefaultPort, f.N), "Close the other one, or give others this device's address with its port."
	case doctor.Clock:
		return "The clock says " + f.Detail + ".", "Set it: keys and certificates have dates."
	case doctor.OwnFirewall:
		return firewallText(f)
	case doctor.NoMulticast:
		return "This device cannot find others by multicast: " + engine.CleanLine(f.Err.Error()) + ".", "Known devices are found all the same. Connect new ones by their link, QR code or address, or by peers --search."
	case doctor.Peers:
		return fmt.Sprintf("%d found by multicast and reached.", f.N), ""
	case doctor.OtherFirewall:
		return f.Detail + " does not answer.", "Is Multipeer running there, and does its firewall let it through? Run multipeer-cli doctor there. On a guest Wi-Fi devices may be kept from each other (\"client isolation\"): use another network. One side is enough: if this device can be reached, dial from there."
	case doctor.Filtered:
		return fmt.Sprintf("%d devices can be reached, and none can be heard by multicast: the network drops it, or this device does, or they do not announce themselves.", f.N), "Known devices are found all the same. Connect new ones by their link, QR code or address, or by peers --search; one is enough, since connected devices tell each other of the rest. Who runs the network can turn off \"IGMP snooping\" or \"multicast filtering\"."
	case doctor.Nobody:
		if f.Err != nil {
			return "No device was heard by multicast, and not every address here was asked: " + engine.CleanLine(f.Err.Error()) + ".", "Give the address of the other device: doctor --to ADDRESS."
		}
		return "No device was heard by multicast, and none answers on this network.", "Is Multipeer running there, on this very network (not a guest Wi-Fi, not another subnet), and does its firewall let it through? Run the doctor there, and here with --to ITS-ADDRESS."
	case doctor.Address:
		return engine.CleanLine(f.Err.Error()) + ".", ""
	case doctor.OtherSubnet:
		return f.Detail + " is on another network than this device.", "Multicast does not cross a router: connect by the address or a link, which works if the router lets it through."
	case doctor.Reached:
		return f.Detail + " answers: it is " + f.ID.Short() + ".", "If it is not found by itself, multicast does not get there from here: connect by this address."
	case doctor.Refused:
		return "Refused by " + f.Detail + ": this device is blocked there, or strangers are not let in.", "Ask its owner."
	case doctor.Version:
		return "Another version of Multipeer runs on " + f.Detail + ".", "Update the older one."
	case doctor.SameIdentity:
		whose := f.ID.Short()
		if f.N == 1 {
			whose = "this device"
		}
		return "Two devices use the identity of " + whose + ": " + f.Detail + ". What is sent to it reaches either.", "A profile was copied, or a disk cloned. Give one of the two an empty profile (--profile)."
	case doctor.Failed:
		return f.Detail + " was not reached: " + engine.CleanLine(f.Err.Error()) + ".", ""
	}
	return string(f.Name), ""
}

func firewallText(f doctor.Finding) (what, remedy string) {
	switch f.Detail {
	case "nftables":
		return "An input chain of nftables drops packets, and has no rule for Multipeer's port.", "Add to its input chain: " + f.Command
	case "Windows":
		return "The Windows firewall blocks everything that comes in.", "Settings, Network, Firewall: do not block all incoming connections; then allow Multipeer when it asks."
	case "macOS":
		return "The firewall of macOS blocks everything that comes in.", "System Settings, Network, Firewall, Options: do not block all incoming connections."
	}
	return f.Detail + " is active and has no rule for Multipeer.", f.Command
}
