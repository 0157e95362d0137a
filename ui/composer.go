package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// composer is an entry in which Enter sends and Shift+Enter breaks the line: the reverse of Fyne's. OnSubmitted
// stays nil, or the embedded entry would submit on Shift+Enter.
type composer struct {
	widget.Entry
	send func()
}

func newComposer(send func()) *composer {
	c := &composer{send: send}
	c.MultiLine, c.Wrapping = true, fyne.TextWrapWord
	c.SetMinRowsVisible(1)
	c.ExtendBaseWidget(c)
	c.OnChanged = func(text string) {
		rows := 1
		for _, r := range text {
			if r == '\n' {
				rows++
			}
		}
		c.SetMinRowsVisible(min(rows, 5))
	}
	return c
}

// TypedKey sends on Enter.
func (c *composer) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyReturn || k.Name == fyne.KeyEnter {
		d, ok := fyne.CurrentApp().Driver().(desktop.Driver)
		if !ok || d.CurrentKeyModifiers()&fyne.KeyModifierShift == 0 {
			c.send()
			return
		}
	}
	c.Entry.TypedKey(k)
}

// nameEntry is a field that is left by Enter or by leaving it, and restored by Escape.
type nameEntry struct {
	widget.Entry
	done   func(string)
	escape func()
}

func newNameEntry(done func(string), escape func()) *nameEntry {
	n := &nameEntry{done: done, escape: escape}
	n.ExtendBaseWidget(n)
	n.OnSubmitted = func(s string) { n.done(s) }
	return n
}

// TypedKey gives up on Escape.
func (n *nameEntry) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape {
		n.escape()
		return
	}
	n.Entry.TypedKey(k)
}
