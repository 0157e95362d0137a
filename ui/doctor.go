package ui

import (
	"context"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/doctor"
	"multipeer/internal/history"
	"multipeer/ui/internal/widgets"
)

// finder helps to find devices: it scans the network and reports obstacles.
type finder struct {
	u         *UI
	conflicts map[engine.PeerID]bool // identities whose conflict was already reported
}

func newFinder(u *UI) *finder { return &finder{u: u, conflicts: map[engine.PeerID]bool{}} }

// newSearch returns a button that probes every nearby address, for networks without multicast.
func (fi *finder) newSearch() *widget.Button {
	var b *widget.Button
	b = widgets.NewButton(tr("Find devices"), widget.MediumImportance, func() {
		b.Disable()
		b.SetText(tr("Searching…"))
		background(fi.u.bind, func(ctx context.Context) ([]engine.PeerID, error) { return fi.u.e.Search(ctx) }, func(found []engine.PeerID, err error) {
			b.Enable()
			b.SetText(tr("Find devices"))
			fi.u.trace("searched %d", len(found))
			switch {
			case err != nil:
				fi.u.fail(err, "", true)
			case len(found) == 0:
				fi.u.say(tr("No other devices found on this network. Check that Multipeer is open on the other device and allowed through its firewall."))
			}
		})
	})
	return b
}

// newDoctor returns a button that diagnoses why devices do not find each other.
func (fi *finder) newDoctor() *widget.Button {
	var b *widget.Button
	b = widgets.NewButton(tr("Check network"), widget.MediumImportance, func() {
		b.Disable()
		b.SetText(tr("Looking…"))
		background(fi.u.bind, func(ctx context.Context) (found []doctor.Finding, err error) {
			doctor.Examine(ctx, fi.u.e, doctor.Options{OwnPort: fi.u.o.Settings.Port != 0, Interfaces: fi.u.o.Interfaces, LocalSend: fi.u.localSendPort()}, func(f doctor.Finding) { found = append(found, f) })
			return found, nil
		}, func(found []doctor.Finding, _ error) {
			b.Enable()
			b.SetText(tr("Check network"))
			fi.showFindings(found)
		})
	})
	return b
}

// showFindings lists the doctor's findings, problems first.
func (fi *finder) showFindings(found []doctor.Finding) {
	if fi.u.dialogs.open != nil { // another dialog is open
		fi.u.say(tr("Network check finished. Run it again to see the results."))
		return
	}
	list := widgets.NewStacked(widgets.Edge)
	bad := 0
	for _, want := range []bool{true, false} {
		for _, f := range found {
			if f.Bad == want {
				list.Add(fi.findingRow(f))
			}
			if f.Bad && want {
				bad++
			}
		}
	}
	title := tr("No problems found")
	if bad > 0 {
		title = tr("Problems found")
	}
	fi.u.trace("found %d bad of %d", bad, len(found))
	fi.u.dialogs.list(title, list, 460, 480)
}

func (fi *finder) findingRow(f doctor.Finding) fyne.CanvasObject {
	icon := widgets.IconDone
	switch {
	case f.Bad:
		icon = widgets.IconWarning
	case f.Name == doctor.VPN: // a VPN may be the cause
		icon = widgets.IconNotice
	}
	what, remedy := findingWords(f)
	const sign = 20
	below := func(o fyne.CanvasObject) fyne.CanvasObject {
		return widgets.NewStackedInset(widgets.Stacked{Left: sign + widgets.GapWide}, o)
	}
	row := widgets.NewStacked(widgets.GapTight, widgets.NewBeside(widgets.GapWide, container.New(widgets.Fixed(fyne.NewSquareSize(sign)), widget.NewIcon(icon)), widgets.NewParagraph(what, widgets.SizeBody, theme.ColorNameForeground)))
	if remedy != "" {
		row.Add(below(widgets.Hint(remedy)))
	}
	if f.Command != "" {
		copyIt := widgets.NewButton(tr("Copy"), widget.MediumImportance, func() { fi.u.copyText(f.Command) })
		command := widgets.NewParagraph(f.Command, widgets.SizeCode, theme.ColorNameForeground)
		command.Mono = true
		box := widgets.NewStackedInset(widgets.Stacked{Top: widgets.Gap, Bottom: widgets.Gap, Left: widgets.Gap, Right: widgets.Gap}, widgets.NewBesideRight(widgets.Gap, command, copyIt))
		row.Add(below(widgets.NewFilled(widgets.ColorBubbleIn, 8, box)))
	}
	return row
}

// findingWords describes a finding and its remedy.
func findingWords(f doctor.Finding) (what, remedy string) {
	switch f.Name {
	case doctor.Network:
		return tr("Connected via {{.Where}}", "Where", f.Detail), ""
	case doctor.NoNetwork:
		return tr("This device has no network"), tr("Connect to Wi-Fi or plug in a network cable.")
	case doctor.VPN:
		return tr("A VPN is active: {{.Which}}", "Which", f.Detail), tr("If devices can't find each other, turn the VPN off or allow local network access in its settings.")
	case doctor.PortTaken:
		return tr("The port is already in use, probably by another copy of Multipeer; using {{.Port}} instead", "Port", f.N), tr("Quit the other copy, or connect to this device by its address.")
	case doctor.Clock:
		return tr("The clock is set to {{.Date}}", "Date", f.Detail), tr("Set the correct date and time: certificates depend on them.")
	case doctor.OwnFirewall:
		what = tr("This device's firewall ({{.Which}}) blocks incoming connections", "Which", f.Detail)
		switch {
		case f.Command == "":
			return what, tr("Allow Multipeer in the system's firewall settings.")
		case f.Detail == "nftables":
			return what, tr("Add this rule to the firewall's input chain:")
		}
		return what, tr("Run this in a terminal:")
	case doctor.Peers:
		return trn("{{.N}} devices found and responding", int64(f.N)), ""
	case doctor.OtherFirewall:
		return tr("{{.Name}} is on the network but doesn't respond", "Name", f.Detail), tr("Allow Multipeer through its firewall. Guest Wi-Fi often isolates devices: try another network.")
	case doctor.Filtered:
		return trn("{{.N}} devices respond, but aren't discovered automatically", int64(f.N)), tr("This network blocks device discovery (multicast). Devices you know are still found; add new ones by link, QR code or address.")
	case doctor.Nobody:
		remedy = tr("Make sure Multipeer is open on the other device, both are on the same network (not a guest Wi-Fi), and its firewall allows Multipeer.")
		if f.Err != nil {
			return tr("No devices found, and the network scan failed: {{.Why}}", "Why", engine.CleanLine(f.Err.Error())), remedy
		}
		return tr("No other devices found"), remedy
	}
	return otherWords(f)
}

// conflict reports once that two devices share an identity: in a dialog, or in a toast if another dialog is open. If
// the identity is a peer's, conflict also adds a notice to the conversation with that peer.
func (fi *finder) conflict(c engine.Conflict) {
	if fi.conflicts[c.ID] {
		return
	}
	fi.conflicts[c.ID] = true
	var at []string
	for _, a := range c.Addrs {
		at = append(at, a.String())
	}
	f := doctor.Finding{Name: doctor.SameIdentity, Bad: true, ID: c.ID, Detail: strings.Join(at, ", ")}
	if c.ID == fi.u.self.ID {
		f.N = 1
	} else {
		t := fi.u.talk(c.ID)
		text := tr("Two devices are using {{.Name}}'s identity: {{.Where}}", "Name", fi.u.nameOf(t), "Where", f.Detail)
		fi.u.add(t, history.Row{Kind: history.Notice, Text: text}, nil)
	}
	fi.u.trace("conflict %v", c.ID.Short())
	if what, remedy := findingWords(f); fi.u.dialogs.open != nil { // another dialog is open
		fi.u.say(what + ". " + remedy)
		return
	}
	fi.u.dialogs.list(tr("Problems found"), widgets.NewStacked(widgets.Edge, fi.findingRow(f)), 460, 300)
}

// otherWords describes the rarer findings.
func otherWords(f doctor.Finding) (what, remedy string) {
	why := ""
	if f.Err != nil {
		why = engine.CleanLine(f.Err.Error())
	}
	switch f.Name {
	case doctor.NoMulticast:
		return tr("This device cannot find others by multicast: {{.Why}}", "Why", why), tr("Known devices are still found. Connect new ones by link, code or address.")
	case doctor.Refused:
		return tr("{{.Name}} does not accept connections from this device", "Name", f.Detail), tr("Ask the owner of that device whether this device is blocked there.")
	case doctor.Version:
		return tr("{{.Name}} is running a different version of Multipeer", "Name", f.Detail), tr("Update the older one.")
	case doctor.LocalSend:
		return localSendWords(f)
	case doctor.Failed:
		return tr("{{.Name}} could not be reached: {{.Why}}", "Name", f.Detail, "Why", why), ""
	case doctor.SameIdentity:
		remedy = tr("Anything sent to this identity reaches only one of the two devices. A profile was copied: delete the profile folder on one of them.")
		if f.N == 1 {
			return tr("Another device is using this device's identity: {{.Where}}", "Where", f.Detail), remedy
		}
		return tr("Two devices are using the same identity: {{.Where}}", "Where", f.Detail), remedy
	}
	return firstUpper(why), ""
}
