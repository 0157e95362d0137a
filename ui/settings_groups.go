package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"multipeer/ui/internal/widgets"
)

// settingsGroup is a card with related settings. The card is nil if the system has none of them.
type settingsGroup struct {
	name string
	card fyne.CanvasObject
}

func newSettingsGroup(name string, rows ...fyne.CanvasObject) settingsGroup {
	return settingsGroup{name, widgets.Section(name, rows...)}
}

// groupList is the list of groups next to the settings. A tap scrolls to a group. The group at the top of the scroll
// area is marked.
type groupList struct {
	groups []settingsGroup
	rows   []*widgets.TapRow
	scroll *widgets.Scroll
	stops  stops
	box    *fyne.Container
}

// newGroupList returns the list of the groups that are inside scroll.
func newGroupList(c fyne.Canvas, groups []settingsGroup, scroll *widgets.Scroll) *groupList {
	l := &groupList{groups: groups, scroll: scroll}
	column := widgets.NewStacked(0)
	for i, g := range groups {
		row := widgets.NewTapRow(widgets.NewLine(g.name, widgets.SizeBody, theme.ColorNameForeground, false), func() { l.goTo(i) })
		row.Label = func() string { return g.name }
		l.rows = append(l.rows, row)
		column.Add(row)
	}
	shown, own := widgets.NewScroll(column)
	l.stops = stops{canvas: c, scroll: own, all: func() (all []stop) {
		for _, r := range l.rows {
			all = append(all, stop{r, r})
		}
		return all
	}}
	l.box = widgets.Inset(shown, widgets.Edge, widgets.Gap, widgets.Gap, 0)
	l.mark(0)
	scroll.OnScrolled = func(fyne.Position) { l.mark(l.current()) }
	return l
}

// beside places the list on the left of the settings. If there is not enough width, it hides the list.
func (l *groupList) beside(settings fyne.CanvasObject) *fyne.Container {
	return container.New(groupLayout{}, l.box, settings)
}

// goTo scrolls to a group.
func (l *groupList) goTo(i int) {
	l.scrollTo(l.offsetOf(i) - widgets.Edge)
	l.mark(i) // the last groups may be unable to reach the top
}

// scrollTo scrolls the settings to an offset.
func (l *groupList) scrollTo(y float32) {
	end := l.scroll.Content.Size().Height - l.scroll.Size().Height
	l.scroll.ScrollToOffset(fyne.NewPos(0, max(0, min(y, end))))
	l.mark(l.current())
}

// offsetOf returns the distance of a group from the top of the scrolled content.
func (l *groupList) offsetOf(i int) float32 {
	d := fyne.CurrentApp().Driver()
	return d.AbsolutePositionForObject(l.groups[i].card).Y - d.AbsolutePositionForObject(l.scroll.Content).Y
}

// current returns the group that is at the top of the scroll area.
func (l *groupList) current() int {
	at := 0
	for i := range l.groups {
		if l.offsetOf(i) <= l.scroll.Offset.Y+2*widgets.Edge {
			at = i
		}
	}
	return at
}

func (l *groupList) mark(at int) {
	for i, r := range l.rows {
		r.Choose(i == at)
	}
	l.stops.arrange()
}

const (
	settingsWidth    = 640 // the maximum width of the settings
	groupsWidth      = 168
	narrowestGrouped = 600 // below this width the list of groups is hidden
)

// groupLayout places its first object on the left of the second one, or hides it.
type groupLayout struct{}

// MinSize implements fyne.Layout.
func (groupLayout) MinSize(o []fyne.CanvasObject) fyne.Size { return o[1].MinSize() }

// Layout implements fyne.Layout.
func (groupLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	x := float32(0)
	if s.Width >= narrowestGrouped {
		x = groupsWidth
	}
	widgets.Show(o[0], x > 0)
	o[0].Resize(fyne.NewSize(groupsWidth, s.Height))
	o[1].Move(fyne.NewPos(x, 0))
	o[1].Resize(fyne.NewSize(s.Width-x, s.Height))
}

// settingsColumn aligns the settings left, next to the list of groups.
type settingsColumn struct{}

// MinSize implements fyne.Layout.
func (settingsColumn) MinSize(o []fyne.CanvasObject) fyne.Size { return o[0].MinSize() }

// Layout implements fyne.Layout.
func (settingsColumn) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.NewPos(0, 0))
	o[0].Resize(fyne.NewSize(min(settingsWidth, s.Width), s.Height))
}
