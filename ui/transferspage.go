package ui

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// transfersPage shows the transfers of this run and of the history, active ones first, then the newest, with totals and
// the rate of the last minute.
type transfersPage struct {
	u      *UI
	box    *fyne.Container
	back   *widgets.QuietButton
	totals *widgets.Line
	chart  *widgets.Chart
	head   *fyne.Container
	graph  *fyne.Container
	hold   *widget.Button
	list   *widgets.Timeline
	filter *widgets.Segments
	search *widgets.Field
	none   *fyne.Container
	empty  *widgets.Paragraph // why the list is empty
	made   map[engine.TransferID]*transferCard
	headed map[engine.TransferID]*dayItem // cards below a heading
	shown  []engine.TransferID
	moved  map[engine.TransferID]int64 // bytes done a second ago
}

func newTransfersPage(u *UI) *transfersPage {
	p := &transfersPage{u: u, totals: widgets.Caption(""), chart: widgets.NewChart(), list: widgets.NewTimeline(newRows), made: map[engine.TransferID]*transferCard{}, headed: map[engine.TransferID]*dayItem{}, moved: map[engine.TransferID]int64{}}
	p.back = widgets.NewIconButton(widgets.IconBack, tr("Back"), u.back)
	p.hold = widgets.NewButton(tr("Pause all"), widget.MediumImportance, p.holdAll)
	p.graph = container.NewCenter(container.New(widgets.Fixed(fyne.NewSize(120, 32)), p.chart))
	title := widgets.NewLine(tr("Transfers"), widgets.SizeTitle, theme.ColorNameForeground, true)
	folder := widgets.NewIconButton(widgets.IconFolder, tr("Show received files"), func() {
		u.transfers.inBackground(func(context.Context) error { return u.o.Desktop.Open(u.downloads()) })
	})
	p.head = widgets.NewHead(widgets.NewBeside(widgets.Gap, p.back, widgets.NewBesideRight(widgets.GapWide, widgets.Column(2, title, p.totals), widgets.Row(widgets.GapWide, p.graph, p.hold, folder))))
	p.filter = widgets.NewSegments([]string{tr("All"), tr("Received"), tr("Sent"), tr("Not delivered")}, 0, func(int) { p.again() })
	p.search = newSearchField(u, tr("Search transfers"), p.again)
	p.search.OnEscape = func() {
		p.search.SetText("")
		u.w.Canvas().Unfocus()
	}
	tools := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.Gap, Top: widgets.GapWide, Left: widgets.Edge, Right: widgets.Edge}, p.filter, p.search)
	p.empty = widgets.Hint("")
	p.empty.Align = fyne.TextAlignCenter
	p.none = container.New(widgets.Middle(320), widgets.NewStacked(widgets.GapWide, container.NewCenter(widgets.NewEmblem(widget.NewIcon(widgets.IconTransfers), 64, 32)), p.empty))
	p.box = widgets.NewPane(p.head, nil, widgets.NewPane(tools, nil, container.NewStack(p.none, p.list)))
	return p
}

// again applies the filter and the search to the list.
func (p *transfersPage) again() {
	p.refresh()
	p.list.ToStart()
}

// filters belong to the options above the list, in the same order. A transfer in progress never counts as failed.
var filters = []func(t engine.Transfer) bool{
	func(engine.Transfer) bool { return true },
	func(t engine.Transfer) bool { return t.Incoming },
	func(t engine.Transfer) bool { return !t.Incoming },
	func(t engine.Transfer) bool { return t.State > engine.Delivered || t.LeftOut > 0 },
}

// matches reports whether a transfer matches the filter and the search text.
func (p *transfersPage) matches(id engine.TransferID) bool {
	t := p.u.transfers.named(p.u.transfers.get(id))
	if !filters[p.filter.Chosen](t) {
		return false
	}
	sought := strings.ToLower(strings.TrimSpace(p.search.Text))
	for _, s := range append([]string{t.PeerName}, t.Names...) {
		if strings.Contains(strings.ToLower(s), sought) {
			return true
		}
	}
	return sought == ""
}

// showTransfers shows the transfers page.
func (u *UI) showTransfers() {
	u.saveDraft()
	u.current = nil
	u.turn(pageTransfers)
	u.moves.list.Clear()
	u.moves.refresh()
	u.moves.list.ToStart()
	u.trace("transfers %d", len(u.moves.shown))
	u.settle()
}

// Count returns the number of rows, for a widgets.Timeline.
func (p *transfersPage) Count() int { return len(p.shown) }

// Row returns row i, for a widgets.Timeline.
func (p *transfersPage) Row(i int) widgets.Item {
	id := p.shown[i]
	card := p.card(id)
	head := p.heading(id)
	if i > 0 && p.heading(p.shown[i-1]) == head {
		return card
	}
	h := p.headed[id]
	if h == nil || h.item != widgets.Item(card) || h.line.Text.Text != head {
		h = &dayItem{line: widgets.NewNotice(head), item: card}
		h.ExtendBaseWidget(h)
		p.headed[id] = h
	}
	return h
}

// card returns the card of a transfer of this run or of the history.
func (p *transfersPage) card(id engine.TransferID) *transferCard {
	c := p.made[id]
	if c != nil {
		return c
	}
	ts := p.u.transfers
	t := ts.get(id)
	c = ts.newCard(t)
	c.Wide = true
	c.set(ts.named(t))
	p.made[id] = c
	return c
}

// heading returns the heading that a transfer is listed under.
func (p *transfersPage) heading(id engine.TransferID) string {
	if t, known := p.u.transfers.all[id]; known && !t.State.Final() {
		return tr("Active")
	}
	if isToday(p.u.transfers.at(id)) {
		return tr("Today")
	}
	return tr("Earlier")
}

// ids returns the transfers of this run and of the history, active ones first, then the newest.
func (p *transfersPage) ids() []engine.TransferID {
	ts := p.u.transfers
	ids := slices.Clone(ts.order)
	for _, id := range ts.past {
		_, known := ts.all[id]
		if _, kept := ts.rows[id]; kept && !known {
			ids = append(ids, id)
		}
	}
	rank := func(id engine.TransferID) int {
		if t, known := ts.all[id]; known && !t.State.Final() {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ids, func(a, b engine.TransferID) int {
		return cmp.Or(rank(a)-rank(b), ts.at(b).Compare(ts.at(a)))
	})
	return ids
}

// refresh updates the page.
func (p *transfersPage) refresh() {
	u := p.u
	all := p.ids()
	p.shown = slices.DeleteFunc(slices.Clone(all), func(id engine.TransferID) bool { return !p.matches(id) })
	p.empty.SetText(tr("No transfers yet. Drop files on a device or into a chat."))
	if len(all) > 0 {
		p.empty.SetText(tr("No matching transfers."))
	}
	if len(p.made) > 4*generation {
		clear(p.made)
		clear(p.headed)
	}
	widgets.Show(p.none, len(p.shown) == 0)
	p.list.From(p)
	p.list.Remeasure()
	p.totals.SetText(u.transfers.totalsLine())
	_, held := u.transfers.running()
	label := tr("Pause all")
	if held {
		label = tr("Resume all")
	}
	if p.hold.Text != label {
		p.hold.SetText(label)
	}
	moving, _ := u.transfers.running()
	hold, graph := !u.shell.narrow && (moving || held), !u.shell.narrow && p.chart.Busy()
	if hold != p.hold.Visible() || graph != p.graph.Visible() {
		widgets.Show(p.hold, hold)
		widgets.Show(p.graph, graph)
		p.head.Refresh()
	}
}

func (p *transfersPage) holdAll() {
	_, held := p.u.transfers.running()
	for id, t := range p.u.transfers.all {
		switch {
		case held && t.State == engine.Paused && !t.ByPeer:
			p.u.transfers.actions(p.u.transfers.all[id]).resume()
		case !held && (t.State == engine.Moving || t.State == engine.Stalled || t.State == engine.Queued):
			p.u.transfers.actions(p.u.transfers.all[id]).pause()
		}
	}
}

// tick adds the last second to the chart.
func (p *transfersPage) tick() {
	var bytes int64
	for id, t := range p.u.transfers.all {
		if d := t.Done - p.moved[id]; d > 0 && p.moved[id] > 0 {
			bytes += d
		}
		p.moved[id] = t.Done
	}
	p.chart.Add(float64(bytes))
}
