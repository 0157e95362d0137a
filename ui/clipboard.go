package ui

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"multipeer/ui/internal/desktop"
)

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

// offerText offers to send text as a file if it does not fit into the composer. Until the user agrees, the text stays
// only in the clipboard.
func (c *composer) offerText(text string) {
	t := c.u.current
	if t == nil {
		return
	}
	c.u.dialogs.ask(tr("Send the text as a file?"), tr("The text is {{.Size}}, too much for the message field. Nothing was pasted.", "Size", size(int64(len(text)))), tr("Send"), func() {
		background(c.u.bind, func(context.Context) (string, error) {
			return desktop.SavePasted(time.Now().Format("Pasted text 2006-01-02 15.04.05.txt"), []byte(text))
		}, func(path string, err error) {
			if err != nil {
				c.u.say(reason(err, "", true))
				return
			}
			c.u.offer(t, []string{path})
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
		m := c.u.dialogs.ask(trn("Send {{.N}} items from the clipboard?", int64(len(paths))), strings.Join(names(paths), ", "), tr("Send"), func() { c.u.offer(t, paths) })
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
			c.u.say(reason(err, "", true))
			return
		}
		c.u.offer(t, []string{path})
	})
}
