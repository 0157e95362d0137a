package x11

import (
	"context"
	"errors"
	"image"
	"time"

	"github.com/jezek/xgb/xproto"
)

// The protocol is XDND, https://freedesktop.org/wiki/Specifications/XDND.

const (
	// xdndVersion is the version of the protocol that this package implements.
	xdndVersion = 5
	// oldest is the oldest version that targets may have. Earlier ones are from the last century.
	oldest = 3
	// poll is the pause between two looks at the pointer.
	poll = 10 * time.Millisecond
	// answer is how long a target may take to say whether it accepts a drop.
	answer = 2 * time.Second
	// taking is how long a target may take to read what was dropped.
	taking = 30 * time.Second
	// longestDrag ends a drag whose button is never released.
	longestDrag = 10 * time.Minute
)

// dragPhase is a phase of a drag.
type dragPhase int

const (
	dragging  dragPhase = iota // the button is held
	dropping                   // the button was released, and the target has to answer the last position
	finishing                  // the target reads the files
	ended
)

// drag is a drag from this program.
type drag struct {
	*session
	from  xproto.Window // the window of this program: nothing is dropped on it
	icon  *icon         // nil for none
	phase dragPhase
	until time.Time // when the phase ends by itself

	over     target // zero for none
	at       point  // where the pointer is
	sent     point  // the last position that was sent to over
	waiting  bool   // for the status that answers it
	accepted bool   // by the last status
	taken    bool
}

type point struct{ x, y int16 }

// target is a window that drops can go to.
type target struct {
	window  xproto.Window
	to      xproto.Window // which gets the messages: the window itself, or its proxy
	version uint32
}

// Drag lets the user drop files on another program. It is called while the first mouse button is down, and returns after
// the button was released and the other program has read the list of files, or when the user presses Escape. from is
// the window of this program. picture follows the pointer; nil for none. Drag reports whether the files were taken.
func Drag(ctx context.Context, from uint32, paths []string, picture image.Image) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, longestDrag)
	defer cancel()
	s, err := open()
	if err != nil {
		return false, err
	}
	defer s.close()
	d := &drag{session: s, from: xproto.Window(from), until: time.Now().Add(longestDrag)}
	if err := s.intern("XdndAware", "XdndProxy", "XdndEnter", "XdndPosition", "XdndStatus", "XdndLeave", "XdndDrop", "XdndFinished", "XdndActionCopy", "text/uri-list"); err != nil {
		return false, err
	}
	if err := s.own("XdndSelection", map[string][]byte{"text/uri-list": URIList(paths)}); err != nil {
		return false, err
	}
	escape := s.escapeKey()
	d.icon = s.newIcon(picture)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for d.phase != ended {
		if err := d.step(escape); err != nil {
			return false, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.leave()
			return false, context.Cause(ctx)
		}
	}
	return d.taken, nil
}

// step handles what has happened since the last step.
func (d *drag) step(escape xproto.Keycode) error {
	if err := d.handleEvents(); err != nil {
		return err
	}
	late := time.Now().After(d.until)
	switch d.phase {
	case dragging:
		return d.follow(escape)
	case dropping:
		switch {
		case d.waiting && !late:
		case d.waiting || !d.accepted || d.over.window == 0:
			d.leave()
			d.phase = ended
		default:
			d.send("XdndDrop", 0, xproto.TimeCurrentTime, 0, 0)
			d.enter(finishing, taking)
		}
	case finishing:
		if late {
			d.phase = ended
			return errors.New("the other program did not read the files")
		}
	}
	return nil
}

func (d *drag) enter(p dragPhase, limit time.Duration) {
	d.phase, d.until = p, time.Now().Add(limit)
}

// follow reads the position of the pointer and sends it to the window below.
func (d *drag) follow(escape xproto.Keycode) error {
	pointer, err := xproto.QueryPointer(d.conn, d.root).Reply()
	if err != nil {
		return err
	}
	d.at = point{pointer.RootX, pointer.RootY}
	d.icon.move(d.at)
	if now := d.find(); now.window != d.over.window {
		d.leave()
		d.over = now
		d.waiting, d.accepted = false, false
		d.sent = point{-1, -1}
		if now.window != 0 {
			d.send("XdndEnter", min(now.version, xdndVersion)<<24, uint32(d.known("text/uri-list")), 0, 0)
		}
	}
	if d.over.window != 0 && !d.waiting && d.sent != d.at {
		d.send("XdndPosition", 0, uint32(uint16(d.at.x))<<16|uint32(uint16(d.at.y)), xproto.TimeCurrentTime, uint32(d.known("XdndActionCopy")))
		d.sent, d.waiting = d.at, true
	}
	switch {
	case d.pressed(escape):
		d.leave()
		d.phase = ended
	case pointer.Mask&xproto.ButtonMask1 == 0:
		d.icon.hide()
		d.enter(dropping, answer)
	}
	return nil
}

// find returns the window below the pointer that takes drops.
func (d *drag) find() target {
	for w := d.root; ; {
		below, err := xproto.TranslateCoordinates(d.conn, d.root, w, d.at.x, d.at.y).Reply()
		if err != nil || below.Child == xproto.WindowNone || below.Child == d.from {
			return target{}
		}
		w = below.Child
		to := w
		if p, has := d.property(w, "XdndProxy"); has {
			// A proxy names itself as its own proxy, so that a stale property does no harm.
			if self, _ := d.property(xproto.Window(p), "XdndProxy"); self == p {
				to = xproto.Window(p)
			}
		}
		if version, aware := d.property(to, "XdndAware"); aware && version >= oldest {
			return target{w, to, version}
		}
	}
}

// leave notifies the target that the drag has left it or has ended.
func (d *drag) leave() {
	if d.over.window != 0 {
		d.send("XdndLeave", 0, 0, 0, 0)
	}
	d.over = target{}
}

// send sends a message of the protocol to the target.
func (d *drag) send(kind string, data ...uint32) {
	m := xproto.ClientMessageEvent{Format: 32, Window: d.over.window, Type: d.known(kind), Data: xproto.ClientMessageDataUnionData32New(append([]uint32{uint32(d.owner)}, data...))}
	xproto.SendEvent(d.conn, false, d.over.to, xproto.EventMaskNoEvent, string(m.Bytes()))
}

// handleEvents answers requests for the files and reads the messages of the target.
func (d *drag) handleEvents() error {
	for {
		ev, xerr := d.conn.PollForEvent()
		if ev == nil && xerr == nil {
			return nil
		}
		switch ev := ev.(type) { // an error is that of a message to a window that is gone: the deadlines handle that
		case xproto.SelectionRequestEvent:
			d.serve(ev)
		case xproto.SelectionClearEvent:
			d.leave()
			d.phase = ended
			return errors.New("another drag has started")
		case xproto.ClientMessageEvent:
			d.handleMessage(ev)
		}
	}
}

func (d *drag) handleMessage(m xproto.ClientMessageEvent) {
	data := m.Data.Data32
	if len(data) < 2 || d.over.window == 0 || xproto.Window(data[0]) != d.over.window {
		return // from a window that the pointer has left
	}
	switch m.Type {
	case d.known("XdndStatus"):
		d.waiting, d.accepted = false, data[1]&1 != 0
	case d.known("XdndFinished"):
		if d.phase == finishing {
			// Before version 5 there is no flag, and GLFW puts a number of bytes there.
			d.taken, d.phase = d.over.version < 5 || data[1] != 0, ended
		}
	}
}

// escapeKey returns the code of the Escape key; 0 for none.
func (s *session) escapeKey() xproto.Keycode {
	const escape = 0xff1b // XK_Escape
	setup := xproto.Setup(s.conn)
	first, n := setup.MinKeycode, byte(setup.MaxKeycode-setup.MinKeycode+1)
	m, err := xproto.GetKeyboardMapping(s.conn, first, n).Reply()
	if err != nil || m.KeysymsPerKeycode == 0 {
		return 0
	}
	for i, sym := range m.Keysyms {
		if sym == escape {
			return first + xproto.Keycode(i/int(m.KeysymsPerKeycode))
		}
	}
	return 0
}

// pressed reports whether a key is held down: no window of this session has the keyboard focus, so there is no event for it.
func (s *session) pressed(key xproto.Keycode) bool {
	if key == 0 {
		return false
	}
	keys, err := xproto.QueryKeymap(s.conn).Reply()
	return err == nil && len(keys.Keys) > int(key/8) && keys.Keys[key/8]&(1<<(key%8)) != 0
}
