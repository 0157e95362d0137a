package ui

import (
	"context"
	"os/user"
	"strings"

	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/settings"
	"multipeer/ui/internal/widgets"
)

// Welcomes reports whether the window must ask for a name first, as on the first start without one. Until then the
// engine must not advertise or browse, and the LocalSend gateway must be off: nothing is announced that the user has
// not seen.
func Welcomes(s *settings.Settings, name string) bool { return name == "" && !s.Welcomed }

// welcome asks for this device's name, and then makes the device visible.
func (u *UI) welcome() {
	entry := u.newField(u.self.Name)
	entry.SetText(u.self.Name)
	if strings.HasSuffix(u.self.Name, " "+u.self.ID.Short()[:4]) { // the name is the engine's default
		entry.SetText(suggestedName(u.self.Name))
	}
	var m *widgets.Modal
	chosen := u.self.Name // used if the dialog is dismissed: the default reveals nothing about the user
	begin := func() {
		name := strings.TrimSpace(entry.Text)
		if name == "" {
			name = u.self.Name
		}
		if engine.ValidateName(name) != nil {
			u.say(badName())
			return
		}
		chosen = name
		m.Hide()
	}
	entry.OnSubmitted = func(string) { begin() }
	entry.OnEscape = func() { m.Hide() }
	text := widgets.Hint(tr("Others on this network see this name. You can change it in the settings."))
	m = u.dialogs.modal(tr("What should others call this device?"), widgets.NewStacked(widgets.Gap, text, entry), 420,
		widgets.NewButton(tr("Start"), widget.HighImportance, begin))
	m.Closed = func() { u.beginAs(chosen) }
	u.trace("ask %q", "What should others call this device?")
	m.Show()
	u.w.Canvas().Focus(entry)
}

// beginAs saves the name, and makes this device visible according to the settings.
func (u *UI) beginAs(name string) {
	u.o.Settings.Welcomed = true
	u.keepSettings()
	background(u.bind, func(context.Context) (struct{}, error) {
		defer u.e.SetLooking(true, true)
		return struct{}{}, u.e.SetName(name)
	}, func(_ struct{}, err error) {
		u.fail(err, "", true)
		if u.o.LocalSend != nil {
			u.o.LocalSend.SetOn(!u.o.Settings.NoLocalSend)
		}
		u.trace("welcomed as %q", name)
	})
}

// suggestedName derives a name from the user's name, which the user sees before anyone else does. Without a user name
// it returns the default.
func suggestedName(standard string) string {
	who, err := user.Current()
	if err != nil || who.Uid == "0" {
		return standard
	}
	first, _, _ := strings.Cut(strings.TrimSpace(who.Name), " ")
	first = strings.Trim(first, ",")
	if first == "" {
		return standard
	}
	device, _, _ := strings.Cut(standard, " ")
	if strings.HasPrefix(standard, "Linux PC") || strings.HasPrefix(standard, "Windows PC") {
		device = "PC"
	}
	if name := tr("{{.Name}}'s {{.Device}}", "Name", first, "Device", device); engine.ValidateName(name) == nil {
		return name
	}
	return standard
}
