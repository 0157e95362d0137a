package ui

import (
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// keyBinding maps a key to an action.
type keyBinding struct {
	shortcut desktop.CustomShortcut
	does     string // label in the list of shortcuts; empty hides it there
	do       func()
	answers  bool // answers a peer's request, so it does nothing while the user types
}

func (u *UI) keys() []keyBinding {
	ctrl, alt := fyne.KeyModifierShortcutDefault, fyne.KeyModifierAlt
	key := func(k fyne.KeyName, m fyne.KeyModifier, does string, do func()) keyBinding {
		return keyBinding{shortcut: desktop.CustomShortcut{KeyName: k, Modifier: m}, does: does, do: do}
	}
	answer := func(k fyne.KeyName, does string, accept bool) keyBinding {
		b := key(k, ctrl, does, func() { u.banner.answerByKey(accept) })
		b.answers = true
		return b
	}
	out := []keyBinding{
		key(fyne.KeyF, ctrl, tr("Search"), func() {
			u.toList()
			u.w.Canvas().Focus(u.side.search)
		}),
		key(fyne.KeyO, ctrl, tr("Send files"), func() { u.composer.attachPicked(false) }),
		key(fyne.KeyO, ctrl|fyne.KeyModifierShift, tr("Send a folder"), func() { u.composer.attachPicked(true) }),
		key(fyne.KeyV, ctrl|fyne.KeyModifierShift, tr("Send the picture on the clipboard"), u.composer.sendPicture),
		key(fyne.KeyC, ctrl|fyne.KeyModifierShift, tr("Send clipboard text to the last device"), u.composer.sendClipboardToLast),
		key(fyne.KeyT, ctrl, tr("Transfers"), u.showTransfers),
		key(fyne.KeyComma, ctrl, tr("Settings"), u.showSettings),
		key(fyne.KeyL, ctrl, tr("Connect by address or link"), u.connecting.show),
		answer(fyne.KeyReturn, tr("Accept the request on screen"), true),
		answer(fyne.KeyBackspace, tr("Decline the request on screen"), false),
		key(fyne.KeyDown, alt, tr("Next conversation"), func() { u.step(1) }),
		key(fyne.KeyUp, alt, tr("Previous conversation"), func() { u.step(-1) }),
		key(fyne.KeyW, ctrl, tr("Close the window"), u.closed),
		key(fyne.KeyQ, ctrl, tr("Quit"), u.quit),
		key(fyne.KeySlash, ctrl, "", u.showShortcuts),
	}
	for i := range 9 {
		does := ""
		if i == 0 {
			does = tr("Open device 1–9")
		}
		out = append(out, key(fyne.KeyName(fmt.Sprint(i+1)), ctrl, does, func() {
			if i < len(u.side.order) {
				u.sending.tapped(u.talk(u.side.order[i]))
			}
		}))
	}
	return out
}

func (u *UI) addShortcuts() {
	c := u.w.Canvas()
	for _, k := range u.keys() {
		s := k.shortcut
		c.AddShortcut(&s, func(fyne.Shortcut) { u.shortcut(&s) })
	}
	c.SetOnTypedKey(func(k *fyne.KeyEvent) {
		switch {
		case k.Name == fyne.KeyEscape && u.dialogs.open != nil: // Fyne does not close dialogs on Escape
			u.dialogs.open.Hide()
		case k.Name == fyne.KeyEscape && u.page != pageEmpty && u.shell.narrow:
			u.back()
		case k.Name == fyne.KeyF1:
			u.showShortcuts()
		case u.page == pageTalk:
			u.timeline.Page(k.Name)
		case u.page == pageTransfers:
			u.moves.list.Page(k.Name)
		}
		u.settle()
	})
	c.SetOnTypedRune(func(r rune) {
		if r == '?' {
			u.showShortcuts()
		}
	})
}

// shortcut runs the action of a shortcut. It returns false if there is none.
func (u *UI) shortcut(s fyne.Shortcut) bool {
	k, ok := bindingOf(u, s)
	if !ok {
		return false
	}
	k.do()
	u.settle()
	return true
}

// bindingOf returns the action of a shortcut. It returns false if there is none, or while a dialog is open.
func bindingOf(u *UI, s fyne.Shortcut) (keyBinding, bool) {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || u.dialogs.open != nil {
		return keyBinding{}, false
	}
	for _, k := range u.keys() {
		if k.shortcut == *c {
			return k, true
		}
	}
	return keyBinding{}, false
}

// shortcutInField does the same while a field has the focus, except for the keys that answer requests: the user is
// typing.
func shortcutInField(u *UI, s fyne.Shortcut) bool {
	k, ok := bindingOf(u, s)
	return ok && !k.answers && u.shortcut(s)
}

// step opens the next conversation in the list if by is 1, or the previous one if it is -1.
func (u *UI) step(by int) {
	order := append([]engine.PeerID{{}}, u.side.order...)
	at := 0
	if u.current != nil {
		at = slices.Index(order, u.current.id)
	}
	u.choose(u.talk(order[(at+by+len(order))%len(order)]))
}

// toList returns to the list in a narrow window where the page covers it.
func (u *UI) toList() {
	if u.shell.narrow && u.shell.onPage {
		u.back()
	}
}

// keyLabel returns the label of a shortcut, as printed on keyboards.
func keyLabel(s desktop.CustomShortcut) string {
	var parts []string
	for _, m := range []struct {
		mod  fyne.KeyModifier
		name string
	}{{fyne.KeyModifierControl, "Ctrl"}, {fyne.KeyModifierSuper, "⌘"}, {fyne.KeyModifierAlt, "Alt"}, {fyne.KeyModifierShift, "Shift"}} {
		if s.Modifier&m.mod != 0 {
			parts = append(parts, m.name)
		}
	}
	name := map[fyne.KeyName]string{fyne.KeyUp: "↑", fyne.KeyDown: "↓", fyne.KeyComma: ",", fyne.KeyReturn: "Enter", fyne.KeyBackspace: "Backspace", "1": "1–9"}[s.KeyName]
	if name == "" {
		name = string(s.KeyName)
	}
	return strings.Join(append(parts, name), " + ")
}

// showShortcuts shows the list of shortcuts.
func (u *UI) showShortcuts() {
	if u.dialogs.open != nil {
		return
	}
	list := widgets.NewStacked(widgets.Gap)
	add := func(keys, does string) {
		k := widgets.Caption(keys)
		k.Fits = true
		list.Add(widgets.NewBesideRight(widgets.Edge, widgets.NewLine(does, widgets.SizeBody, theme.ColorNameForeground, false), k))
	}
	for _, k := range u.keys() {
		if k.does != "" {
			add(keyLabel(k.shortcut), k.does)
		}
	}
	add("Enter", tr("Send the message"))
	add("Shift + Enter", tr("New line"))
	add("Page ↑, Page ↓", tr("Scroll the conversation"))
	add("Tab", tr("Next control"))
	add("↑, ↓", tr("Next device in the list"))
	add("Esc", tr("Close a dialog, leave a field"))
	add("F1, ?", tr("Keyboard shortcuts"))
	u.dialogs.list(tr("Shortcuts"), list, 460, 600)
	u.trace("shortcuts")
}

// showLicences shows the licences of the program and its parts.
func (u *UI) showLicences() {
	text := widget.NewLabel(licences)
	text.Wrapping = fyne.TextWrapWord
	text.TextStyle.Monospace, text.SizeName = true, theme.SizeNameCaptionText
	u.dialogs.list(tr("Licences"), text, 640, 480)
}
