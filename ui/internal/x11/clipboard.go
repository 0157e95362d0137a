package x11

import (
	"context"
	"strings"

	"github.com/jezek/xgb/xproto"
)

// CopyFiles puts files into the clipboard: file managers paste the files, and text fields their paths. It calls copied once
// the clipboard holds them, and returns when another program has copied something, or when ctx ends: the clipboard
// is then empty.
func CopyFiles(ctx context.Context, paths []string, copied func()) error {
	s, err := open()
	if err != nil {
		return err
	}
	defer s.close()
	list := URIList(paths)
	text := []byte(strings.Join(paths, "\n"))
	err = s.own("CLIPBOARD", map[string][]byte{
		"text/uri-list": list,
		// GNOME's, Xfce's and MATE's file managers paste only this.
		"x-special/gnome-copied-files": []byte("copy\n" + strings.TrimSuffix(strings.ReplaceAll(string(list), "\r\n", "\n"), "\n")),
		"UTF8_STRING":                  text,
		"text/plain;charset=utf-8":     text,
	})
	if err != nil {
		return err
	}
	copied()
	s.serveUntilReplaced(ctx)
	return nil
}

// serveUntilReplaced answers requests until another program owns the clipboard.
func (s *session) serveUntilReplaced(ctx context.Context) {
	defer context.AfterFunc(ctx, s.close)()
	for {
		ev, err := s.conn.WaitForEvent()
		if ev == nil && err == nil { // the connection is closed
			return
		}
		switch ev := ev.(type) {
		case xproto.SelectionRequestEvent:
			s.serve(ev)
		case xproto.SelectionClearEvent:
			return
		}
	}
}
