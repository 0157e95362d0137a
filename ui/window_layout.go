package ui

import (
	"fyne.io/fyne/v2"

	"multipeer/ui/internal/widgets"
)

// narrowest is the window width below which the list and the conversation are two pages, as on a phone.
const (
	narrowest = 600
	sideWidth = 280
)

// shell is the layout of the window: the list next to the page, or only one of them if the window is narrow.
type shell struct {
	narrow  bool
	onPage  bool       // in a narrow window, the page is shown instead of the list
	changed func(bool) // runs when narrow changes
	resized func()     // runs when the window size changes
	size    fyne.Size
}

func (l *shell) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	return fyne.NewSize(max(a.Width, b.Width, 320), max(a.Height, b.Height))
}

func (l *shell) Layout(o []fyne.CanvasObject, s fyne.Size) {
	if narrow := s.Width < narrowest; narrow != l.narrow {
		l.narrow = narrow
		l.changed(narrow)
	}
	if s != l.size {
		l.size = s
		l.resized()
	}
	widgets.Show(o[0], !l.narrow || !l.onPage)
	widgets.Show(o[1], !l.narrow || l.onPage)
	x := float32(sideWidth)
	if l.narrow {
		x = 0
		o[0].Resize(s)
	} else {
		o[0].Resize(fyne.NewSize(x, s.Height))
	}
	o[1].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(s.Width-x, s.Height))
}
