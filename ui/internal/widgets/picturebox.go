package widgets

import (
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// PictureBox shows a picture, aligned left and scaled down to the available width, but never enlarged.
type PictureBox struct {
	widget.BaseWidget
	image *canvas.Image
	size  fyne.Size
}

// NewPictureBox returns a box that is hidden until it has a picture.
func NewPictureBox() *PictureBox {
	b := &PictureBox{image: &canvas.Image{FillMode: canvas.ImageFillStretch, CornerRadius: 8}}
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

// Set shows a picture at a size.
func (b *PictureBox) Set(picture image.Image, size fyne.Size) {
	b.image.Image, b.size = picture, size
	b.image.Refresh()
	b.Show()
}

func (b *PictureBox) fitting(width float32) fyne.Size {
	if b.size.Width <= width || b.size.Width == 0 {
		return b.size
	}
	return fyne.NewSize(width, b.size.Height*width/b.size.Width)
}

// HeightFor implements Flexible.
func (b *PictureBox) HeightFor(width float32) float32 { return b.fitting(width).Height }

// CreateRenderer implements fyne.Widget.
func (b *PictureBox) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.New(pictureLayout{b}, b.image))
}

type pictureLayout struct{ b *PictureBox }

func (l pictureLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(40, 20) }
func (l pictureLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(l.b.fitting(s.Width))
	o[0].Move(fyne.NewPos(0, 0))
}
