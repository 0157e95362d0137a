package ui

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// request is a peer's request that waits for an answer: to connect, or to send files.
type request struct {
	id      string // of the invitation or the transfer
	talk    *talk
	asks    string
	warning string // why the user should look more closely before answering
	accept  func()
	decline func()
}

// banner shows the oldest request over the page, except a request whose conversation is on screen.
type banner struct {
	u       *UI
	box     *fyne.Container
	body    *fyne.Container
	face    *widgets.Avatar
	text    *widgets.Paragraph
	more    *widgets.Paragraph
	decline *widget.Button
	accept  *widget.Button
	show    *widget.Button
	put     map[string]bool // requests that the user has put aside
	now     request         // the request that is shown; zero if there is none
	since   time.Time       // when it came on screen
}

func newBanner(u *UI, list func() float32) *banner {
	b := &banner{u: u, put: map[string]bool{}, face: widgets.NewAvatar(36, widgets.ColorCard), text: widgets.NewParagraph("", widgets.SizeBody, theme.ColorNameForeground), more: widgets.Hint("")}
	b.accept = widgets.NewButton(tr("Accept"), widget.HighImportance, func() { b.answer(b.now.accept) })
	b.decline = widgets.NewButton(tr("Decline"), widget.MediumImportance, func() { b.answer(b.now.decline) })
	b.show = widgets.NewButton(tr("Show"), widget.MediumImportance, func() {
		u.choose(b.now.talk)
		u.settle()
	})
	words := widgets.NewStacked(2, b.text, b.more)
	later := widgets.NewIconButton(widgets.IconClose, tr("Not now"), b.later)
	b.body = widgets.NewStacked(widgets.Gap, widgets.NewBesideRight(widgets.Gap, widgets.NewBeside(widgets.GapWide, container.NewCenter(b.face), words), later), widgets.NewFlow(widgets.Gap, b.accept, b.decline, b.show))
	b.box = widgets.NewOverTop(b.body, list)
	b.box.Hide()
	return b
}

// later hides the request that is shown. The peer keeps its mark in the list.
func (b *banner) later() {
	b.put[b.now.id] = true
	b.refresh()
}

// answer answers the request that is shown, unless it has just replaced one that the user may have meant. One with a
// warning is answered on its card, so the conversation is shown instead.
func (b *banner) answer(do func()) {
	if do == nil || time.Since(b.since) < lookAgain {
		return
	}
	if b.now.warning != "" {
		b.u.choose(b.now.talk)
	} else {
		do()
	}
	b.u.settle()
}

// refresh shows the request that has waited longest, except one whose conversation is on screen.
func (b *banner) refresh() {
	u := b.u
	all := b.requests()
	waiting := slices.DeleteFunc(slices.Clone(all), func(r request) bool {
		return b.put[r.id] || u.page == pageTalk && u.current == r.talk && (!u.shell.narrow || u.shell.onPage)
	})
	maps.DeleteFunc(b.put, func(id string, _ bool) bool {
		return !slices.ContainsFunc(all, func(r request) bool { return r.id == id })
	})
	if len(waiting) == 0 {
		b.now = request{}
		widgets.Show(b.box, false)
		return
	}
	r := waiting[0]
	if i := slices.IndexFunc(waiting, func(r request) bool { return r.id == b.now.id }); i >= 0 { // keep showing the same request
		r = waiting[i]
	}
	if r.id != b.now.id || r.talk != b.now.talk || r.asks != b.now.asks || r.warning != b.now.warning {
		b.since = time.Now()
		u.trace("banner %q", r.asks)
	}
	b.now = r
	b.face.Set(u.colorOf(r.talk.id), u.nameOf(r.talk), "")
	b.text.SetText(r.asks)
	more := ""
	if len(all) > 1 {
		more = trn("{{.N}} requests waiting", int64(len(all)))
	}
	b.more.SetText(joined(r.warning, more))
	b.more.Color = widgets.ColorSubtle
	if r.warning != "" {
		b.more.Color = widgets.ColorBad
	}
	widgets.Show(b.more, b.more.Text != "")
	widgets.Show(b.accept, r.warning == "") // a request with a warning is answered on its card
	widgets.Show(b.decline, r.warning == "")
	widgets.Show(b.box, true)
	b.box.Refresh()
}

// requests lists the requests that wait for the user's answer, oldest first.
func (b *banner) requests() (out []request) {
	u := b.u
	for id, c := range u.invites.open {
		t := c.at.t
		out = append(out, request{
			id: id, talk: t, warning: u.warning(u.peers[t.id]), accept: c.agree, decline: c.decline,
			asks: tr("{{.Name}} wants to connect", "Name", widgets.Shortened(u.nameOf(t), shownName)),
		})
	}
	for id := range u.transfers.offers {
		at, known := u.transfers.rows[id]
		o := u.transfers.all[id]
		if !known || o.State != engine.Offered {
			continue
		}
		do := u.transfers.actions(o)
		out = append(out, request{
			id: string(id), talk: at.t, warning: u.warning(u.peers[o.Peer]), accept: func() { do.accept(transfer.KeepBoth) }, decline: do.decline,
			asks: tr("{{.Name}} wants to send {{.What}}", "Name", widgets.Shortened(u.nameOf(at.t), shownName), "What", joined(widgets.Shortened(title(o), shownName), content(o))),
		})
	}
	slices.SortFunc(out, func(a, b request) int { return cmp.Or(a.talk.last.Compare(b.talk.last), cmp.Compare(a.id, b.id)) })
	return out
}
