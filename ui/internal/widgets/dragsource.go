package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// DragSource is content that the user can drag to another program. On touch screens a drag scrolls instead: NewDragSource
// returns the bare content there.
type DragSource struct {
	widget.BaseWidget
	content fyne.CanvasObject
	start   func()
	dragged bool
}

var (
	_ fyne.Draggable = (*DragSource)(nil)
	_ Flexible       = (*DragSource)(nil)
)

// NewDragSource returns content that calls start when a drag begins.
func NewDragSource(content fyne.CanvasObject, start func()) fyne.CanvasObject {
	if fyne.CurrentDevice().IsMobile() {
		return content
	}
	d := &DragSource{content: content, start: start}
	d.ExtendBaseWidget(d)
	return d
}

// Dragged implements fyne.Draggable.
func (d *DragSource) Dragged(*fyne.DragEvent) {
	if !d.dragged {
		d.dragged = true
		d.start()
	}
}

// DragEnd implements fyne.Draggable.
func (d *DragSource) DragEnd() { d.dragged = false }

// HeightFor implements Flexible.
func (d *DragSource) HeightFor(width float32) float32 { return heightOf(d.content, width) }

// CreateRenderer implements fyne.Widget.
func (d *DragSource) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(d.content)
}
