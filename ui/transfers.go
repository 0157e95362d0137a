package ui

import (
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// transfersPage shows all transfers of this run, the newest first, with totals and the rate of the last minute.
type transfersPage struct {
	u      *UI
	box    *fyne.Container
	back   *quietButton
	totals *line
	chart  *chart
	head   *fyne.Container
	graph  *fyne.Container
	hold   *widget.Button
	list   *timeline
	none   *fyne.Container
	made   map[engine.TransferID]*transferCard
	shown  []engine.TransferID
	moved  map[engine.TransferID]int64 // bytes that were done a second ago
}

func newTransfersPage(u *UI) *transfersPage {
	p := &transfersPage{u: u, totals: caption(""), chart: newChart(), list: newTimeline(), made: map[engine.TransferID]*transferCard{}, moved: map[engine.TransferID]int64{}}
	p.back = iconButton(iconBack, tr("Back"), u.back)
	p.hold = newButton(tr("Pause all"), widget.MediumImportance, p.holdAll)
	p.graph = container.NewCenter(container.New(fixed(fyne.NewSize(120, 32)), p.chart))
	title := newLine(tr("Transfers"), sizeTitle, theme.ColorNameForeground, true)
	p.head = newHead(newBeside(gap, p.back, newBesideRight(gapWide, column(2, title, p.totals), row(gapWide, p.graph, p.hold))))
	text := hint(tr("No transfers yet. Drop files on a name in the list, or on a conversation."))
	text.align = fyne.TextAlignCenter
	p.none = container.New(middle(320), newStacked(gapWide, container.NewCenter(newEmblem(widget.NewIcon(iconTransfers), 64, 32)), text))
	p.box = newPane(p.head, nil, container.NewStack(p.none, p.list))
	return p
}

// showTransfers turns to the page.
func (u *UI) showTransfers() {
	u.saveDraft()
	u.current = nil
	u.turn(pageTransfers)
	u.moves.refresh()
	u.moves.list.top, u.moves.list.past, u.moves.list.pinned = 0, 0, false
	u.moves.list.fill()
	u.trace("transfers %d", len(u.moves.shown))
	u.settle()
}

// count is rows'.
func (p *transfersPage) count() int { return len(p.shown) }

// row is rows'.
func (p *transfersPage) row(i int) item {
	id := p.shown[i]
	c := p.made[id]
	if c == nil {
		c = p.u.newCard(p.u.transfers[id])
		c.wide = true
		c.set(p.u.transfers[id])
		p.made[id] = c
	}
	return c
}

// refresh brings the page up to date.
func (p *transfersPage) refresh() {
	u := p.u
	if len(p.shown) != len(u.order) {
		p.shown = make([]engine.TransferID, len(u.order))
		for i, id := range u.order {
			p.shown[len(u.order)-1-i] = id
		}
	}
	if len(p.made) > 4*generation {
		clear(p.made)
	}
	show(p.none, len(p.shown) == 0)
	if p.list.src == nil {
		p.list.src, p.list.pinned = p, false
	}
	p.list.remeasure()
	p.totals.set(u.totalsLine())
	_, held := u.running()
	label := tr("Pause all")
	if held {
		label = tr("Resume all")
	}
	if p.hold.Text != label {
		p.hold.SetText(label)
	}
	moving, _ := u.running()
	hold, graph := !u.shell.narrow && (moving || held), !u.shell.narrow && p.chart.busy()
	if hold != p.hold.Visible() || graph != p.graph.Visible() {
		show(p.hold, hold)
		show(p.graph, graph)
		p.head.Refresh()
	}
}

// running tells whether something moves, and whether all that could is held.
func (u *UI) running() (moving, held bool) {
	for _, t := range u.transfers {
		switch t.State {
		case engine.Moving, engine.Stalled, engine.Queued:
			moving = true
		case engine.Paused:
			held = true
		}
	}
	return moving, held && !moving
}

func (p *transfersPage) holdAll() {
	_, held := p.u.running()
	for id, t := range p.u.transfers {
		switch {
		case held && t.State == engine.Paused:
			p.u.actions(p.u.transfers[id]).resume()
		case !held && (t.State == engine.Moving || t.State == engine.Stalled || t.State == engine.Queued):
			p.u.actions(p.u.transfers[id]).pause()
		}
	}
}

// tick adds the last second to the chart.
func (p *transfersPage) tick() {
	var bytes int64
	for id, t := range p.u.transfers {
		if d := t.Done - p.moved[id]; d > 0 && p.moved[id] > 0 {
			bytes += d
		}
		p.moved[id] = t.Done
	}
	p.chart.add(float64(bytes))
}

// counts are how many transfers are at what.
type counts struct{ moving, waiting, paused, delivered, ended int64 }

func (u *UI) countTransfers() (n counts) {
	for _, t := range u.transfers {
		switch {
		case t.State == engine.Moving || t.State == engine.Stalled || t.State == engine.Finishing:
			n.moving++
		case t.State == engine.Paused:
			n.paused++
		case !t.State.Final():
			n.waiting++
		case t.State == engine.Delivered:
			n.delivered++
		default:
			n.ended++
		}
	}
	return n
}

// line says how many are under way.
func (n counts) line() (s string) {
	if n.moving > 0 {
		s = trn("{{.N}} moving", n.moving)
	}
	if n.waiting > 0 {
		s = joined(s, trn("{{.N}} waiting", n.waiting))
	}
	if n.paused > 0 {
		s = joined(s, trn("{{.N}} paused", n.paused))
	}
	return s
}

// totalsLine says what all transfers together are at.
func (u *UI) totalsLine() string {
	var rate float64
	var rest int64
	for _, t := range u.transfers {
		if t.State == engine.Moving || t.State == engine.Stalled {
			rate += t.Rate
			rest += t.Bytes - t.Done
		}
	}
	n, s := u.countTransfers(), ""
	if n.moving > 0 {
		s = joined(size(int64(rate))+"/s", tr("{{.Size}} to go", "Size", size(max(0, rest))))
	}
	s = joined(n.line(), s)
	if n.delivered > 0 {
		s = joined(s, trn("{{.N}} delivered", n.delivered))
	}
	if n.ended > 0 {
		s = joined(s, trn("{{.N}} not delivered", n.ended))
	}
	return s
}

// transfersLine is the line in the list.
func (u *UI) transfersLine() string {
	n := u.countTransfers()
	switch {
	case len(u.transfers) == 0:
		return tr("None yet")
	case n.moving+n.waiting+n.paused == 0:
		return tr("Nothing moves")
	}
	return n.line()
}

// chart is the rate of the last minute as bars, the highest one at the top.
type chart struct {
	widget.BaseWidget
	bars   [60]*canvas.Rectangle
	values [60]float64
}

func newChart() *chart {
	c := &chart{}
	for i := range c.bars {
		c.bars[i] = canvas.NewRectangle(color.Transparent)
	}
	c.ExtendBaseWidget(c)
	return c
}

// busy tells whether anything moved in the last minute.
func (c *chart) busy() bool {
	return slices.ContainsFunc(c.values[:], func(v float64) bool { return v > 0 })
}

// add puts a second at the end. Nothing is repainted while all is zero.
func (c *chart) add(v float64) {
	idle := v == 0 && !c.busy()
	copy(c.values[:], c.values[1:])
	c.values[len(c.values)-1] = v
	if !idle {
		c.Refresh()
	}
}

func (c *chart) CreateRenderer() fyne.WidgetRenderer { return &chartRenderer{c} }

type chartRenderer struct{ c *chart }

func (r *chartRenderer) MinSize() fyne.Size { return fyne.NewSize(120, 32) }
func (r *chartRenderer) Layout(s fyne.Size) {
	top := 1.0
	for _, v := range r.c.values {
		top = max(top, v)
	}
	w := s.Width / float32(len(r.c.bars))
	for i, b := range r.c.bars {
		h := s.Height * float32(r.c.values[i]/top)
		b.FillColor = tint(r.c, theme.ColorNamePrimary)
		if h < 1 { // the base line
			h, b.FillColor = 1, tint(r.c, colorTrack)
		}
		b.Resize(fyne.NewSize(max(1, w-0.5), h))
		b.Move(fyne.NewPos(float32(i)*w, s.Height-h))
	}
}

func (r *chartRenderer) Refresh() {
	r.Layout(r.c.Size())
	canvas.Refresh(r.c)
}

func (r *chartRenderer) Objects() (out []fyne.CanvasObject) {
	for _, b := range r.c.bars {
		out = append(out, b)
	}
	return out
}
func (r *chartRenderer) Destroy() {}
