package ui

import (
	"strconv"
	"strings"

	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/internal/doctor"
	"multipeer/ui/internal/widgets"
)

// viaStatus describes how a device that does not run Multipeer is reached, and whether it is verified; empty for other
// devices.
func viaStatus(p engine.Peer, trust engine.Trust) string {
	switch {
	case p.Via == "":
		return ""
	case p.Plain:
		return joined(p.Via, tr("not encrypted"))
	case trust == engine.TrustVerified:
		return joined(p.Via, tr("verified"))
	}
	return joined(p.Via, tr("not verified"))
}

// comparable reports whether the user can verify a peer: with codes or, for LocalSend, by comparing keys.
func (u *UI) comparable(p engine.Peer) bool {
	return p.Via == "" || u.o.LocalSend != nil && p.Key != ""
}

// verify starts the verification of a peer.
func (u *UI) verify(id engine.PeerID) {
	if p := u.peers[id]; p.Via != "" {
		u.compareKeys(p)
		return
	}
	u.pairings.verify(id)
}

// compareKeys asks the user to compare the keys of this device and of a LocalSend device, which shows the same text.
func (u *UI) compareKeys(p engine.Peer) {
	if u.o.LocalSend == nil || p.Key == "" {
		return
	}
	name := u.nameOf(u.talk(p.ID))
	text := tr("In LocalSend on {{.Name}}, open this device's details and choose Verify. The two texts must match:", "Name", name)
	u.dialogs.ask(tr("Verify {{.Name}}", "Name", name), text+"\n\n"+inGroups(localsend.VerificationText(u.o.LocalSend.Fingerprint(), p.Key)), tr("They match"), u.setTrust(p.ID, engine.TrustVerified))
}

// enterPIN asks for the PIN of a LocalSend device, and then calls again, which retries the transfer.
func (ts *transfers) enterPIN(p engine.Peer, again func()) {
	u := ts.u
	if u.o.LocalSend == nil || p.Key == "" || p.Plain {
		u.say(tr("A PIN is sent only over an encrypted connection. On the other device, turn off the PIN or turn on encryption."))
		return
	}
	name := u.nameOf(u.talk(p.ID))
	field := u.newField(tr("PIN"))
	var m *widgets.Modal
	give := func() {
		pin := strings.TrimSpace(field.Text)
		if pin == "" || u.o.LocalSend.GivePIN(p.Key, pin) != nil {
			u.say(badPIN())
			return
		}
		m.Hide()
		again()
	}
	field.OnSubmitted = func(string) { give() }
	field.OnEscape = func() { m.Hide() }
	text := widgets.Hint(tr("{{.Name}} requires its PIN. It is in LocalSend's settings on that device.", "Name", widgets.Shortened(name, shownName)))
	m = u.dialogs.modal(tr("Enter the PIN"), widgets.NewStacked(widgets.Gap, text, field), 420,
		widgets.NewButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }), widgets.NewButton(tr("Send"), widget.HighImportance, give))
	m.Show()
	u.w.Canvas().Focus(field)
}

// inGroups formats a long text in groups of four characters, eight to a line.
func inGroups(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		switch {
		case i > 0 && i%32 == 0:
			b.WriteByte('\n')
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	return b.String()
}

// localSendPort returns the TCP port of the gateway; 0 if there is no gateway or it is off.
func (u *UI) localSendPort() int {
	if u.o.LocalSend == nil {
		return 0
	}
	return u.o.LocalSend.Port()
}

// localSendWords describes a finding about LocalSend.
func localSendWords(f doctor.Finding) (what, remedy string) {
	switch {
	case f.Detail != "":
		return tr("LocalSend itself is running on this device"), tr("While LocalSend is running, other devices find Multipeer only by multicast.")
	case f.N > 0:
		return trn("{{.N}} devices with LocalSend found", int64(f.N)), ""
	}
	return tr("No device with LocalSend was found"), tr("If you have one nearby, open LocalSend on it and keep it in the foreground. This device's firewall must allow port {{.Port}}.", "Port", strconv.Itoa(localsend.DefaultPort))
}
