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

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/internal/settings"
)

// settingsPage shows what can be chosen. Everything takes effect at once and is kept; what needs a new start says so.
type settingsPage struct {
	u      *UI
	box    *fyne.Container
	back   *quietButton
	name   *field
	folder *line
	list   *fyne.Container // of people
	scroll *container.Scroll
	later  *paragraph // that a new start is needed
	about  *line
}

const settingsWidth = 640

// showSettings turns to the page.
func (u *UI) showSettings() {
	u.saveDraft()
	u.current = nil
	u.prefs = newSettingsPage(u)
	box := u.pages[pageSettings].(*fyne.Container)
	box.Objects = []fyne.CanvasObject{u.prefs.box}
	u.turn(pageSettings)
	show(u.prefs.back, u.shell.narrow)
	box.Refresh()
	u.trace("settings")
	u.settle()
}

// keepSettings makes them durable: one small file.
func (u *UI) keepSettings() {
	if u.bind == nil {
		return
	}
	err := u.o.Settings.Save()
	u.say(reason(err, "", true))
}

func newSettingsPage(u *UI) *settingsPage {
	p := &settingsPage{u: u, list: newStacked(gap), later: hint("")}
	p.back = iconButton(iconBack, tr("Back"), u.back)
	head := newHead(newBeside(gap, p.back, newLine(tr("Settings"), sizeTitle, theme.ColorNameForeground, true)))
	p.later.color = colorBad
	p.later.Hide()
	content := newStackedInset(stacked{gap: edge, top: edge, bottom: edgeWide, left: edge, right: edge},
		p.later, p.you(), p.receiving(), p.talks(), p.looks(), p.desk(), p.network(), p.known(), p.aboutUs())
	shown, scroll := newScroll(container.New(atMost(settingsWidth), content))
	p.scroll = scroll
	p.box = newPane(head, nil, shown)
	p.people()
	return p
}

// section is a card with a heading.
func section(name string, rows ...fyne.CanvasObject) fyne.CanvasObject {
	body := newStackedInset(stacked{gap: gapWide, top: edge, bottom: edge, left: edge, right: edge}, rows...)
	return newStacked(gap, heading(strings.ToUpper(name)), newFramed(body))
}

// framed is a card round its content that is as high as this needs.
type framed struct {
	widget.BaseWidget
	body *fyne.Container
}

func newFramed(body *fyne.Container) *framed {
	f := &framed{body: body}
	f.ExtendBaseWidget(f)
	return f
}

func (f *framed) heightFor(width float32) float32 { return heightOf(f.body, width) }
func (f *framed) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(newPanel(colorCard, colorBorder, 12), f.body))
}

// setting is a row: what it is, a word about it, and its control. A wide control stands below.
func setting(name, about string, control fyne.CanvasObject) *fyne.Container {
	words := newStacked(2, newParagraph(name, sizeBody, theme.ColorNameForeground))
	if about != "" {
		words.Add(hint(about))
	}
	switch c := control.(type) {
	case *toggle:
		return newBesideRight(edge, words, c)
	case nil:
		return words
	}
	return newStacked(gap, words, control)
}

func (p *settingsPage) toggle(name, about string, on bool, changed func(bool)) *fyne.Container {
	return setting(name, about, newToggle(name, on, func(on bool) {
		changed(on)
		p.u.keepSettings()
		p.u.settle()
	}))
}

// choice is a row of few values; chosen returns the index of the one in force.
func (p *settingsPage) choice(name, about string, labels []string, chosen int, changed func(int)) *fyne.Container {
	return setting(name, about, newSegments(labels, max(0, chosen), func(i int) {
		changed(i)
		p.u.keepSettings()
		p.u.settle()
	}))
}

// atNextStart says that something is kept, but not in force yet.
func (p *settingsPage) atNextStart() {
	p.later.set(tr("Some of this takes effect when Multipeer is started anew."))
	show(p.later, true)
	p.box.Refresh()
}

func (p *settingsPage) you() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	p.name = newField(u, "")
	p.name.SetText(u.self.Name)
	p.name.OnSubmitted = p.rename
	p.name.escape = func() { p.name.SetText(u.self.Name) }
	p.name.left = func() { p.rename(p.name.Text) }
	own := colorOf(u.self.ID, 0)
	colors, numbers := []color.NRGBA{own}, []int{0}
	for i, c := range avatarColors {
		if rgb(c) != own {
			colors, numbers = append(colors, rgb(c)), append(numbers, i+1)
		}
	}
	pick := newSwatches(colors, max(0, slices.Index(numbers, s.Colour)), func(i int) {
		s.Colour = numbers[i]
		u.keepSettings()
		u.describeSelf()
		u.dirty.side = true
		u.settle()
	})
	return section(tr("This device"),
		setting(tr("Name"), tr("Others see this name."), p.name),
		setting(tr("Colour"), tr("The first one is chosen automatically."), row(0, pick)))
}

func (p *settingsPage) rename(name string) {
	u := p.u
	name = strings.TrimSpace(name)
	if name == u.self.Name {
		return
	}
	if err := engine.ValidateName(name); err != nil {
		u.say(reason(err, "", true))
		return
	}
	background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.e.SetName(name) }, func(_ struct{}, err error) {
		u.trace("renamed %q", name)
		u.say(reason(err, "", true))
	})
}

func (p *settingsPage) receiving() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	p.folder = newLine(shortPath(u.downloads()), sizeBody, theme.ColorNameForeground, false)
	p.folder.tail = 24
	change := newButton(tr("Change…"), widget.MediumImportance, func() {
		u.pick(true, func(paths []string) {
			s.Downloads, u.o.Downloads = paths[0], ""
			u.keepSettings()
			p.folder.set(shortPath(paths[0]))
		})
	})
	show := newButton(tr("Show"), widget.LowImportance, func() {
		dir := u.downloads()
		background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.Desktop.Open(dir) }, func(_ struct{}, err error) {
			u.say(reason(err, "", true))
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
	return section(tr("Receiving"),
		setting(tr("Folder for received files"), "", newBesideRight(gap, p.folder, row(gap, show, change))),
		p.choice(tr("Who may connect without asking"), tr("You are still asked about files."), []string{tr("Nobody"), tr("Verified devices"), tr("Devices accepted before")}, at, func(i int) {
			s.Accept = accept[i]
			p.atNextStart()
		}),
		p.choice(tr("Take files without asking"), tr("The most in a day, from verified devices. Turn it on in the menu of each."), labels, max(0, slices.Index(sizes, u.autoBytes())), func(i int) { s.AutoBytes = sizes[i] }))
}

func (p *settingsPage) talks() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	clearAll := newButton(tr("Clear…"), widget.MediumImportance, func() {
		u.warn(tr("Clear all conversations?"), tr("Messages and the list of files are forgotten here. The files themselves stay, and so does what the other side has."), tr("Clear"), func() {
			background(u.bind, func(context.Context) (struct{}, error) { return struct{}{}, u.o.History.ClearAll() }, func(_ struct{}, err error) {
				u.say(reason(err, "", true))
				for _, t := range u.talks {
					u.cleared(t)
				}
			})
		})
	})
	return section(tr("Conversations"),
		p.keeping(),
		p.toggle(tr("Notifications"), tr("When the window is not in front. They show no names and no content."), !s.Quiet, func(on bool) { s.Quiet = !on }),
		setting(tr("All conversations"), "", row(0, clearAll)))
}

// keeping is the switch for the history. Off, what was kept goes with the next start, and that is asked first.
func (p *settingsPage) keeping() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	var row *fyne.Container
	row = p.toggle(tr("Keep conversations"), tr("On this device only, and not encrypted: who can read your files can read them."), !s.NoHistory, func(on bool) {
		keep := func() {
			s.NoHistory = !on
			u.keepSettings()
			p.atNextStart()
		}
		if on {
			keep()
			return
		}
		m := u.warn(tr("Forget conversations from now on?"), tr("With the next start, those that were kept so far are deleted, too."), tr("Forget"), keep)
		m.declined = func() { row.Objects[1].(*toggle).set(true) }
	})
	return row
}

func (p *settingsPage) looks() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	again := func() {
		u.keepSettings()
		u.o.App.Settings().SetTheme(themeOf(s))
		at := p.scroll.Offset
		u.rebuild()
		u.prefs.scroll.ScrollToOffset(at)
	}
	modes := []string{settings.System, settings.Light, settings.Dark, settings.Contrast}
	tags := []string{""}
	names := []string{tr("As the system")}
	for _, l := range languages {
		tags, names = append(tags, l.tag), append(names, l.name)
	}
	return section(tr("Appearance"),
		p.choice(tr("Colours"), "", []string{tr("As the system"), tr("Light"), tr("Dark"), tr("High contrast")}, slices.Index(modes, s.Appearance), func(i int) {
			s.Appearance = modes[i]
			again()
		}),
		p.choice(tr("Text size"), "", []string{tr("Small"), tr("Normal"), tr("Large"), tr("Larger"), tr("Largest")}, slices.Index([]int{-1, 0, 1, 2, 4}, s.TextSize), func(i int) {
			s.TextSize = []int{-1, 0, 1, 2, 4}[i]
			again()
		}),
		p.choice(tr("Language"), "", names, max(0, slices.Index(tags, s.Language)), func(i int) {
			s.Language = tags[i]
			if s.Language == "" {
				p.atNextStart()
				return
			}
			if err := speak(s.Language); err != nil {
				u.say(reason(err, "", true))
			}
			again()
		}),
		p.toggle(tr("Reduced motion"), tr("Nothing moves that need not."), s.Still, func(on bool) {
			s.Still = on
			u.o.App.Settings().SetTheme(themeOf(s))
		}))
}

func (p *settingsPage) desk() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	if fyne.CurrentDevice().IsMobile() {
		return newStacked(0)
	}
	login, err := u.o.Desktop.Login()
	rows := []fyne.CanvasObject{}
	if err == nil {
		rows = append(rows, p.toggle(tr("Start when you log in"), "", login, func(on bool) { u.say(reason(u.o.Desktop.SetLogin(on), "", true)) }))
	}
	if u.tray != nil {
		rows = append(rows, p.toggle(tr("Go on when the window is closed"), tr("Then Multipeer receives from the tray, and is quit there."), !s.CloseQuits, func(on bool) { s.CloseQuits = !on }))
	}
	if len(rows) == 0 {
		return newStacked(0)
	}
	return section(tr("Desktop"), rows...)
}

func (p *settingsPage) network() fyne.CanvasObject {
	u, s := p.u, p.u.o.Settings
	visible := []string{settings.Everyone, settings.Known, settings.Nobody}
	for10 := newButton(tr("Turn on"), widget.MediumImportance, func() {
		background(u.bind, func(context.Context) (struct{}, error) {
			return struct{}{}, u.e.SetVisible(engine.VisibleToAll, 10*time.Minute)
		}, func(_ struct{}, err error) {
			u.trace("visible for a while")
			u.say(reason(err, "", true))
		})
	})
	port := newField(u, tr("Any; {{.Port}} if it is free", "Port", strconv.Itoa(engine.DefaultPort)))
	if s.Port > 0 {
		port.SetText(strconv.Itoa(s.Port))
	}
	port.OnSubmitted = func(text string) {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if strings.TrimSpace(text) == "" {
			n, err = 0, nil
		}
		if err != nil || n < 0 || n > 65535 {
			u.say(tr("A port is a number from 1 to 65535. Leave it empty for any."))
			return
		}
		if n != s.Port {
			s.Port = n
			u.keepSettings()
			p.atNextStart()
		}
	}
	port.left = func() { port.OnSubmitted(port.Text) }
	on := newField(u, tr("All; or names, with commas between"))
	on.SetText(strings.Join(s.Interfaces, ", "))
	on.OnSubmitted = func(text string) {
		names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		for i := range names {
			names[i] = strings.TrimSpace(names[i]) // a name may have spaces within
		}
		if !slices.Equal(names, s.Interfaces) {
			s.Interfaces = names
			u.keepSettings()
			p.atNextStart()
		}
	}
	on.left = func() { on.OnSubmitted(on.Text) }
	at := tr("Listens on port {{.Port}}", "Port", fmt.Sprint(u.self.Port))
	if a := u.e.Addresses(); len(a) > 0 {
		at = tr("This device is at {{.Address}}.", "Address", a[0].String())
	}
	return section(tr("Network"),
		p.choice(tr("Who sees this device"), tr("Devices that you reach yourself can always be connected."), []string{tr("Everyone"), tr("Known devices"), tr("Nobody")}, slices.Index(visible, s.Visible), func(i int) {
			s.Visible = visible[i]
			u.say(reason(u.e.SetVisible(Visibility(s), 0), "", true))
		}),
		setting(tr("Visible to everyone for 10 minutes"), "", row(0, for10)),
		setting(tr("Port"), at, port),
		setting(tr("Interfaces"), tr("Where devices are looked for."), on),
		newFlow(gap, u.newSearch(), u.newDoctor()))
}

// Visibility is who sees the device, by the settings.
func Visibility(s *settings.Settings) engine.Visibility {
	switch s.Visible {
	case settings.Known:
		return engine.VisibleToKnown
	case settings.Nobody:
		return engine.VisibleToNobody
	}
	return engine.VisibleToAll
}

// Acceptance is who connects without a question, by the settings.
func Acceptance(s *settings.Settings) engine.Audience {
	switch s.Accept {
	case settings.Nobody:
		return engine.Nobody
	case settings.Verified:
		return engine.Verified
	}
	return engine.Known
}

func (p *settingsPage) known() fyne.CanvasObject { return section(tr("Devices you know"), p.list) }

// people lists who was accepted, verified or blocked, with a way out of it.
func (p *settingsPage) people() {
	u := p.u
	p.list.Objects = nil
	for _, k := range u.e.Acquaintances() {
		t := u.talk(k.ID)
		if t.name == "" {
			t.name = k.Name
		}
		state := tr("accepted before")
		switch k.Trust {
		case engine.TrustVerified:
			state = tr("verified")
			if k.AutoAccept.Bytes > 0 {
				state = joined(state, tr("up to {{.Size}} a day without asking", "Size", size(k.AutoAccept.Bytes)))
			}
		case engine.TrustBlocked:
			state = tr("blocked")
		}
		face := newAvatar(faceSize, colorCard)
		face.set(u.colorOf(k.ID), u.nameOf(t), "")
		label, to := tr("Forget"), engine.TrustUnknown
		if k.Trust == engine.TrustBlocked {
			label = tr("Unblock")
		}
		words := column(2, newLine(u.nameOf(t), sizeBody, theme.ColorNameForeground, true), caption(joined(k.ID.Short(), state)))
		p.list.Add(newBesideRight(gapWide, newBeside(gapWide, face, words), newButton(label, widget.MediumImportance, u.setTrust(k.ID, to))))
	}
	if len(p.list.Objects) == 0 {
		p.list.Add(hint(tr("Nobody yet. Whom you accept or verify appears here.")))
	}
	p.box.Refresh()
}

func (p *settingsPage) aboutUs() fyne.CanvasObject {
	u := p.u
	version := u.o.Version
	if version == "" {
		version = tr("a build from source")
	}
	p.about = newLine("Multipeer "+version, sizeBody, theme.ColorNameForeground, true)
	id := newParagraph(u.self.ID.String(), sizeSmall, colorSubtle)
	copyID := newButton(tr("Copy this device's ID"), widget.MediumImportance, func() { u.copyText(u.self.ID.String()) })
	return section(tr("About"), p.about, id, caption(joined(runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())),
		newFlow(gap, copyID, newButton(tr("Shortcuts"), widget.MediumImportance, u.showShortcuts), newButton(tr("Licences"), widget.MediumImportance, u.showLicences)))
}
