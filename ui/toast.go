package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
)

// toast is a line at the top that says what went wrong, for a while.
type toast struct {
	u     *UI
	box   *fyne.Container
	text  *paragraph
	until time.Time
	body  *fyne.Container
}

const toastTime = 12 * time.Second

func newToast(u *UI) *toast {
	t := &toast{u: u, text: newParagraph("", sizeBody, theme.ColorNameForeground)}
	closeButton := iconButton(iconClose, tr("Close"), func() { t.hide() })
	t.body = newStackedInset(stacked{top: gap, bottom: gap, left: edge, right: gap}, newBesideRight(gap, t.text, closeButton))
	t.box = container.NewStack(newPanel(colorBanner, "", 0), t.body)
	t.box.Hide()
	return t
}

func (t *toast) show(text string) {
	t.text.set(text)
	t.until = time.Now().Add(toastTime)
	t.body.Layout.(*stacked).width = t.u.w.Canvas().Size().Width // or its height would be that of a narrower one
	t.box.Show()
	t.u.w.Content().Refresh()
}

func (t *toast) hide() {
	t.box.Hide()
	t.u.w.Content().Refresh()
}

func (t *toast) age() {
	if t.box.Visible() && time.Now().After(t.until) {
		t.hide()
	}
}

// say tells what went wrong; nothing for an empty text.
func (u *UI) say(text string) {
	if text != "" {
		u.trace("toast %q", text)
		u.toast.show(text)
	}
}
