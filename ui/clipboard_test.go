package ui

import (
	"testing"

	"fyne.io/fyne/v2"
)

// TestClipboard_MenuSendsNothing checks that the text in the clipboard, which may be a password, goes into the message field
// and not to the other device.
func TestClipboard_MenuSendsNothing(t *testing.T) {
	s := newStage(t, nil)
	s.conversation()
	before := s.current.Count()
	fyne.CurrentApp().Clipboard().SetContent("a secret")
	s.composer.entry.SetText("")
	s.composer.pasteText()
	if got := s.composer.entry.Text; got != "a secret" {
		t.Errorf("the message field holds %q", got)
	}
	if s.current.Count() != before {
		t.Error("it was sent")
	}
}
