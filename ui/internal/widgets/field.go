package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Field is an entry that passes on the window's shortcuts: Fyne sends every shortcut to the focused widget.
type Field struct {
	widget.Entry
	OnShortcut func(fyne.Shortcut) bool // reports whether the window handled the shortcut
	OnEscape   func()
	OnKey      func(fyne.KeyName) bool // reports whether it handled the key
	OnLeft     func()                  // runs when the field loses focus
	OnPaste    func() bool             // reports whether it handled the paste; false pastes the clipboard as text
	OnTooMuch  func(text string)       // gets pasted text that exceeds the field's limits
}

// Limits on pasted text. Fyne lays out the whole text of an entry after every change, in time quadratic in a line's
// length and in the number of lines.
const (
	MaxFieldText  = 16 << 10 // bytes
	MaxFieldLines = 300
)

// fits reports whether the field has room for more text.
func (f *Field) fits(more string) bool {
	selected := f.SelectedText() // the paste replaces it
	lines := strings.Count(f.Text, "\n") - strings.Count(selected, "\n") + strings.Count(more, "\n")
	return len(f.Text)-len(selected)+len(more) <= MaxFieldText && lines < MaxFieldLines
}

// NewField returns an empty field. It shows the placeholder while it has no text.
func NewField(placeholder string) *Field {
	f := &Field{}
	f.SetPlaceHolder(placeholder)
	f.ExtendBaseWidget(f)
	return f
}

// Insert pastes text, or passes it to OnTooMuch.
func (f *Field) Insert(clipboard fyne.Clipboard) {
	if text := clipboard.Content(); !f.fits(text) {
		if f.OnTooMuch != nil {
			f.OnTooMuch(text)
		}
		return
	}
	f.Entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard})
}

// TypedShortcut implements fyne.Shortcutable.
func (f *Field) TypedShortcut(s fyne.Shortcut) {
	if _, custom := s.(*desktop.CustomShortcut); custom && f.OnShortcut != nil && f.OnShortcut(s) {
		return
	}
	if p, paste := s.(*fyne.ShortcutPaste); paste {
		if f.OnPaste == nil || !f.OnPaste() {
			f.Insert(p.Clipboard)
		}
		return
	}
	f.Entry.TypedShortcut(s)
}

// TypedKey implements fyne.Focusable.
func (f *Field) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape && f.OnEscape != nil {
		f.OnEscape()
		return
	}
	if f.OnKey != nil && f.OnKey(k.Name) {
		return
	}
	f.Entry.TypedKey(k)
}

// AcceptsTab reports false so that Tab moves to the next control, even in a multi-line field.
func (f *Field) AcceptsTab() bool { return false }

// FocusLost implements fyne.Focusable.
func (f *Field) FocusLost() {
	f.Entry.FocusLost()
	if f.OnLeft != nil {
		f.OnLeft()
	}
}
