package ui

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/doctor"
)

// newDoctor is a button that finds out why devices do not find each other.
func (u *UI) newDoctor() *widget.Button {
	var b *widget.Button
	b = newButton(tr("Why is one missing?"), widget.MediumImportance, func() {
		b.Disable()
		b.SetText(tr("Looking…"))
		background(u.bind, func(ctx context.Context) (found []doctor.Finding, err error) {
			doctor.Examine(ctx, u.e, doctor.Options{OwnPort: u.o.Settings.Port != 0, Interfaces: u.o.Interfaces}, func(f doctor.Finding) { found = append(found, f) })
			return found, nil
		}, func(found []doctor.Finding, _ error) {
			b.Enable()
			b.SetText(tr("Why is one missing?"))
			u.showFindings(found)
		})
	})
	return b
}

// showFindings lists what the doctor has found, what is bad first.
func (u *UI) showFindings(found []doctor.Finding) {
	if u.dialog != nil { // somebody is asked something meanwhile
		u.say(tr("The network was looked at. Ask again to see what was found."))
		return
	}
	list := newStacked(edge)
	bad := 0
	for _, want := range []bool{true, false} {
		for _, f := range found {
			if f.Bad == want {
				list.Add(u.findingRow(f))
			}
			if f.Bad && want {
				bad++
			}
		}
	}
	title := tr("Nothing is in the way")
	if bad > 0 {
		title = tr("This is in the way")
	}
	u.trace("found %d bad of %d", bad, len(found))
	u.list(title, list, 460, 480)
}

func (u *UI) findingRow(f doctor.Finding) fyne.CanvasObject {
	icon := iconVerified
	if f.Bad {
		icon = iconWarning
	}
	what, remedy := findingWords(f)
	const sign = 20
	below := func(o fyne.CanvasObject) fyne.CanvasObject {
		return newStackedInset(stacked{left: sign + gapWide}, o)
	}
	row := newStacked(gapTight, newBeside(gapWide, container.New(fixed(fyne.NewSquareSize(sign)), widget.NewIcon(icon)), newParagraph(what, sizeBody, theme.ColorNameForeground)))
	if remedy != "" {
		row.Add(below(hint(remedy)))
	}
	if f.Command != "" {
		copyIt := newButton(tr("Copy"), widget.MediumImportance, func() { u.copyText(f.Command) })
		row.Add(below(newBesideRight(gap, newParagraph(f.Command, sizeCode, theme.ColorNameForeground), copyIt)))
	}
	return row
}

// findingWords says what was found, and what to do about it.
func findingWords(f doctor.Finding) (what, remedy string) {
	switch f.Name {
	case doctor.Network:
		return tr("Connected by {{.Where}}", "Where", f.Detail), ""
	case doctor.NoNetwork:
		return tr("This device has no network"), tr("Join a Wi-Fi, plug in a cable, or switch the network on.")
	case doctor.VPN:
		return tr("A VPN is up: {{.Which}}", "Which", f.Detail), tr("If devices do not find each other, leave it, or let it spare the local network.")
	case doctor.PortTaken:
		return tr("The usual port is taken, most likely by another Multipeer on this device; this one has {{.Port}}", "Port", f.N), tr("Close the other one, or give others this device's address.")
	case doctor.Clock:
		return tr("The clock says {{.Date}}", "Date", f.Detail), tr("Set it: keys have dates.")
	case doctor.OwnFirewall:
		what = tr("The firewall of this device ({{.Which}}) lets nothing in", "Which", f.Detail)
		switch {
		case f.Command == "":
			return what, tr("Let Multipeer through in the settings of the system.")
		case f.Detail == "nftables":
			return what, tr("Add this to its input chain:")
		}
		return what, tr("Type this in a terminal:")
	case doctor.Peers:
		return trn("{{.N}} devices were found and answer", int64(f.N)), ""
	case doctor.OtherFirewall:
		return tr("{{.Name}} can be heard, and does not answer", "Name", f.Detail), tr("Let Multipeer through its firewall. On a guest Wi-Fi devices may be kept from each other: use another network.")
	case doctor.Filtered:
		return trn("{{.N}} devices answer, but cannot be heard", int64(f.N)), tr("The network drops multicast. Known devices are found all the same; connect new ones by link, code or address.")
	case doctor.Nobody:
		remedy = tr("Is Multipeer running there, on this very network and not on a guest Wi-Fi? Does its firewall let it through?")
		if f.Err != nil {
			return tr("Nobody was heard, and the network could not be searched: {{.Why}}", "Why", engine.CleanLine(f.Err.Error())), remedy
		}
		return tr("No other device answers here"), remedy
	}
	return string(f.Name), ""
}
