package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Field is an entry that passes shortcuts on to the window, because Fyne sends every shortcut to the focused widget.
type Field struct {
	widget.Entry
	OnShortcut func(fyne.Shortcut) bool // reports whether the window handled the shortcut
	OnEscape   func()
	OnHelp     func()                  // runs at F1
	OnKey      func(fyne.KeyName) bool // reports whether it handled the key
	OnLeft     func()                  // runs when the field loses focus
	OnFocus    func(on bool)           // runs when the field gains or loses focus; for the widget around it
	OnPaste    func() bool             // reports whether it handled the paste; false pastes the clipboard as text
	OnTooMuch  func(text string)       // gets pasted text that exceeds the field's limits
	MostRows   int                     // the field grows with its text up to this many rows; 0 keeps its height
	rows       int
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

// Resize implements fyne.CanvasObject. A new width changes the number of rows.
func (f *Field) Resize(s fyne.Size) {
	f.Entry.Resize(s)
	f.Grow()
}

// Grow makes the field as high as its text, up to MostRows. Call it after the text has changed. It reports whether the
// height changed.
func (f *Field) Grow() bool {
	if f.MostRows == 0 {
		return false
	}
	rows := f.textRows()
	if rows == f.rows {
		return false
	}
	f.rows = rows
	f.SetMinRowsVisible(rows)
	return true
}

// textRows returns the number of rows that the text takes at the current width, 1 to MostRows.
func (f *Field) textRows() int {
	th := f.Theme()
	pad := 2 * (th.Size(theme.SizeNameInnerPadding) + th.Size(theme.SizeNameInputBorder))
	width := f.Size().Width - pad
	measure := measured(th.Size(theme.SizeNameText), fyne.TextStyle{})
	rows := 0
	for line := range strings.SplitSeq(f.Text, "\n") {
		if rows >= f.MostRows {
			break
		}
		if len(line) > maxGrowing { // far more than MostRows rows
			return f.MostRows
		}
		n := 1
		if width > 0 {
			n = max(1, len(wrapText(line, width, measure)))
		}
		rows += n
	}
	return min(max(1, rows), f.MostRows)
}

// maxGrowing is the length, in bytes, at which a line fills more rows than any field shows.
const maxGrowing = 4 << 10

// PutCursorAtEnd puts the cursor after the last character.
func (f *Field) PutCursorAtEnd() {
	f.Entry.TypedShortcut(&fyne.ShortcutSelectAll{})
	f.Entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
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
	if k.Name == fyne.KeyF1 && f.OnHelp != nil {
		f.OnHelp()
		return
	}
	if f.OnKey != nil && f.OnKey(k.Name) {
		return
	}
	f.Entry.TypedKey(k)
}

// AcceptsTab reports false so that Tab moves to the next control, even in a multi-line field.
func (f *Field) AcceptsTab() bool { return false }

// FocusGained implements fyne.Focusable.
func (f *Field) FocusGained() {
	f.Entry.FocusGained()
	if f.OnFocus != nil {
		f.OnFocus(true)
	}
}

// FocusLost implements fyne.Focusable.
func (f *Field) FocusLost() {
	f.Entry.FocusLost()
	if f.OnFocus != nil {
		f.OnFocus(false)
	}
	if f.OnLeft != nil {
		f.OnLeft()
	}
}
