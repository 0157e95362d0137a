package widgets

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Badge shows the number of unread items.
type Badge struct {
	widget.BaseWidget
	N    int
	back *panel
	text *Line
}

// NewBadge returns a badge that is hidden while its number is 0.
func NewBadge() *Badge {
	b := &Badge{back: NewPanel(theme.ColorNamePrimary, "", 9), text: Centred(NewLine("", SizeSmall, theme.ColorNameForegroundOnPrimary, true))}
	b.text.Fits = true
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

// Set sets the number; 0 hides the badge.
func (b *Badge) Set(n int) {
	if n == b.N {
		return
	}
	b.N = n
	if n == 0 {
		b.Hide()
		return
	}
	b.text.SetText(fmt.Sprint(min(n, 99)))
	b.Show()
	b.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (b *Badge) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(b.back, Inset(b.text, 2, 2, 6, 6)))
}
