package ui

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"
)

// sendClipboard sends the text in the clipboard as a message.
func (u *UI) sendClipboard() {
	t, text := u.current, strings.TrimSpace(fyne.CurrentApp().Clipboard().Content())
	switch {
	case t == nil:
	case text == "":
		u.say(tr("There is no text in the clipboard."))
	case u.mayDeliver(t, text):
		u.deliver(t, text)
	}
	u.settle()
}

// pasteFiles offers what is in the clipboard if that are files: a file manager copies their paths as text. True if so.
func (u *UI) pasteFiles() bool {
	t, clipboard := u.current, fyne.CurrentApp().Clipboard()
	if t == nil {
		return false
	}
	if clipboard.Content() == "" {
		u.sendPicture()
		return true
	}
	paths := clipboardPaths(clipboard.Content())
	if len(paths) == 0 {
		return false
	}
	asText := func() { u.entry.Entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: clipboard}) }
	background(u.bind, func(context.Context) (bool, error) { return exist(paths), nil }, func(all bool, _ error) {
		if !all || t != u.current {
			asText()
			return
		}
		m := u.ask(trn("Send {{.N}} items from the clipboard?", int64(len(paths))), strings.Join(names(paths), ", "), tr("Send"), func() { u.offer(t, paths) })
		m.declined = asText
	})
	return true
}

// exist tells whether all paths are there.
func exist(paths []string) bool {
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			return false
		}
	}
	return true
}

func names(paths []string) (out []string) {
	for _, p := range paths[:min(len(paths), 8)] {
		out = append(out, filepath.Base(p))
	}
	return out
}

// clipboardPaths reads a text in which every line is a path or a file: URL on this machine; nil for any other. A path to
// another host is none: looking it up would tell that host who looks.
func clipboardPaths(text string) (paths []string) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 || len(lines) > 100 {
		return nil
	}
	for _, l := range lines {
		if l == "copy" || l == "cut" || l == "x-special/nautilus-clipboard" {
			continue
		}
		p := l
		if strings.HasPrefix(l, "file:") {
			parsed, err := url.Parse(l)
			if err != nil || parsed.Host != "" && parsed.Host != "localhost" {
				return nil
			}
			p = filepath.FromSlash(parsed.Path)
		}
		if !filepath.IsAbs(p) || strings.HasPrefix(p, `\\`) || strings.HasPrefix(p, "//") {
			return nil
		}
		paths = append(paths, p)
	}
	return paths
}

// sendPicture offers the picture in the clipboard as a file.
func (u *UI) sendPicture() {
	t := u.current
	if t == nil {
		return
	}
	background(u.bind, func(ctx context.Context) (string, error) {
		b, err := u.o.Desktop.ClipboardPicture(ctx)
		if err != nil {
			return "", err
		}
		cache, err := os.UserCacheDir() // it has to last until it is delivered, which may be after the next start
		if err != nil {
			return "", err
		}
		dir := filepath.Join(cache, "multipeer", "pasted")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		dir, err = os.MkdirTemp(dir, "")
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, time.Now().Format("Pasted 2006-01-02 15.04.05.png"))
		return path, os.WriteFile(path, b, 0o600)
	}, func(path string, err error) {
		if err != nil {
			u.say(reason(err, "", true))
			return
		}
		u.offer(t, []string{path})
	})
}
