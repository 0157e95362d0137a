package widgets

import (
	"fmt"
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// AlbumMost is the maximum number of pictures that an album shows.
const AlbumMost = 6

// AlbumPicture is a picture of an album.
type AlbumPicture struct {
	Name  string // for screen readers
	Image image.Image
	Size  fyne.Size // on screen, if it is the only picture
}

// Album shows one picture in its own proportions, or several as squares in two or three columns. Pictures can be
// tapped.
type Album struct {
	widget.BaseWidget
	pictures []*albumPicture
	shown    []fyne.CanvasObject // the pictures, each as the source of a drag
}

// NewAlbum returns an album that is hidden until it has pictures.
func NewAlbum() *Album {
	a := &Album{}
	a.ExtendBaseWidget(a)
	a.Hide()
	return a
}

// Set shows pictures. more is the number of pictures that are not shown; the last one shows that number. tapped and
// menu get the index of a picture, and so does drag when the user begins to drag it.
func (a *Album) Set(pictures []AlbumPicture, more int, tapped func(i int), menu func(i int, at fyne.Position), drag func(i int)) {
	a.pictures, a.shown = nil, nil
	for i, p := range pictures {
		picture := newAlbumPicture(p, len(pictures) > 1, func() { tapped(i) }, func(at fyne.Position) { menu(i, at) })
		if more > 0 && i == len(pictures)-1 {
			picture.more.SetText(fmt.Sprintf("+%d", more))
			picture.veil.Show()
		}
		a.pictures = append(a.pictures, picture)
		a.shown = append(a.shown, NewDragSource(picture, func() { drag(i) }))
	}
	Show(a, len(pictures) > 0)
	a.Refresh()
}

// Len returns the number of pictures.
func (a *Album) Len() int { return len(a.pictures) }

// Picture returns the object that shows a picture.
func (a *Album) Picture(i int) fyne.CanvasObject { return a.pictures[i] }

func (a *Album) columns() int {
	if n := len(a.pictures); n == 2 || n == 4 {
		return 2
	}
	return 3
}

// cells calls place with the position and size of each picture, and returns the total height.
func (a *Album) cells(width float32, place func(i int, at fyne.Position, size fyne.Size)) float32 {
	n := len(a.pictures)
	if n == 0 {
		return 0
	}
	if n == 1 {
		size := a.pictures[0].size
		if size.Width > width && size.Width > 0 {
			size = fyne.NewSize(width, size.Height*width/size.Width)
		}
		place(0, fyne.Position{}, size)
		return size.Height
	}
	columns := a.columns()
	side := (width - float32(columns-1)*GapTight) / float32(columns)
	for i := range n {
		place(i, fyne.NewPos(float32(i%columns)*(side+GapTight), float32(i/columns)*(side+GapTight)), fyne.NewSquareSize(side))
	}
	rows := (n + columns - 1) / columns
	return float32(rows)*(side+GapTight) - GapTight
}

// HeightFor implements Flexible.
func (a *Album) HeightFor(width float32) float32 {
	return a.cells(width, func(int, fyne.Position, fyne.Size) {})
}

// CreateRenderer implements fyne.Widget.
func (a *Album) CreateRenderer() fyne.WidgetRenderer { return &albumRenderer{a} }

type albumRenderer struct{ a *Album }

func (r *albumRenderer) MinSize() fyne.Size { return fyne.NewSize(120, 20) }
func (r *albumRenderer) Layout(s fyne.Size) {
	r.a.cells(s.Width, func(i int, at fyne.Position, size fyne.Size) {
		r.a.shown[i].Resize(size)
		r.a.shown[i].Move(at)
	})
}

func (r *albumRenderer) Refresh() {
	r.Layout(r.a.Size())
	canvas.Refresh(r.a)
}

func (r *albumRenderer) Objects() []fyne.CanvasObject { return r.a.shown }
func (r *albumRenderer) Destroy()                     {}

// albumPicture is one picture of an album.
type albumPicture struct {
	focusable
	name   string
	size   fyne.Size
	image  *canvas.Image
	rim    *canvas.Rectangle // shows the focus
	veil   *fyne.Container   // shows how many more there are
	more   *Line
	tapped func()
	menu   func(at fyne.Position)
}

var (
	_ fyne.Tappable          = (*albumPicture)(nil)
	_ fyne.SecondaryTappable = (*albumPicture)(nil)
	_ fyne.Focusable         = (*albumPicture)(nil)
	_ fyne.Accessible        = (*albumPicture)(nil)
	_ desktop.Cursorable     = (*albumPicture)(nil)
)

func newAlbumPicture(p AlbumPicture, square bool, tapped func(), menu func(at fyne.Position)) *albumPicture {
	a := &albumPicture{name: p.Name, size: p.Size, tapped: tapped, menu: menu, rim: canvas.NewRectangle(color.Transparent)}
	a.image = &canvas.Image{Image: p.Image, FillMode: canvas.ImageFillStretch, CornerRadius: 8}
	if square {
		a.image.FillMode = canvas.ImageFillCover
	}
	a.rim.CornerRadius = 8
	a.more = Centred(NewLine("", SizeTitle, ColorOnBubble, true))
	a.more.Fits = true
	shade := canvas.NewRectangle(color.NRGBA{A: 140})
	shade.CornerRadius = 8
	a.veil = container.NewStack(shade, container.NewCenter(a.more))
	a.veil.Hide()
	a.ExtendBaseWidget(a)
	return a
}

// AccessibilityLabel returns the name of the file.
func (a *albumPicture) AccessibilityLabel() string { return a.name }

// AccessibilityRole returns the button role.
func (a *albumPicture) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Cursor implements desktop.Cursorable.
func (a *albumPicture) Cursor() desktop.Cursor { return desktop.PointerCursor }

// Tapped implements fyne.Tappable.
func (a *albumPicture) Tapped(*fyne.PointEvent) { a.tapped() }

// TappedSecondary implements fyne.SecondaryTappable.
func (a *albumPicture) TappedSecondary(e *fyne.PointEvent) { a.menu(e.AbsolutePosition) }

// TypedRune implements fyne.Focusable.
func (a *albumPicture) TypedRune(r rune) {
	if r == ' ' {
		a.tapped()
	}
}

// TypedKey implements fyne.Focusable.
func (a *albumPicture) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		a.tapped()
	case desktop.KeyMenu:
		a.menu(fyne.CurrentApp().Driver().AbsolutePositionForObject(a).AddXY(Edge, Edge))
	}
}

// Refresh implements fyne.Widget.
func (a *albumPicture) Refresh() {
	a.rim.StrokeWidth = 0
	if a.focused {
		a.rim.StrokeColor, a.rim.StrokeWidth = tint(a, theme.ColorNamePrimary), 3
	}
	a.rim.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (a *albumPicture) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(a.image, a.veil, a.rim))
}
