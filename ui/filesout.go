package ui

import (
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// This file gives the files of transfers to other programs.

// copyFiles puts files into the clipboard, or at least their paths where the clipboard cannot hold files.
func (ts *transfers) copyFiles(paths []string) {
	u := ts.u
	if len(paths) == 0 {
		return
	}
	copied := func() {
		u.bind.do(func() {
			u.say(trn("{{.N}} files copied. Paste them in a folder.", int64(len(paths))))
			u.trace("copied %q", names(paths))
			u.settle()
		})
	}
	background(u.bind, func(ctx context.Context) (struct{}, error) {
		if err := allExist(paths); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, u.o.Desktop.CopyFiles(ctx, paths, copied)
	}, func(_ struct{}, err error) {
		if errors.Is(err, errors.ErrUnsupported) {
			u.copyText(strings.Join(paths, "\n"))
			return
		}
		u.fail(err, "", true)
	})
}

// dragOut lets the user drop files on another program. thumb is a picture of them; nil for none.
func (ts *transfers) dragOut(paths []string, thumb image.Image) {
	u := ts.u
	if len(paths) == 0 || u.bind == nil {
		return
	}
	window, picture := desktop.WindowHandle(u.w), dragPicture(paths, thumb)
	background(u.bind, func(ctx context.Context) (struct{}, error) {
		if err := allExist(paths); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, u.o.Desktop.DragFiles(ctx, window, paths, picture)
	}, func(_ struct{}, err error) {
		u.trace("dragged %q", names(paths))
		if !errors.Is(err, errors.ErrUnsupported) {
			u.fail(err, "", true)
		}
	})
}

// allExist returns an error if a path is gone: files of a finished transfer may have been moved since.
func allExist(paths []string) error {
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			return err
		}
	}
	return nil
}

const (
	dragThumb = 72 // the longer side of a picture that is dragged
	dragLabel = 200
)

// dragPicture draws what follows the pointer during a drag.
func dragPicture(paths []string, thumb image.Image) image.Image {
	size := fyne.NewSquareSize(24)
	var what fyne.CanvasObject = widget.NewIcon(widgets.IconFile)
	if thumb != nil {
		size = fyne.NewSquareSize(dragThumb)
		what = &canvas.Image{Image: thumb, FillMode: canvas.ImageFillContain}
	}
	label := filepath.Base(paths[0])
	if len(paths) > 1 {
		label = trn("{{.N}} files", int64(len(paths)))
	}
	name := widgets.NewLine(engine.CleanLine(label), widgets.SizeCaption, theme.ColorNameForeground, false)
	name.Tail = 10
	back := canvas.NewRectangle(color.White)
	back.FillColor = theme.Color(theme.ColorNameOverlayBackground)
	back.StrokeColor, back.StrokeWidth = theme.Color(theme.ColorNameSeparator), 1
	row := widgets.Row(widgets.Gap, container.New(widgets.Fixed(size), what), container.New(widgets.Fixed(fyne.NewSize(dragLabel, name.MinSize().Height)), name))
	return software.Render(container.NewStack(back, widgets.Inset(row, widgets.Gap, widgets.Gap, widgets.Gap, widgets.Gap)), fyne.CurrentApp().Settings().Theme())
}
