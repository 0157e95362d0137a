package ui

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

const (
	trayPicture  = 44      // side length of a thumbnail
	trayPictures = 4       // how many thumbnails are shown
	mostCounted  = 200_000 // how many files in the waiting folders are counted
)

// sendTray shows the files that wait for recipients: their number, some pictures, and a button that sends them to the
// chosen devices.
type sendTray struct {
	u        *UI
	box      *fyne.Container
	pictures *fyne.Container
	text     *widgets.Paragraph
	names    *widgets.Line
	send     *widget.Button
	shown    []string // the paths that the pictures and the text describe
	size     string
}

func newSendTray(u *UI) *sendTray {
	s := &sendTray{u: u, text: widgets.NewParagraph("", widgets.SizeBody, theme.ColorNameForeground), names: widgets.Caption("")}
	s.pictures = widgets.Row(widgets.GapTight)
	s.send = widgets.NewButton("", widget.HighImportance, u.sending.send)
	cancel := widgets.NewIconButton(widgets.IconClose, tr("Cancel sending"), u.sending.cancel)
	phone := widgets.NewButton(tr("Send to a phone without Multipeer"), widget.MediumImportance, func() { u.links.start(slices.Clone(u.sending.paths)) })
	head := widgets.NewBesideRight(widgets.Gap, widgets.NewBeside(widgets.GapWide, s.pictures, widgets.NewStacked(2, s.text, s.names)), cancel)
	body := widgets.NewStackedInset(widgets.Stacked{Gap: widgets.Gap, Top: widgets.GapWide, Bottom: widgets.GapWide, Left: widgets.Edge, Right: widgets.Edge}, head, widgets.NewFlow(widgets.Gap, s.send, phone))
	s.box = container.NewStack(widgets.NewPanel(widgets.ColorCard, widgets.ColorBorder, 0), body)
	s.box.Hide()
	return s
}

// refresh shows the waiting files if on is set. It reports whether the height of the tray may have changed.
func (s *sendTray) refresh(on bool) (resized bool) {
	paths := s.u.sending.paths
	on = on && len(paths) > 0
	resized = on != s.box.Visible()
	widgets.Show(s.box, on)
	if !on {
		s.shown = nil
		return resized
	}
	if !slices.Equal(paths, s.shown) {
		s.shown, s.size = slices.Clone(paths), ""
		s.pictures.RemoveAll()
		s.examine()
		resized = true
	}
	s.text.SetText(joined(trn("{{.N}} items ready to send", int64(len(paths))), s.size))
	list := strings.Join(names(paths), ", ")
	if more := len(paths) - len(names(paths)); more > 0 {
		list += " " + trn("and {{.N}} more", int64(more))
	}
	s.names.SetText(list)
	label := tr("Choose a device to send to")
	switch to := s.u.sending.recipients(); len(to) {
	case 0:
	case 1:
		label = tr("Send to {{.Name}}", "Name", widgets.Shortened(s.u.nameOf(s.u.talk(to[0])), shownName))
	default:
		label = trn("Send to {{.N}} devices", int64(len(to)))
	}
	if label != s.send.Text {
		s.send.SetText(label)
		resized = true
	}
	if none := len(s.u.sending.recipients()) == 0; none != s.send.Disabled() {
		if none {
			s.send.Disable()
		} else {
			s.send.Enable()
		}
	}
	if resized {
		s.box.Refresh()
	}
	return resized
}

// waitingFiles is the result of examineFiles.
type waitingFiles struct {
	size     int64
	more     bool // there are more files than were counted
	pictures []*thumbnail.Thumbnail
}

// examine adds up the sizes of the files in the background, and makes thumbnails of them.
func (s *sendTray) examine() {
	paths := s.shown
	background(s.u.bind, func(ctx context.Context) (waitingFiles, error) {
		return examineFiles(ctx, paths), nil
	}, func(f waitingFiles, _ error) {
		if !slices.Equal(paths, s.shown) {
			return
		}
		s.size = size(f.size)
		if f.more {
			s.size = tr("more than {{.Size}}", "Size", s.size)
		}
		for _, p := range f.pictures {
			image := canvas.NewImageFromImage(p.Image)
			image.FillMode, image.CornerRadius = canvas.ImageFillCover, 6
			s.pictures.Add(container.New(widgets.Fixed(fyne.NewSquareSize(trayPicture)), image))
		}
		s.u.trace("waiting %q %s, %d pictures", names(paths), s.size, len(f.pictures))
		s.refresh(s.box.Visible())
		s.box.Refresh()
	})
}

// examineFiles adds up the sizes of files and folders, and makes thumbnails of the first pictures.
func examineFiles(ctx context.Context, paths []string) (f waitingFiles) {
	counted := 0
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
			counted++
			if counted > mostCounted || ctx.Err() != nil {
				f.more = true
				return fs.SkipAll
			}
			if err != nil || !d.Type().IsRegular() { // an entry that cannot be sent is reported when it is offered
				return nil
			}
			if info, err := d.Info(); err == nil {
				f.size += info.Size()
			}
			return nil
		})
		if len(f.pictures) == trayPictures || !thumbnail.MayBe(path) {
			continue
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if p, err := thumbnail.Make(ctx, path, fyne.NewSquareSize(2*trayPicture)); err == nil {
			f.pictures = append(f.pictures, p)
		}
	}
	return f
}
