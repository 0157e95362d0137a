package widgets

import (
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// TileWidth is the width of a tile in Fyne's units.
const TileWidth = 120

const (
	tileAvatar = 64
	tileFace   = 84 // the avatar with the ring around it
	ringSize   = 78
	ringWidth  = 4
	cornerSign = 24
	cornerIcon = 14
	// checkRadius makes the check mark a check box, at the edge of the tile: a disc at the avatar means something about
	// the device, such as that it is verified.
	checkRadius = 6
)

// TileContent is what a tile shows.
type TileContent struct {
	Name, Status string
	Warning      bool // the status is a warning
	Fill         color.NRGBA
	Dot          fyne.ThemeColorName // colour of the dot; empty hides it
	Kind         fyne.Resource       // the kind of device; nil for an unknown one
	Favourite    bool
	Checkable    bool // the tile can be selected along with others
	Checked      bool
	Unread       int
	Moves        bool    // a transfer is in progress
	Part         float64 // how much of the transfer is done, from 0 to 1
}

// Tile shows a device in a grid: its face, its name on up to two lines, and its status.
type Tile struct {
	*TapRow
	now    TileContent
	avatar *Avatar
	name   *Paragraph
	status *Line
	badge  *Badge
	track  *canvas.Arc // the ring
	done   *canvas.Arc // the part of the ring that is done
	kind   *cornerMark
	star   *cornerMark
	check  *cornerMark
	face   *fyne.Container
}

// NewTile returns a tile that runs tapped.
func NewTile(tapped func()) *Tile {
	t := &Tile{
		avatar: NewAvatar(tileAvatar, theme.ColorNameBackground), name: NewParagraph("", SizeBody, theme.ColorNameForeground), status: Centred(Caption("")), badge: NewBadge(),
		track: canvas.NewArc(0, 360, 1-2*ringWidth/float32(ringSize), color.Transparent), done: canvas.NewArc(0, 0, 1-2*ringWidth/float32(ringSize), color.Transparent),
		kind: newCornerMark(ColorCard, IconComputer, cornerSign/2), star: newCornerMark(ColorCard, IconStar, cornerSign/2), check: newCornerMark(theme.ColorNamePrimary, IconChecked, checkRadius),
	}
	t.name.Align, t.name.Bold, t.name.Most = fyne.TextAlignCenter, true, 2
	for _, o := range []fyne.CanvasObject{t.track, t.done, t.kind.box, t.star.box, t.check.box} {
		o.Hide()
	}
	t.face = container.New(faceLayout{t}, t.track, t.done, t.avatar, t.kind.box, t.star.box, t.check.box, t.badge)
	t.TapRow = NewTapRow(NewStacked(2, t.face, t.name, t.status), tapped)
	t.Outlined = true
	t.paintRing()
	return t
}

// Content returns what the tile shows.
func (t *Tile) Content() TileContent { return t.now }

// Set changes what the tile shows. It reports whether the tile's height may have changed.
func (t *Tile) Set(c TileContent) (resized bool) {
	before := t.now
	if c == before {
		return false
	}
	t.now = c
	t.avatar.Set(c.Fill, c.Name, c.Dot)
	t.name.SetText(c.Name)
	t.status.SetText(c.Status)
	t.status.SetColor(ColorSubtle)
	if c.Warning {
		t.status.SetColor(ColorBad)
	}
	if c.Kind != nil {
		t.kind.setIcon(c.Kind)
	}
	Show(t.kind.box, c.Kind != nil)
	Show(t.star.box, c.Favourite)
	t.check.set(c.Checked)
	Show(t.check.box, c.Checkable)
	t.Choose(c.Checked)
	unread := c.Unread
	if c.Checkable { // the check mark has the same corner
		unread = 0
	}
	t.badge.Set(unread)
	t.showRing(c)
	t.face.Refresh()
	return c.Name != before.Name
}

// showRing draws how much of the running transfers is done.
func (t *Tile) showRing(c TileContent) {
	part := max(0, min(1, c.Part))
	end := float32(math.Round(part*360)) + 1 // makes the start of a transfer visible
	Show(t.track, c.Moves)
	Show(t.done, c.Moves)
	t.done.EndAngle = min(end, 360)
	t.paintRing()
	t.track.Refresh()
	t.done.Refresh()
}

func (t *Tile) paintRing() {
	t.track.FillColor, t.done.FillColor = tint(t, ColorTrack), tint(t, theme.ColorNamePrimary)
}

// faceLayout places the parts of a tile's face.
type faceLayout struct{ t *Tile }

// MinSize implements fyne.Layout.
func (faceLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSquareSize(tileFace) }

// Layout implements fyne.Layout.
func (l faceLayout) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	t, middle := l.t, fyne.NewPos(s.Width/2, s.Height/2)
	for _, arc := range []*canvas.Arc{t.track, t.done} {
		arc.Resize(fyne.NewSquareSize(ringSize))
		arc.Move(middle.SubtractXY(ringSize/2, ringSize/2))
	}
	put := func(o fyne.CanvasObject, size fyne.Size, x, y float32) {
		o.Resize(size)
		o.Move(fyne.NewPos(x, y))
	}
	sign, left, right := fyne.NewSquareSize(cornerSign), middle.X-tileFace/2, middle.X+tileFace/2
	put(t.avatar, fyne.NewSquareSize(tileAvatar), middle.X-tileAvatar/2, middle.Y-tileAvatar/2)
	put(t.kind.box, sign, left+2, tileFace-cornerSign-2)
	put(t.star.box, sign, left+2, 2)
	put(t.check.box, sign, s.Width-cornerSign, 0)
	b := t.badge.MinSize()
	put(t.badge, b, right-b.Width, 2)
}

// cornerMark is a small disc or box with an icon, at a corner of a face.
type cornerMark struct {
	box  *fyne.Container
	disc *panel
	icon *widget.Icon
	fill fyne.ThemeColorName
}

func newCornerMark(fill fyne.ThemeColorName, icon fyne.Resource, radius float32) *cornerMark {
	m := &cornerMark{disc: NewPanel(fill, ColorBorder, radius), icon: widget.NewIcon(icon), fill: fill}
	pad := float32(cornerSign-cornerIcon) / 2
	m.box = container.NewStack(m.disc, Inset(m.icon, pad, pad, pad, pad))
	return m
}

func (m *cornerMark) setIcon(icon fyne.Resource) {
	if m.icon.Resource != icon {
		m.icon.SetResource(icon)
	}
}

// set fills the disc and shows its icon if on is set; otherwise it shows an empty disc.
func (m *cornerMark) set(on bool) {
	m.disc.fill, m.disc.stroke = ColorCard, ColorSubtle
	if on {
		m.disc.fill, m.disc.stroke = m.fill, m.fill
	}
	Show(m.icon, on)
	m.disc.Refresh()
}
