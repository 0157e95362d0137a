package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// named is a layout of a name with a mark directly after it.
type named struct{ name, mark fyne.CanvasObject }

// NewNamed puts a mark directly after a name.
func NewNamed(name *Line, mark fyne.CanvasObject) *fyne.Container {
	return container.New(&named{name, mark}, name, mark)
}

func (l *named) used() float32 {
	if !l.mark.Visible() {
		return 0
	}
	return l.mark.MinSize().Width + GapTight
}

func (l *named) MinSize([]fyne.CanvasObject) fyne.Size {
	m := l.name.MinSize()
	return fyne.NewSize(m.Width+l.used(), m.Height)
}

func (l *named) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	n := l.name.(*Line)
	w := min(n.measure(n.Text)+1, s.Width-l.used())
	n.Resize(fyne.NewSize(w, s.Height))
	n.Move(fyne.NewPos(0, 0))
	m := l.mark.MinSize()
	l.mark.Resize(m)
	l.mark.Move(fyne.NewPos(w+GapTight, (s.Height-m.Height)/2))
}
