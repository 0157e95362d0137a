package ui

import (
	"context"
	"fmt"
	"image/color"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"multipeer/engine"
	"multipeer/internal/rawpath"
	"multipeer/internal/settings"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// settingsPage shows the settings. A change is saved and takes effect at once; the page shows a hint if a restart is
// needed.
type settingsPage struct {
	u      *UI
	box    *fyne.Container
	back   *widgets.QuietButton
	name   *widgets.Field
	folder *widgets.Line
	list   *fyne.Container // of known devices
	scroll *widgets.Scroll
	groups *groupList
	shown  *fyne.Container // whether the device is visible to everyone, and until when
	about  *widgets.Line
}

// showSettings shows the settings page.
func (u *UI) showSettings() {
	u.saveDraft()
	u.current = nil
	u.prefs = newSettingsPage(u)
	box := u.pages[pageSettings].(*fyne.Container)
	box.Objects = []fyne.CanvasObject{u.prefs.box}
	u.turn(pageSettings)
	widgets.Show(u.prefs.back, u.shell.narrow)
	box.Refresh()
	u.trace("settings")
	u.settle()
}

// keepSettings saves the settings. They are in one small file, so this runs on the main thread.
func (u *UI) keepSettings() {
	if u.bind == nil {
		return
	}
	err := u.o.Settings.Save()
	u.fail(err, "", true)
}

func newSettingsPage(u *UI) *settingsPage {
	p := &settingsPage{u: u, list: widgets.NewStacked(widgets.Gap), shown: widgets.NewStacked(widgets.Gap)}
	p.back = widgets.NewIconButton(widgets.IconBack, tr("Back"), u.back)
	head := widgets.NewHead(widgets.NewBeside(widgets.Gap, p.back, widgets.NewLine(tr("Settings"), widgets.SizeTitle, theme.ColorNameForeground, true)))
	content := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.Edge, Top: widgets.Edge, Bottom: widgets.EdgeWide, Left: widgets.Edge, Right: widgets.Edge})
	groups := []settingsGroup{p.you(), p.receiving(), p.talks(), p.looks(), p.desk(), p.network(), p.known(), p.aboutUs()}
	groups = slices.DeleteFunc(groups, func(g settingsGroup) bool { return g.card == nil })
	for _, g := range groups {
		content.Add(g.card)
	}
	shown, scroll := widgets.NewScroll(container.New(settingsColumn{}, content))
	p.scroll, p.groups = scroll, newGroupList(u.w.Canvas(), groups, scroll)
	p.box = widgets.NewPane(head, nil, p.groups.beside(shown))
	p.people()
	return p
}

func (p *settingsPage) toggle(name, about string, on bool, changed func(bool)) *fyne.Container {
	return widgets.Setting(name, about, widgets.NewToggle(name, widgets.ToggleStates{On: tr("on"), Off: tr("off")}, on, func(on bool) {
		changed(on)
		p.u.keepSettings()
		p.u.settle()
	}))
}

// choice returns a row with a few options; chosen is the index of the current one.
func (p *settingsPage) choice(name, about string, labels []string, chosen int, changed func(int)) *fyne.Container {
	return widgets.Setting(name, about, widgets.NewSegments(labels, max(0, chosen), func(i int) {
		changed(i)
		p.u.keepSettings()
		p.u.settle()
	}))
}

// restarting returns a row with a hidden hint below it that the change takes effect after a restart, and a function
// that shows the hint.
func (p *settingsPage) restarting(row fyne.CanvasObject) (with fyne.CanvasObject, later func()) {
	hint := widgets.NewBesideRight(widgets.Gap, widgets.Hint(tr("Restart Multipeer to apply this.")), widgets.NewButton(tr("Restart now"), widget.MediumImportance, p.u.restart))
	hint.Hide()
	return widgets.NewStacked(widgets.Gap, row, hint), func() {
		widgets.Show(hint, true)
		p.box.Refresh()
	}
}

func (p *settingsPage) you() settingsGroup {
	u, s := p.u, p.u.o.Settings
	p.name = u.newField("")
	p.name.SetText(u.self.Name)
	p.name.OnSubmitted = p.rename
	p.name.OnEscape = func() { p.name.SetText(u.self.Name) }
	p.name.OnLeft = func() { p.rename(p.name.Text) }
	own := colorOf(u.self.ID, 0)
	colors, numbers := []color.NRGBA{own}, []int{0}
	for i, c := range widgets.AvatarColors {
		if widgets.RGB(c) != own {
			colors, numbers = append(colors, widgets.RGB(c)), append(numbers, i+1)
		}
	}
	pick := widgets.NewSwatches(colors, max(0, slices.Index(numbers, s.Colour)), func(i int) {
		s.Colour = numbers[i]
		u.keepSettings()
		u.describeSelf()
		u.dirty.side = true
		u.settle()
	})
	return newSettingsGroup(tr("This device"),
		widgets.Setting(tr("Name"), tr("Shown to other devices."), p.name),
		widgets.Setting(tr("Avatar colour"), tr("The first colour is the default."), widgets.Row(0, pick)))
}

func (p *settingsPage) rename(name string) {
	u := p.u
	name = strings.TrimSpace(name)
	if name == u.self.Name {
		return
	}
	if engine.ValidateName(name) != nil {
		u.say(badName())
		return
	}
	background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetName(name) }, func(_ struct{}, err error) {
		u.trace("renamed %q", name)
		u.fail(err, "", true)
	})
}

// badName returns the message for an invalid device name.
func badName() string { return tr("Enter a name of 1 to 63 visible characters on one line.") }

func (p *settingsPage) receiving() settingsGroup {
	u, s := p.u, p.u.o.Settings
	p.folder = widgets.NewLine(shortPath(u.downloads()), widgets.SizeBody, theme.ColorNameForeground, false)
	p.folder.Tail = 24
	change := widgets.NewButton(tr("Change…"), widget.MediumImportance, func() {
		u.dialogs.pick(true, func(paths []string) {
			s.Downloads, s.DownloadsPlace, u.o.Downloads = rawpath.Path(paths[0]), "", ""
			u.keepSettings()
			p.folder.SetText(shortPath(paths[0]))
			background(u.bind, func(context.Context) (transfer.Place, error) { return u.transfers.places.choose(paths[0]), nil }, func(place transfer.Place, _ error) {
				if string(s.Downloads) == paths[0] {
					s.DownloadsPlace = string(place)
					u.keepSettings()
				}
			})
		})
	})
	show := widgets.NewButton(tr("Show"), widget.LowImportance, func() {
		dir := u.downloads()
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.Desktop.Open(dir) }, func(_ struct{}, err error) {
			u.fail(err, "", true)
		})
	})
	accept := []string{settings.Nobody, settings.Verified, ""}
	at := slices.Index(accept, s.Accept)
	if at < 0 {
		at = 2
	}
	sizes := []int64{100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000}
	var labels []string
	for _, n := range sizes {
		labels = append(labels, roundSize(n))
	}
	return newSettingsGroup(tr("Receiving"),
		widgets.Setting(tr("Save received files to"), "", widgets.NewBesideRight(widgets.Gap, p.folder, widgets.Row(widgets.Gap, show, change))),
		p.choice(tr("Connect without asking"), tr("You'll still be asked about files."), []string{tr("No one"), tr("Verified devices"), tr("Anyone I've accepted")}, at, func(i int) {
			s.Accept = accept[i]
			u.fail(u.e.SetPolicies(Acceptance(s), Acceptance(s)), "", true)
		}),
		p.choice(tr("Daily limit for automatic receiving"), tr("For each verified device. Turn on automatic receiving in the device's ⋯ menu."), labels, max(0, slices.Index(sizes, u.autoBytes())), func(i int) { s.AutoBytes = sizes[i] }))
}

func (p *settingsPage) talks() settingsGroup {
	u, s := p.u, p.u.o.Settings
	clearAll := widgets.NewButton(tr("Clear…"), widget.MediumImportance, func() {
		u.dialogs.warn(tr("Clear all conversations?"), tr("Messages and the file list are removed from this device. The files stay on disk, and the other person keeps their copy."), tr("Clear"), func() {
			background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.History.ClearAll() }, func(_ struct{}, err error) {
				u.fail(err, "", true)
				for _, t := range u.talks {
					u.cleared(t)
				}
			})
		})
	})
	names := []string{settings.NamesHidden, settings.NamesKnown, settings.NamesShown}
	return newSettingsGroup(tr("Conversations"),
		p.keeping(),
		p.toggle(tr("Notifications"), tr("Shown while Multipeer is in the background. They never include message text or file names."), !s.Quiet, func(on bool) { s.Quiet = !on }),
		p.choice(tr("Names in notifications"), tr("Anyone who can see your screen can read them. Devices choose their own names."), []string{tr("Hide"), tr("Devices I've accepted"), tr("All devices")}, slices.Index(names, s.NoticeNames), func(i int) { s.NoticeNames = names[i] }),
		widgets.Setting(tr("All conversations"), "", widgets.Row(0, clearAll)))
}

// keeping returns the switch for the history. Turning it off deletes the saved history at the next start, so it asks
// first.
func (p *settingsPage) keeping() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	var row *fyne.Container
	var later func()
	row = p.toggle(tr("Save chat history"), tr("Stored on this device only, unencrypted: anyone who can read your files can read it."), !s.NoHistory, func(on bool) {
		keep := func() {
			s.NoHistory = !on
			u.keepSettings()
			later()
		}
		if on {
			keep()
			return
		}
		m := u.dialogs.warn(tr("Stop saving chats?"), tr("Chats saved so far will be deleted the next time Multipeer starts."), tr("Forget"), keep)
		m.Declined = func() { row.Objects[1].(*widgets.Toggle).Set(true) }
	})
	with, show := p.restarting(row)
	later = show
	return with
}

func (p *settingsPage) looks() settingsGroup {
	u, s := p.u, p.u.o.Settings
	again := func() {
		u.keepSettings()
		u.o.App.Settings().SetTheme(themeOf(s))
		at := p.scroll.Offset
		u.rebuild()
		u.prefs.groups.scrollTo(at.Y)
	}
	modes := []string{settings.System, settings.Light, settings.Dark, settings.Contrast}
	return newSettingsGroup(tr("Appearance"),
		p.choice(tr("Theme"), "", []string{tr("System"), tr("Light"), tr("Dark"), tr("High contrast")}, slices.Index(modes, s.Appearance), func(i int) {
			s.Appearance = modes[i]
			again()
		}),
		p.choice(tr("Text size"), "", []string{tr("Small"), tr("Normal"), tr("Large"), tr("Larger"), tr("Largest")}, slices.Index([]int{-1, 0, 1, 2, 4}, s.TextSize), func(i int) {
			s.TextSize = []int{-1, 0, 1, 2, 4}[i]
			again()
		}),
		widgets.Setting(tr("Language"), "", p.languages(again)),
		p.toggle(tr("Reduced motion"), tr("Turns off animations."), s.Still, func(on bool) {
			s.Still = on
			u.o.App.Settings().SetTheme(themeOf(s))
		}))
}

// languages returns the choice of language; again rebuilds the window in it.
func (p *settingsPage) languages(again func()) fyne.CanvasObject {
	s := p.u.o.Settings
	tags, names := []string{""}, []string{tr("System")}
	for _, l := range languages {
		tags, names = append(tags, l.tag), append(names, l.name)
	}
	choice := widget.NewSelect(names, nil)
	choice.SetSelectedIndex(max(0, slices.Index(tags, s.Language)))
	choice.OnChanged = func(string) {
		s.Language = tags[choice.SelectedIndex()]
		p.u.fail(speak(s.Language), "", true)
		again()
	}
	return choice
}

func (p *settingsPage) desk() settingsGroup {
	u, s := p.u, p.u.o.Settings
	if fyne.CurrentDevice().IsMobile() {
		return settingsGroup{}
	}
	login, err := u.o.Desktop.Login()
	rows := []fyne.CanvasObject{}
	if err == nil {
		rows = append(rows, p.toggle(tr("Start when you log in"), "", login, func(on bool) { u.fail(u.o.Desktop.SetLogin(on), "", true) }))
	}
	if listed, err := u.o.Desktop.FileManager(); err == nil {
		rows = append(rows, p.toggle(tr("Show in the file manager"), tr("Adds Multipeer to the “Send to” menu, and opens multipeer: links with it."), listed, func(on bool) { u.fail(u.o.Desktop.SetFileManager(on), "", true) }))
	}
	if u.tray != nil {
		rows = append(rows, p.toggle(tr("Keep running when the window is closed"), tr("Multipeer stays in the tray and keeps receiving. Quit it there."), !s.CloseQuits, func(on bool) { s.CloseQuits = !on }))
	}
	if len(rows) == 0 {
		return settingsGroup{}
	}
	return newSettingsGroup(tr("Desktop"), rows...)
}

// folded hides rows behind a button that shows them. If one of them is in use, they are shown at once.
func (p *settingsPage) folded(label string, inUse bool, rows ...fyne.CanvasObject) fyne.CanvasObject {
	inside := widgets.NewStacked(widgets.GapWide, rows...)
	var more *widget.Button
	more = widgets.NewButton(label, widget.MediumImportance, func() {
		widgets.Show(more, false)
		widgets.Show(inside, true)
		p.box.Refresh()
		p.u.settle()
	})
	widgets.Show(more, !inUse)
	widgets.Show(inside, inUse)
	return widgets.NewStacked(0, widgets.NewFlow(0, more), inside)
}

func (p *settingsPage) network() settingsGroup {
	u, s := p.u, p.u.o.Settings
	visible := []string{settings.Everyone, settings.Known, settings.Nobody}
	var portLater, onLater func()
	port := u.newField(tr("Automatic ({{.Port}} if free)", "Port", strconv.Itoa(engine.DefaultPort)))
	if s.Port > 0 {
		port.SetText(strconv.Itoa(s.Port))
	}
	port.OnSubmitted = func(text string) {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if strings.TrimSpace(text) == "" {
			n, err = 0, nil
		}
		if err != nil || n < 0 || n > 65535 {
			u.say(tr("Enter a port from 1 to 65535, or leave it empty for automatic."))
			return
		}
		if n != s.Port {
			s.Port = n
			u.keepSettings()
			portLater()
		}
	}
	port.OnLeft = func() { port.OnSubmitted(port.Text) }
	on := u.newField(tr("All, or a comma-separated list"))
	on.SetText(strings.Join(s.Interfaces, ", "))
	on.OnSubmitted = func(text string) {
		names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		for i := range names {
			names[i] = strings.TrimSpace(names[i]) // a name may contain spaces
		}
		if !slices.Equal(names, s.Interfaces) {
			s.Interfaces = names
			u.keepSettings()
			onLater()
		}
	}
	on.OnLeft = func() { on.OnSubmitted(on.Text) }
	at := tr("Port {{.Port}}", "Port", fmt.Sprint(u.self.Port))
	if a := u.e.Addresses(); len(a) > 0 {
		at = tr("This device's address: {{.Address}}", "Address", a[0].String())
	}
	portRow, later := p.restarting(widgets.Setting(tr("Port"), at, port))
	portLater = later
	onRow, later := p.restarting(widgets.Setting(tr("Network interfaces"), tr("Where to look for devices."), on))
	onLater = later
	p.refreshVisible()
	rows := []fyne.CanvasObject{
		p.choice(tr("Who can see this device"), tr("You can always connect to others yourself."), []string{tr("Everyone"), tr("Known devices"), tr("No one")}, slices.Index(visible, s.Visible), func(i int) {
			s.Visible = visible[i]
			u.fail(u.e.SetVisible(Visibility(s), 0), "", true)
			p.refreshVisible()
		}),
		p.shown,
	}
	if u.o.LocalSend != nil {
		rows = append(rows, p.localSend(), p.localSendPIN())
	}
	rows = append(rows, p.folded(tr("Advanced…"), s.Port > 0 || len(s.Interfaces) > 0, portRow, onRow), widgets.NewFlow(widgets.Gap, u.finder.newSearch(), u.finder.newDoctor()))
	return newSettingsGroup(tr("Network"), rows...)
}

// localSend returns the switch for LocalSend devices.
func (p *settingsPage) localSend() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	return p.toggle(tr("Devices with LocalSend"), tr("Phones and computers with the LocalSend app can find this device while it is visible to everyone."), !s.NoLocalSend, func(on bool) {
		s.NoLocalSend = !on
		u.o.LocalSend.SetOn(on)
	})
}

// localSendPIN returns the field for the PIN that LocalSend devices must enter.
func (p *settingsPage) localSendPIN() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	field := u.newField(tr("None"))
	field.SetText(s.PIN)
	set := func() {
		pin := strings.TrimSpace(field.Text)
		if pin == s.PIN {
			return
		}
		if u.o.LocalSend.SetPIN(pin) != nil {
			u.say(badPIN())
			return
		}
		s.PIN = pin
		u.keepSettings()
	}
	field.OnSubmitted = func(string) { set() }
	field.OnLeft = set
	field.OnEscape = func() { field.SetText(s.PIN) }
	return widgets.Setting(tr("PIN for devices with LocalSend"), tr("They have to enter it before they can send. Leave it empty for no PIN."), field)
}

// badPIN returns the message for a PIN that LocalSend does not support.
func badPIN() string {
	return tr("A PIN can contain only digits and the letters a to z, and at most 64 characters.")
}

// refreshVisible updates the row that makes the device visible to everyone for a while.
func (p *settingsPage) refreshVisible() {
	u := p.u
	set := func(v engine.Visibility, d time.Duration) func() {
		return func() {
			background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetVisible(v, d) }, func(_ struct{}, err error) {
				u.trace("visible for %v", d)
				u.fail(err, "", true)
			})
		}
	}
	until := u.self.VisibleTo
	row := widgets.Setting(tr("Visible to everyone for 10 minutes"), "", widgets.Row(0, widgets.NewButton(tr("Turn on"), widget.MediumImportance, set(engine.VisibleToAll, 10*time.Minute))))
	if !until.IsZero() && u.self.Visible == engine.VisibleToAll {
		row = widgets.Setting(tr("Visible to everyone until {{.Time}}", "Time", until.Local().Format("15:04")), "",
			widgets.Row(0, widgets.NewButton(tr("Stop"), widget.MediumImportance, set(Visibility(u.o.Settings), 0))))
	}
	p.shown.Objects = []fyne.CanvasObject{row}
	p.shown.Refresh()
	// It changes nothing for a device that is always visible to everyone.
	if on := Visibility(u.o.Settings) != engine.VisibleToAll; on != p.shown.Visible() {
		widgets.Show(p.shown, on)
		if p.box != nil {
			p.box.Refresh()
		}
	}
}

// Visibility returns who can see this device, according to the settings.
func Visibility(s *settings.Settings) engine.Visibility {
	switch s.Visible {
	case settings.Known:
		return engine.VisibleToKnown
	case settings.Nobody:
		return engine.VisibleToNobody
	}
	return engine.VisibleToAll
}

// Acceptance returns who may connect without asking, according to the settings.
func Acceptance(s *settings.Settings) engine.Audience {
	switch s.Accept {
	case settings.Nobody:
		return engine.Nobody
	case settings.Verified:
		return engine.Verified
	}
	return engine.Known
}

func (p *settingsPage) known() settingsGroup {
	return newSettingsGroup(tr("Devices you know"), p.list)
}

// people lists accepted, verified and blocked devices, each with a button that undoes the decision.
func (p *settingsPage) people() {
	u := p.u
	p.list.Objects = nil
	for _, k := range u.e.Acquaintances() {
		t := u.talk(k.ID)
		if t.name == "" {
			t.name = k.Name
		}
		state := tr("accepted")
		switch k.Trust {
		case engine.TrustVerified:
			state = tr("verified")
			if k.AutoAccept.Bytes > 0 {
				state = joined(state, tr("up to {{.Size}} a day without asking", "Size", size(k.AutoAccept.Bytes)))
			}
		case engine.TrustBlocked:
			state = tr("blocked")
		}
		face := widgets.NewAvatar(faceSize, widgets.ColorCard)
		face.Set(u.colorOf(k.ID), u.nameOf(t), "")
		label, undo := tr("Forget…"), func() { u.forget(k.ID) }
		if k.Trust == engine.TrustBlocked {
			label, undo = tr("Unblock"), u.setTrust(k.ID, engine.TrustUnknown)
		}
		words := widgets.Column(2, widgets.NewLine(u.nameOf(t), widgets.SizeBody, theme.ColorNameForeground, true), widgets.Caption(joined(k.ID.Short(), state)))
		p.list.Add(widgets.NewBesideRight(widgets.GapWide, widgets.NewBeside(widgets.GapWide, face, words), widgets.NewButton(label, widget.MediumImportance, undo)))
	}
	if len(p.list.Objects) == 0 {
		p.list.Add(widgets.Hint(tr("No devices yet. Devices you accept or verify appear here.")))
	}
	p.box.Refresh()
}

func (p *settingsPage) aboutUs() settingsGroup {
	u := p.u
	version := u.o.Version
	if version == "" {
		version = tr("development build")
	}
	p.about = widgets.NewLine("Multipeer "+version, widgets.SizeBody, theme.ColorNameForeground, true)
	id := widgets.NewParagraph(u.self.ID.String(), widgets.SizeSmall, widgets.ColorSubtle)
	copyID := widgets.NewButton(tr("Copy this device's ID"), widget.MediumImportance, func() { u.copyText(u.self.ID.String()) })
	return newSettingsGroup(tr("About"), p.about, id, widgets.Caption(joined(runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())),
		widgets.NewFlow(widgets.Gap, copyID, widgets.NewButton(tr("Shortcuts"), widget.MediumImportance, u.showShortcuts), widgets.NewButton(tr("Licences"), widget.MediumImportance, u.showLicences)))
}
