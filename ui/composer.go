package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// newField returns a field with the shortcuts of the window. Escape leaves it.
func (u *UI) newField(placeholder string) *widgets.Field {
	f := widgets.NewField(placeholder)
	f.OnShortcut = func(s fyne.Shortcut) bool { return shortcutInField(u, s) }
	f.OnEscape = func() { u.w.Canvas().Unfocus() }
	f.OnHelp = u.showShortcuts
	f.OnTooMuch = func(string) {
		u.say(tr("This text is too long for this field. Nothing was pasted."))
		u.settle()
	}
	return f
}

// newSearchField returns a field with a button that empties it. changed runs after each change of the text.
func newSearchField(u *UI, placeholder string, changed func()) *widgets.Field {
	f := u.newField(placeholder)
	empty := widgets.NewIconButton(widgets.IconClose, tr("Clear the search"), func() { f.SetText("") })
	empty.Hide()
	f.ActionItem = empty // before SetIcon, which makes Fyne lay out the field
	f.SetIcon(widgets.IconSearch)
	f.OnChanged = func(text string) {
		widgets.Show(empty, text != "")
		changed()
	}
	return f
}

// composer is the bottom of a conversation: the field for messages with its buttons.
type composer struct {
	u      *UI
	box    *fyne.Container
	barred *fyne.Container // replaces box while the peer is blocked
	entry  *widgets.Field
	send   *widget.Button
	attach *widgets.QuietButton
}

// build makes the composer, in the language and look of the settings.
func (c *composer) build() {
	c.entry = c.field()
	c.send = widget.NewButtonWithIcon("", widgets.IconGo, c.sendText)
	c.send.Importance = widget.LowImportance
	c.attach = widgets.NewIconButton(widgets.IconAttach, tr("Attach"), c.attachMenu)
	surface := widgets.NewSurface(c.entry, func(entry fyne.CanvasObject) fyne.CanvasObject {
		return widgets.Inset(container.NewBorder(nil, nil, atBottom(c.attach), atBottom(c.send), entry), surfaceEdge, surfaceEdge, widgets.GapTight, widgets.GapTight)
	})
	c.box = widgets.Inset(surface, widgets.Gap, widgets.GapWide, widgets.GapWide, widgets.Edge)
	c.barred = c.refusal()
	c.barred.Hide()
}

// surfaceEdge is the space between the edge of the surface and its buttons.
const surfaceEdge = 3

// atBottom places a button at the bottom of a growing field without stretching it.
func atBottom(o fyne.CanvasObject) fyne.CanvasObject {
	return container.NewVBox(layout.NewSpacer(), o)
}

// field returns the message field. Enter and Ctrl+Enter send and Shift+Enter breaks the line, the reverse of Fyne's
// default.
// OnSubmitted stays nil: otherwise the entry would submit on Shift+Enter.
func (c *composer) field() *widgets.Field {
	f := c.u.newField("")
	f.MultiLine, f.Wrapping = true, fyne.TextWrapWord
	f.MostRows = 8
	f.SetMinRowsVisible(1)
	f.OnChanged = func(string) {
		if f.Grow() {
			c.u.pages[pageTalk].Refresh()
		}
		c.offerSend()
	}
	f.OnEscape = func() {
		c.u.w.Canvas().Unfocus()
		c.u.toList()
	}
	f.OnShortcut = func(s fyne.Shortcut) bool {
		if k, custom := s.(*desktop.CustomShortcut); custom && k.KeyName == fyne.KeyReturn && k.Modifier == fyne.KeyModifierShortcutDefault {
			c.sendText()
			c.u.settle()
			return true
		}
		return shortcutInField(c.u, s)
	}
	f.OnPaste = c.pasteFiles
	f.OnTooMuch = c.offerText
	f.OnKey = func(k fyne.KeyName) bool {
		if c.u.timeline.Page(k) {
			return true
		}
		if k != fyne.KeyReturn && k != fyne.KeyEnter {
			return false
		}
		if d, ok := fyne.CurrentApp().Driver().(desktop.Driver); ok && d.CurrentKeyModifiers()&fyne.KeyModifierShift != 0 {
			return false
		}
		c.sendText()
		return true
	}
	return f
}

// refusal replaces the composer for a blocked peer.
func (c *composer) refusal() *fyne.Container {
	free := widgets.NewButton(tr("Unblock"), widget.MediumImportance, func() {
		if t := c.u.current; t != nil {
			c.u.setTrust(t.id, engine.TrustUnknown)()
		}
	})
	return widgets.Inset(widgets.NewBesideRight(widgets.Gap, widgets.Hint(tr("You blocked this device. Neither side can send anything.")), free), widgets.GapWide, widgets.GapWide, widgets.Edge, widgets.Edge)
}

// await disables the composer while a request to connect has to be answered first.
func (c *composer) await(on bool) {
	if on == c.entry.Disabled() {
		return
	}
	for _, w := range []fyne.Disableable{c.entry, c.attach, c.send} {
		if on {
			w.Disable()
		} else {
			w.Enable()
		}
	}
}

func (c *composer) placeHolder(text string) {
	if c.entry.PlaceHolder != text {
		c.entry.SetPlaceHolder(text)
	}
}

// sendText sends the text in the composer to the current conversation.
func (c *composer) sendText() {
	t, text := c.u.current, strings.TrimSpace(c.entry.Text)
	if t == nil || text == "" || !c.u.outbox.mayDeliver(t, text) {
		return
	}
	c.entry.SetText("")
	c.u.saveDraft()
	c.u.outbox.deliver(t, text)
	c.u.settle()
}

// offerSend highlights the send button when there is text to send.
func (c *composer) offerSend() {
	if c.send == nil {
		return
	}
	importance, icon := widget.LowImportance, fyne.Resource(widgets.IconGo)
	if strings.TrimSpace(c.entry.Text) != "" {
		importance, icon = widget.HighImportance, widgets.IconSend
	}
	if c.send.Importance != importance {
		c.send.Importance = importance
		c.send.SetIcon(icon)
	}
}

// attachMenu opens the menu of things to send.
func (c *composer) attachMenu() {
	if c.u.current == nil {
		return
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(c.attach)
	c.u.showMenu([]widgets.Action{
		{Label: tr("Files…"), Do: func() { c.attachPicked(false) }},
		{Label: tr("Folder…"), Do: func() { c.attachPicked(true) }},
		{Label: tr("Text from the clipboard"), Do: c.pasteText},
		{Label: tr("Picture from the clipboard"), Do: c.sendPicture},
	}, at) // opens above the button, since there is no room below
}

func (c *composer) attachPicked(folder bool) {
	if t := c.u.current; t != nil {
		c.u.dialogs.pick(folder, func(paths []string) { c.u.sending.offer(t, paths) })
	}
}
