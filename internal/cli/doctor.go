package cli

import (
	"context"
	"errors"
	"fmt"

	"multipeer/bridge/localsend"
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
		Use: "doctor", Short: "Find out why devices cannot find or reach each other", Args: cobra.NoArgs,
		Long: `doctor looks at this device's network, firewall, port and clock, listens for others over multicast, probes every
address of small networks, and says what is wrong and what to do about it. With --to it checks one address. Its output
contains no file names or messages. Start Multipeer on the other device first. Exit code 1 means that it found a problem.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				bad := false
				doctor.Examine(ctx, e, doctor.Options{To: to, OwnPort: p.ownPort(), Interfaces: p.interfaces(), LocalSend: p.localSendPort()}, func(f doctor.Finding) {
					bad = bad || f.Bad
					p.printFinding(f)
				})
				if ctx.Err() != nil { // partial results would be misleading
					return errInterrupted
				}
				if bad {
					return exit(exitFailed, errors.New("problems found; see above for what to do"))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "`ADDRESS` of a device that cannot be reached (HOST or HOST:PORT)")
	return c
}

// ownPort reports whether the user has set the engine's port.
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

// findingText returns the finding and what to do about it.
func findingText(f doctor.Finding) (what, remedy string) {
	switch f.Name {
	case doctor.Network:
		return "Connected through " + f.Detail + ".", ""
	case doctor.NoNetwork:
		if f.Detail != "" {
			return "None of the requested interfaces is up: " + f.Detail + ".", "Switch one on, or omit --interface."
		}
		return "No network interface is up.", "Connect to Wi-Fi, plug in a cable, or switch the interface on."
	case doctor.VPN:
		if f.Bad {
			return "Only a VPN or tunnel is up: " + f.Detail + ".", "Connect to Wi-Fi, plug in a cable, or switch the interface on. Use --interface to find devices through the tunnel, if it carries multicast."
		}
		return "A VPN or tunnel is up: " + f.Detail + ".", "If devices do not find each other, turn it off, or exclude the local network from it (\"allow LAN access\")."
	case doctor.PortTaken:
		return fmt.Sprintf("UDP port %d is taken, most likely by another copy of Multipeer on this device; this copy uses %d.", engine.DefaultPort, f.N), "Close the other copy, or include the port in the address that you give to others."
	case doctor.Clock:
		return "The clock is set to " + f.Detail + ".", "Set the right date and time: certificates depend on them."
	case doctor.OwnFirewall:
		return firewallText(f)
	case doctor.NoMulticast:
		return "This device cannot find others by multicast: " + engine.CleanLine(f.Err.Error()) + ".", "Known devices are still found. Connect to new ones by link, QR code or address, or find them with multipeer-cli peers --search."
	case doctor.Peers:
		return fmt.Sprintf("Devices found by multicast and reached: %d.", f.N), ""
	case doctor.OtherFirewall:
		return "No answer from " + f.Detail + ".", "Is Multipeer running on the other device, and does the firewall on it allow Multipeer? Run multipeer-cli doctor on that device. A guest Wi-Fi may keep devices apart (\"client isolation\"): use another network. One direction is enough: if this device can be reached, connect from the other one."
	case doctor.Filtered:
		return fmt.Sprintf("%d devices can be reached, but none of them was heard over multicast: the network or this device drops multicast, or the devices do not announce themselves.", f.N), "Known devices are still found. Connect to new ones by link, QR code or address, or find them with multipeer-cli peers --search; one is enough, because connected devices tell each other about the rest. The network administrator can turn off \"IGMP snooping\" or \"multicast filtering\"."
	case doctor.Nobody:
		if f.Err != nil {
			return "No device was heard over multicast, and not every address on this network could be probed: " + engine.CleanLine(f.Err.Error()) + ".", "Give the address of the other device: doctor --to ADDRESS."
		}
		return "No device was heard over multicast, and none answered on this network.", "Is Multipeer running on the other device, on this same network (not a guest Wi-Fi, not another subnet), and does the firewall on it allow Multipeer? Run multipeer-cli doctor on that device, and multipeer-cli doctor --to ITS-ADDRESS on this one."
	case doctor.Address:
		return engine.CleanLine(f.Err.Error()) + ".", ""
	case doctor.OtherSubnet:
		return f.Detail + " is not on the same network as this device.", "Multicast does not cross a router: connect by the address or a link, which works if the router lets it through."
	case doctor.Reached:
		return f.Detail + " answers: it is " + f.ID.Short() + ".", "If it is not found automatically, multicast does not pass between the two devices: connect by this address."
	case doctor.Refused:
		return "Refused by " + f.Detail + ": this device is blocked there, or unknown devices are not accepted.", "Ask the owner of that device to accept this one."
	case doctor.Version:
		return f.Detail + " is running another version of Multipeer.", "Update the older one."
	case doctor.SameIdentity:
		whose := f.ID.Short()
		if f.N == 1 {
			whose = "this device"
		}
		return "Two devices are using the identity of " + whose + ": " + f.Detail + ". Data sent to this identity reaches only one of them.", "A profile was copied, or a disk was cloned. Give one of them an empty profile (--profile)."
	case doctor.LocalSend:
		return localSendText(f)
	case doctor.Failed:
		return f.Detail + " could not be reached: " + engine.CleanLine(f.Err.Error()) + ".", ""
	}
	return string(f.Name), ""
}

// localSendText describes a finding about LocalSend.
func localSendText(f doctor.Finding) (what, remedy string) {
	switch {
	case f.Detail != "":
		what = fmt.Sprintf("%d devices with LocalSend found. TCP port %d is taken, most likely by LocalSend on this device; this program uses %s.", f.N, localsend.DefaultPort, f.Detail)
		return what, "Devices with LocalSend find this one by multicast only. Close LocalSend on this device to free its port."
	case f.N > 0:
		return fmt.Sprintf("%d devices with LocalSend found.", f.N), ""
	}
	return "No device with LocalSend was found.", fmt.Sprintf("If there is one, open LocalSend on it and keep it in the foreground: it does not answer in the background. The firewall on this device has to allow TCP and UDP port %d.", localsend.DefaultPort)
}

func firewallText(f doctor.Finding) (what, remedy string) {
	switch f.Detail {
	case "nftables":
		return "An input chain of nftables drops packets, and has no rule for Multipeer's port.", "Add to its input chain: " + f.Command
	case "Windows":
		return "The Windows firewall blocks all incoming connections.", "Settings, Network, Firewall: do not block all incoming connections; then allow Multipeer when Windows asks."
	case "macOS":
		return "The macOS firewall blocks all incoming connections.", "System Settings, Network, Firewall, Options: do not block all incoming connections."
	}
	return f.Detail + " is active and has no rule for Multipeer.", f.Command
}
