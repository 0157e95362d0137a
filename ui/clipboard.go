package ui

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/thumbnail"
	"multipeer/ui/internal/widgets"
)

// pasteText puts the text in the clipboard into the message field, where the user can look at it before it is sent.
func (c *composer) pasteText() {
	t, clipboard := c.u.current, fyne.CurrentApp().Clipboard()
	text := strings.TrimSpace(clipboard.Content())
	switch {
	case t == nil:
	case text == "":
		c.u.say(tr("The clipboard has no text."))
	case len(text) > maxMessageText:
		c.offerText(text)
	default:
		c.entry.Insert(clipboard)
		c.u.w.Canvas().Focus(c.entry)
	}
	c.u.settle()
}

// sendClipboard sends the text in the clipboard as a message.
func (c *composer) sendClipboard() {
	t, text := c.u.current, strings.TrimSpace(fyne.CurrentApp().Clipboard().Content())
	switch {
	case t == nil:
	case text == "":
		c.u.say(tr("The clipboard has no text."))
	case len(text) > maxMessageText:
		c.offerText(text)
	case c.u.outbox.mayDeliver(t, text):
		c.u.outbox.deliver(t, text)
	}
	c.u.settle()
}

// sendClipboardToLast sends the text in the clipboard to the open conversation. If none is open, it opens the
// conversation with the known device that the user last sent something to, so that the user sees where the text goes.
func (c *composer) sendClipboardToLast() {
	if c.u.current == nil {
		last := c.lastSentTo()
		if last == nil {
			c.u.say(tr("You haven't sent anything to a known device yet."))
			return
		}
		c.u.choose(last)
	}
	c.sendClipboard()
}

// lastSentTo returns the conversation with the known device that the user last sent something to; nil for none. What
// devices send does not count: otherwise any device could make itself the last one.
func (c *composer) lastSentTo() (last *talk) {
	for _, t := range c.u.talks {
		used := !t.everyone() && t.Count() > 0 && !t.lastOwn.IsZero()
		if used && (last == nil || t.lastOwn.After(last.lastOwn)) && !c.u.sending.isRisky(t) {
			last = t
		}
	}
	return last
}

// offerText offers to send text that does not fit into the composer as a file. Until the user agrees, the text stays
// only in the clipboard.
func (c *composer) offerText(text string) {
	t := c.u.current
	if t == nil {
		return
	}
	c.u.dialogs.ask(tr("Send the text as a file?"), tr("The text is {{.Size}}, too long for the message field. Nothing was pasted.", "Size", size(int64(len(text)))), tr("Send"), func() {
		background(c.u.bind, func(context.Context) (string, error) {
			return desktop.SavePasted(time.Now().Format("Pasted text 2006-01-02 15.04.05.txt"), []byte(text))
		}, func(path string, err error) {
			if err != nil {
				c.u.fail(err, "", true)
				return
			}
			c.u.sending.offer(t, []string{path})
		})
	})
	c.u.settle()
}

// pasteFiles offers to send the files in the clipboard: a file manager copies their paths as text. If the clipboard
// has no text, it offers the picture in it instead. It reports whether it handled the paste.
func (c *composer) pasteFiles() bool {
	t, clipboard := c.u.current, fyne.CurrentApp().Clipboard()
	if t == nil {
		return false
	}
	if clipboard.Content() == "" {
		c.sendPicture()
		return true
	}
	paths := desktop.ClipboardPaths(clipboard.Content())
	if len(paths) == 0 {
		return false
	}
	asText := func() { c.entry.Insert(clipboard) }
	background(c.u.bind, func(context.Context) (bool, error) { return desktop.Exist(paths), nil }, func(all bool, _ error) {
		if !all || t != c.u.current {
			asText()
			return
		}
		m := c.u.dialogs.ask(trn("Send {{.N}} items from the clipboard?", int64(len(paths))), strings.Join(names(paths), ", "), tr("Send"), func() { c.u.sending.offer(t, paths) })
		m.Declined = asText
	})
	return true
}

func names(paths []string) (out []string) {
	for _, p := range paths[:min(len(paths), 8)] {
		out = append(out, filepath.Base(p))
	}
	return out
}

// sendPicture offers the picture in the clipboard as a file.
func (c *composer) sendPicture() {
	t := c.u.current
	if t == nil {
		return
	}
	background(c.u.bind, func(ctx context.Context) (string, error) {
		b, err := c.u.o.Desktop.ClipboardPicture(ctx)
		if err != nil {
			return "", err
		}
		return desktop.SavePasted(time.Now().Format("Pasted 2006-01-02 15.04.05.png"), b)
	}, func(path string, err error) {
		if err != nil {
			c.u.fail(err, "", true)
			return
		}
		c.askPicture(t, path)
	})
}

// askPicture shows a pasted picture and asks whether to send it.
func (c *composer) askPicture(t *talk, path string) {
	u := c.u
	background(u.bind, func(ctx context.Context) (*thumbnail.Thumbnail, error) {
		return thumbnail.Make(ctx, path, pastedBox)
	}, func(th *thumbnail.Thumbnail, _ error) {
		preview := widgets.NewPictureBox() // stays empty if the picture cannot be shown
		if th != nil {
			preview.Set(th.Image, th.Size)
		}
		var m *widgets.Modal
		sent := false
		m = u.dialogs.modal(tr("Send this picture to {{.Name}}?", "Name", widgets.Shortened(u.nameOf(t), shownName)), container.NewCenter(preview), 420,
			widgets.NewButton(tr("Cancel"), widget.MediumImportance, func() { m.Hide() }),
			widgets.NewButton(tr("Send"), widget.HighImportance, func() {
				sent = true
				m.Hide()
				u.sending.offer(t, []string{path})
			}))
		m.Closed = func() {
			if !sent {
				_ = os.Remove(path)
			}
		}
		u.trace("ask about a picture")
		m.Show()
	})
}

// pastedBox is the maximum size of the preview of a pasted picture.
var pastedBox = fyne.NewSize(360, 240)
