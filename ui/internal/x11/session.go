package x11

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

func init() { xgb.Logger = log.New(io.Discard, "", 0) } // all errors are returned as well

// session is a connection to the X server with an invisible window that owns a selection. It belongs to one goroutine.
type session struct {
	conn    *xgb.Conn
	root    xproto.Window
	screen  *xproto.ScreenInfo
	owner   xproto.Window
	atoms   map[string]xproto.Atom
	content map[xproto.Atom][]byte // what the selection holds, by target
}

// open connects to the display that DISPLAY names. The caller calls close.
func open() (*session, error) {
	conn, err := xgb.NewConn()
	if err != nil {
		return nil, fmt.Errorf("connecting to the display %q: %w", os.Getenv("DISPLAY"), err)
	}
	screen := xproto.Setup(conn).DefaultScreen(conn)
	s := &session{conn: conn, root: screen.Root, screen: screen, atoms: map[string]xproto.Atom{}}
	if s.owner, err = xproto.NewWindowId(conn); err != nil {
		s.close()
		return nil, err
	}
	if err := xproto.CreateWindowChecked(conn, 0, s.owner, s.root, -10, -10, 1, 1, 0, xproto.WindowClassInputOnly, 0, 0, nil).Check(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() { s.conn.Close() }

// atom returns the number that the server has for a name.
func (s *session) atom(name string) (xproto.Atom, error) {
	if a, known := s.atoms[name]; known {
		return a, nil
	}
	reply, err := xproto.InternAtom(s.conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		return 0, fmt.Errorf("asking the display for %s: %w", name, err)
	}
	s.atoms[name] = reply.Atom
	return reply.Atom, nil
}

// intern asks for the numbers of names, so that a later known returns them.
func (s *session) intern(names ...string) error {
	for _, name := range names {
		if _, err := s.atom(name); err != nil {
			return err
		}
	}
	return nil
}

// known returns the number of a name that was interned.
func (s *session) known(name string) xproto.Atom { return s.atoms[name] }

// own makes this program the owner of a selection with the given content, by the names of its targets.
func (s *session) own(selection string, content map[string][]byte) error {
	s.content = map[xproto.Atom][]byte{}
	if err := s.intern(selection, "TARGETS"); err != nil {
		return err
	}
	largest := int(xproto.Setup(s.conn).MaximumRequestLength)*4 - 64
	for target, b := range content {
		a, err := s.atom(target)
		if err != nil {
			return err
		}
		if len(b) > largest {
			return errors.New("too many files at once")
		}
		s.content[a] = b
	}
	if err := xproto.SetSelectionOwnerChecked(s.conn, s.owner, s.known(selection), xproto.TimeCurrentTime).Check(); err != nil {
		return err
	}
	is, err := xproto.GetSelectionOwner(s.conn, s.known(selection)).Reply()
	if err != nil {
		return err
	}
	if is.Owner != s.owner {
		return errors.New("another program did not give up the selection")
	}
	return nil
}

// serve answers a request for the selection (ICCCM section 2.2).
func (s *session) serve(r xproto.SelectionRequestEvent) {
	if r.Property == xproto.AtomNone { // clients older than ICCCM
		r.Property = r.Target
	}
	b, known := s.content[r.Target]
	switch {
	case known:
		xproto.ChangeProperty(s.conn, xproto.PropModeReplace, r.Requestor, r.Property, r.Target, 8, uint32(len(b)), b)
	case r.Target == s.known("TARGETS"):
		list, n := []byte{}, uint32(0)
		for a := range s.content {
			list = append32(list, uint32(a))
			n++
		}
		list = append32(list, uint32(r.Target))
		xproto.ChangeProperty(s.conn, xproto.PropModeReplace, r.Requestor, r.Property, xproto.AtomAtom, 32, n+1, list)
	default:
		r.Property = xproto.AtomNone
	}
	answer := xproto.SelectionNotifyEvent{Time: r.Time, Requestor: r.Requestor, Selection: r.Selection, Target: r.Target, Property: r.Property}
	xproto.SendEvent(s.conn, false, r.Requestor, xproto.EventMaskNoEvent, string(answer.Bytes()))
}

func append32(b []byte, v uint32) []byte {
	var four [4]byte
	xgb.Put32(four[:], v)
	return append(b, four[:]...)
}

// property returns a 32-bit property of a window, and whether the window has it.
func (s *session) property(w xproto.Window, name string) (uint32, bool) {
	reply, err := xproto.GetProperty(s.conn, false, w, s.known(name), xproto.GetPropertyTypeAny, 0, 1).Reply()
	if err != nil || reply.Format != 32 || len(reply.Value) < 4 {
		return 0, false
	}
	return xgb.Get32(reply.Value), true
}

// URIList encodes paths as text/uri-list (RFC 2483 section 5).
func URIList(paths []string) []byte {
	var b strings.Builder
	for _, p := range paths {
		u := url.URL{Scheme: "file", Path: filepath.ToSlash(p)}
		b.WriteString(u.String() + "\r\n")
	}
	return []byte(b.String())
}
