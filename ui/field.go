package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// field is an entry that leaves the window's shortcuts to the window: Fyne gives all of them to what has the focus.
type field struct {
	widget.Entry
	shortcut func(fyne.Shortcut) bool // true if it was the window's
	escape   func()
	key      func(fyne.KeyName) bool // true if it was taken
	left     func()                  // when the focus goes
	paste    func() bool             // true if what is in the clipboard was no text for the field
}

func newField(u *UI, placeholder string) *field {
	f := &field{shortcut: u.shortcut, escape: func() { u.w.Canvas().Unfocus() }}
	f.init(placeholder)
	return f
}

func (f *field) init(placeholder string) {
	f.SetPlaceHolder(placeholder)
	f.ExtendBaseWidget(f)
}

// TypedShortcut is fyne.Shortcutable's.
func (f *field) TypedShortcut(s fyne.Shortcut) {
	if _, custom := s.(*desktop.CustomShortcut); custom && f.shortcut != nil && f.shortcut(s) {
		return
	}
	if _, paste := s.(*fyne.ShortcutPaste); paste && f.paste != nil && f.paste() {
		return
	}
	f.Entry.TypedShortcut(s)
}

// TypedKey is fyne.Focusable's.
func (f *field) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape && f.escape != nil {
		f.escape()
		return
	}
	if f.key != nil && f.key(k.Name) {
		return
	}
	f.Entry.TypedKey(k)
}

// AcceptsTab leaves Tab to the going from one control to the next, also where there are several lines.
func (f *field) AcceptsTab() bool { return false }

// FocusLost is fyne.Focusable's.
func (f *field) FocusLost() {
	f.Entry.FocusLost()
	if f.left != nil {
		f.left()
	}
}

// newComposer makes the field for messages, in which Enter sends and Shift+Enter breaks the line: the reverse of Fyne's.
// OnSubmitted stays nil, or the entry would submit on Shift+Enter.
func newComposer(u *UI) *field {
	c := newField(u, "")
	c.MultiLine, c.Wrapping = true, fyne.TextWrapWord
	c.SetMinRowsVisible(1)
	c.OnChanged = func(text string) {
		rows := 1
		for _, r := range text {
			if r == '\n' {
				rows++
			}
		}
		c.SetMinRowsVisible(min(rows, 6))
		u.offerSend()
	}
	c.escape = func() {
		u.w.Canvas().Unfocus()
		u.toList()
	}
	c.paste = u.pasteFiles
	c.key = func(k fyne.KeyName) bool {
		if u.timeline.page(k) {
			return true
		}
		if k != fyne.KeyReturn && k != fyne.KeyEnter {
			return false
		}
		if d, ok := fyne.CurrentApp().Driver().(desktop.Driver); ok && d.CurrentKeyModifiers()&fyne.KeyModifierShift != 0 {
			return false
		}
		u.sendText()
		return true
	}
	return c
}
