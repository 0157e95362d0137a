package ui

import (
	"slices"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// deviceTiles shows the devices nearby as a grid. A tile takes dropped files. While files wait, tapping a tile chooses
// its device as a recipient; otherwise it opens the conversation.
type deviceTiles struct {
	u     *UI
	box   *fyne.Container
	tiles map[engine.PeerID]*widgets.Tile
	order []engine.PeerID
	stops stops
}

// newDeviceTiles returns an empty grid. The caller must put it into a scroll area and pass that to scrolled.
func newDeviceTiles(u *UI) *deviceTiles {
	g := &deviceTiles{u: u, tiles: map[engine.PeerID]*widgets.Tile{}}
	g.box = widgets.NewGrid(widgets.TileWidth, widgets.Gap)
	return g
}

// scrolled sets the scroll area that contains the grid.
func (g *deviceTiles) scrolled(s *widgets.Scroll) {
	g.stops = stops{canvas: g.u.w.Canvas(), scroll: s, columns: func() int { return widgets.Columns(g.box) }, all: func() (all []stop) {
		for _, id := range g.order {
			all = append(all, stop{g.tiles[id], g.tiles[id].TapRow})
		}
		return all
	}}
}

// refresh shows a list of devices. It reports whether the height of the grid may have changed.
func (g *deviceTiles) refresh(devices []listed) (resized bool) {
	double := repeated(devices)
	order := make([]engine.PeerID, 0, len(devices))
	for _, l := range devices {
		order = append(order, l.p.ID)
		if g.set(l, double[l.name]) {
			resized = true
		}
	}
	if !slices.Equal(order, g.order) {
		g.order = order
		g.box.Objects = nil
		for _, id := range order {
			g.box.Objects = append(g.box.Objects, g.tiles[id])
		}
		for id := range g.tiles {
			if !slices.Contains(order, id) {
				delete(g.tiles, id)
			}
		}
		resized = true
	}
	if resized {
		g.box.Refresh()
	}
	g.stops.arrange()
	return resized
}

// set updates one tile; double is set if another device has the same name.
func (g *deviceTiles) set(l listed, double bool) (resized bool) {
	u, id := g.u, l.p.ID
	tile := g.tiles[id]
	if tile == nil {
		tile = widgets.NewTile(func() { g.tapped(id) })
		tile.OnMenu = func(at fyne.Position) { u.showMenu(u.talkActions(u.talk(id)), at) }
		tile.Label = func() string { return tileLabel(tile.Content()) }
		g.tiles[id] = tile
		resized = true
	}
	state, warns := u.side.stateOf(l)
	if !warns && !u.side.asks(id) && isVerifiedAndReachable(l.p) {
		state = tr("Verified") // the dot shows the connection
	}
	if double {
		state = joined(id.Short(), state)
	}
	part, moves := u.transfers.partOf(id)
	unread := 0
	if t := u.talks[id]; t != nil {
		unread = t.unread
	}
	changed := tile.Set(widgets.TileContent{
		Name: l.name, Status: state, Warning: warns, Fill: u.colorOf(id), Dot: dotOf(l.p, l.here), Kind: kindIcon(l.p.Info["kind"]),
		Favourite: l.favourite, Checkable: len(u.sending.paths) > 0, Checked: u.sending.chosen[id], Unread: unread, Moves: moves, Part: part,
	})
	return resized || changed
}

// isVerifiedAndReachable reports whether the tile of a verified peer needs no status text.
func isVerifiedAndReachable(p engine.Peer) bool {
	if p.Trust != engine.TrustVerified || p.Via != "" {
		return false
	}
	return p.State == engine.Connected || p.State == engine.Found && p.Err == nil
}

// tileLabel returns the description of a tile for screen readers.
func tileLabel(c widgets.TileContent) string {
	s := joined(c.Name, c.Status)
	if c.Favourite {
		s = joined(s, tr("favourite"))
	}
	if c.Checked {
		s = joined(s, tr("chosen"))
	}
	if c.Unread > 0 {
		s = joined(s, trn("{{.N}} unread", int64(c.Unread)))
	}
	return s
}

func (g *deviceTiles) tapped(id engine.PeerID) {
	if len(g.u.sending.paths) > 0 {
		g.u.sending.toggle(id)
		g.u.settle()
		return
	}
	g.u.sending.tapped(g.u.talk(id))
}

// showProgress updates the rings.
func (g *deviceTiles) showProgress() {
	for id, tile := range g.tiles {
		c := tile.Content()
		c.Part, c.Moves = g.u.transfers.partOf(id)
		tile.Set(c)
	}
}

// at returns the device whose tile is at a position in the window.
func (g *deviceTiles) at(p fyne.Position) (engine.PeerID, bool) {
	if g.stops.scroll == nil || !g.onScreen() || !covers(g.stops.scroll, p) {
		return engine.PeerID{}, false
	}
	for id, tile := range g.tiles {
		if covers(tile, p) {
			return id, true
		}
	}
	return engine.PeerID{}, false
}

// onScreen reports whether the grid is visible: on the home page in a wide window, or on the list page in a narrow one.
func (g *deviceTiles) onScreen() bool {
	u := g.u
	if !g.box.Visible() || len(g.order) == 0 {
		return false
	}
	if u.shell.narrow {
		return g == u.side.tiles && !u.shell.onPage
	}
	return g == u.home.tiles && u.page == pageEmpty
}

// kindIcon returns the icon of the device kind that a peer announces, or nil for an unknown kind.
func kindIcon(kind string) fyne.Resource {
	switch kind {
	case "linux", "windows", "mac":
		return widgets.IconComputer
	case "phone":
		return widgets.IconPhone
	case "tablet":
		return widgets.IconTablet
	case "server":
		return widgets.IconServer
	}
	return nil
}

// repeated returns the names that more than one device has.
func repeated(devices []listed) map[string]bool {
	seen, double := map[string]bool{}, map[string]bool{}
	for _, l := range devices {
		double[l.name] = seen[l.name]
		seen[l.name] = true
	}
	return double
}
