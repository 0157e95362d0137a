package ui

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"

	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// hidden is what Escape closes: a modal or a Fyne dialog.
type hidden interface{ Hide() }

// dialogs shows one dialog at a time.
type dialogs struct {
	u    *UI
	open hidden // nil for none
}

// modal makes a modal that replaces the open one. The last button is the primary one.
func (ds *dialogs) modal(title string, body fyne.CanvasObject, width float32, buttons ...fyne.CanvasObject) *widgets.Modal {
	return ds.single(widgets.NewModal(ds.u.w.Canvas(), title, body, width, buttons...))
}

// single makes m the open dialog while it is shown.
func (ds *dialogs) single(m *widgets.Modal) *widgets.Modal {
	m.Opens = func() {
		if ds.open != nil {
			ds.open.Hide()
		}
		ds.open = m
	}
	m.Hides = func() {
		if ds.open == hidden(m) {
			ds.open = nil
		}
	}
	return m
}

// ask asks the user to confirm before it runs do; yes is the label of the button.
func (ds *dialogs) ask(title, text, yes string, do func()) *widgets.Modal {
	return ds.question(title, text, yes, widget.HighImportance, do)
}

// askUnbidden is ask for a question that the user did not trigger. It ignores a press that was meant for something
// else.
func (ds *dialogs) askUnbidden(title, text, yes string, do func()) *widgets.Modal {
	m := ds.ask(title, text, yes, do)
	since := time.Now()
	m.Ready = func() bool {
		if time.Since(since) < lookAgain {
			hasty(ds.u)
			return false
		}
		return true
	}
	return m
}

// warn is ask for actions that are hard to undo.
func (ds *dialogs) warn(title, text, yes string, do func()) *widgets.Modal {
	return ds.question(title, text, yes, widget.DangerImportance, do)
}

// confirm is warn with a custom label for the button that cancels.
func (ds *dialogs) confirm(title, text, no, yes string, do func()) *widgets.Modal {
	return ds.choice(title, text, no, yes, widget.DangerImportance, do)
}

func (ds *dialogs) question(title, text, yes string, importance widget.Importance, do func()) *widgets.Modal {
	return ds.choice(title, text, tr("Cancel"), yes, importance, do)
}

func (ds *dialogs) choice(title, text, no, yes string, importance widget.Importance, do func()) *widgets.Modal {
	m := ds.single(widgets.NewQuestion(ds.u.w.Canvas(), title, text, no, yes, importance, func() {
		do()
		ds.u.settle()
	}))
	ds.u.trace("ask %q", title)
	m.Show()
	return m
}

// list shows long content in the space available, up to the given size.
func (ds *dialogs) list(title string, body fyne.CanvasObject, width, height float32) {
	ds.single(widgets.NewListModal(ds.u.w.Canvas(), title, body, width, height, tr("Close"))).Show()
}

// pick lets the user choose files, or one folder, with the system's own dialog if there is one.
func (ds *dialogs) pick(folder bool, took func(paths []string)) {
	background(ds.u.bind, func(ctx context.Context) ([]string, error) {
		return ds.u.o.Desktop.Pick(ctx, folder)
	}, func(paths []string, err error) {
		switch {
		case errors.Is(err, desktop.ErrNoPicker):
			ds.pickWithFyne(folder, took)
		case err != nil:
			ds.u.fail(err, "", true)
		case len(paths) > 0:
			ds.u.trace("picked %q", paths)
			took(paths)
		}
	})
}

func (ds *dialogs) pickWithFyne(folder bool, took func(paths []string)) {
	path := func(uri fyne.URI) { took([]string{filepath.FromSlash(uri.Path())}) }
	var d dialog.Dialog
	if folder {
		d = dialog.NewFolderOpen(func(l fyne.ListableURI, err error) {
			if l != nil {
				path(l)
				ds.u.settle()
			}
		}, ds.u.w)
	} else {
		d = dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
			if r != nil {
				uri := r.URI()
				_ = r.Close()
				path(uri)
				ds.u.settle()
			}
		}, ds.u.w)
	}
	ds.showFyne(d)
	d.Resize(ds.u.w.Canvas().Size().Min(fyne.NewSize(760, 520)))
}

// showFyne shows a dialog of Fyne; Escape closes it.
func (ds *dialogs) showFyne(d dialog.Dialog) {
	ds.open = d
	d.SetOnClosed(func() { ds.open = nil })
	d.Show()
}
