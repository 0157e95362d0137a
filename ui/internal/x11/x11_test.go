//go:build linux

package x11

import (
	"bufio"
	"context"
	"errors"
	"image"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"

	"multipeer/internal/testing/netlab"
)

// server starts an X server without a screen, and returns a connection that moves the mouse and presses keys.
func server(t *testing.T) *user {
	t.Helper()
	if _, err := exec.LookPath("Xvfb"); err != nil {
		netlab.Missing(t, "no Xvfb")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_ = r.SetReadDeadline(time.Now().Add(time.Minute))
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp")
	x.ExtraFiles = []*os.File{w}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Process.Kill(); _ = x.Wait() })
	_ = w.Close()
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DISPLAY", ":"+strings.TrimSpace(number))
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	if err := xtest.Init(s.conn); err != nil {
		t.Fatal(err)
	}
	return &user{t, s}
}

// user is the mouse and the keyboard.
type user struct {
	t *testing.T
	s *session
}

func (u *user) input(kind, detail byte, x, y int16) {
	u.t.Helper()
	if err := xtest.FakeInputChecked(u.s.conn, kind, detail, 0, u.s.root, x, y, 0).Check(); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) move(x, y int16) { u.input(xproto.MotionNotify, 0, x, y) }
func (u *user) press()          { u.input(xproto.ButtonPress, 1, 0, 0) }
func (u *user) release()        { u.input(xproto.ButtonRelease, 1, 0, 0) }

// other is the window of another program.
type other struct {
	s      *session
	window xproto.Window

	refuses bool // drops
	mute    bool // answers nothing

	mu   sync.Mutex
	seen []string // the messages that it got
	got  string   // what was dropped
}

// newOther opens a window at a position, 100 pixels wide and high, with a border window around it as window managers
// put it.
func newOther(t *testing.T, x, y int16, configure func(*other)) *other {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	o := &other{s: s}
	configure(o)
	if err := s.intern("XdndAware", "XdndProxy", "XdndEnter", "XdndPosition", "XdndStatus", "XdndLeave", "XdndDrop", "XdndFinished", "XdndActionCopy", "XdndSelection", "text/uri-list", "DROPPED"); err != nil {
		t.Fatal(err)
	}
	frame, _ := xproto.NewWindowId(s.conn)
	o.window, _ = xproto.NewWindowId(s.conn)
	xproto.CreateWindow(s.conn, 0, frame, s.root, x, y, 100, 100, 0, xproto.WindowClassInputOutput, 0, 0, nil)
	xproto.CreateWindow(s.conn, 0, o.window, frame, 0, 0, 100, 100, 0, xproto.WindowClassInputOutput, 0, 0, nil)
	xproto.ChangeProperty(s.conn, xproto.PropModeReplace, o.window, s.known("XdndAware"), xproto.AtomAtom, 32, 1, append32(nil, 5))
	xproto.MapWindow(s.conn, o.window)
	if err := xproto.MapWindowChecked(s.conn, frame).Check(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(o.run)
	t.Cleanup(func() { s.close(); wg.Wait() })
	return o
}

func (o *other) run() {
	for {
		ev, err := o.s.conn.WaitForEvent()
		if ev == nil && err == nil {
			return
		}
		if m, ok := ev.(xproto.ClientMessageEvent); ok {
			o.handle(m)
		}
	}
}

func (o *other) handle(m xproto.ClientMessageEvent) {
	name, err := xproto.GetAtomName(o.s.conn, m.Type).Reply()
	if err != nil {
		return
	}
	o.mu.Lock()
	if n := len(o.seen); n == 0 || o.seen[n-1] != name.Name {
		o.seen = append(o.seen, name.Name)
	}
	o.mu.Unlock()
	from := xproto.Window(m.Data.Data32[0])
	if o.mute {
		return
	}
	switch name.Name {
	case "XdndPosition":
		accepts := uint32(1)
		if o.refuses {
			accepts = 0
		}
		o.answer(from, "XdndStatus", accepts, 0, 0, uint32(o.s.known("XdndActionCopy")))
	case "XdndDrop":
		xproto.ConvertSelection(o.s.conn, o.window, o.s.known("XdndSelection"), o.s.known("text/uri-list"), o.s.known("DROPPED"), xproto.TimeCurrentTime)
		for range 200 {
			ev, _ := o.s.conn.WaitForEvent()
			if n, ok := ev.(xproto.SelectionNotifyEvent); ok {
				reply, err := xproto.GetProperty(o.s.conn, true, o.window, n.Property, xproto.GetPropertyTypeAny, 0, 1<<16).Reply()
				if err == nil {
					o.mu.Lock()
					o.got = string(reply.Value)
					o.mu.Unlock()
				}
				break
			}
		}
		o.answer(from, "XdndFinished", 1, uint32(o.s.known("XdndActionCopy")), 0, 0)
	}
}

func (o *other) answer(to xproto.Window, kind string, data ...uint32) {
	m := xproto.ClientMessageEvent{Format: 32, Window: to, Type: o.s.known(kind), Data: xproto.ClientMessageDataUnionData32New(append([]uint32{uint32(o.window)}, data...))}
	xproto.SendEvent(o.s.conn, false, to, xproto.EventMaskNoEvent, string(m.Bytes()))
}

// state returns the messages that the window got, and what was dropped.
func (o *other) state() (seen []string, got string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen), o.got
}

// until waits until the window got a message.
func (o *other) until(t *testing.T, kind string) {
	t.Helper()
	for range 1000 {
		if seen, _ := o.state(); slices.Contains(seen, kind) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	seen, _ := o.state()
	t.Fatalf("no %s; the window got %q", kind, seen)
}

type outcome struct {
	taken bool
	err   error
}

// startDrag starts a drag of two files, with the button held at the corner of the screen.
func startDrag(ctx context.Context, u *user, from xproto.Window) chan outcome {
	u.move(2, 2)
	u.press()
	done := make(chan outcome, 1)
	go func() {
		taken, err := Drag(ctx, uint32(from), []string{"/tmp/a b.txt", "/tmp/é#1"}, image.NewRGBA(image.Rect(0, 0, 300, 40)))
		done <- outcome{taken, err}
	}()
	return done
}

const twoFiles = "file:///tmp/a%20b.txt\r\nfile:///tmp/%C3%A9%231\r\n"

func TestDrag_FilesAreDropped(t *testing.T) {
	u := server(t)
	first, second := newOther(t, 100, 100, func(*other) {}), newOther(t, 300, 100, func(*other) {})
	done := startDrag(t.Context(), u, 0)
	u.move(150, 150)
	first.until(t, "XdndPosition")
	u.move(350, 150)
	second.until(t, "XdndPosition")
	u.release()
	if got := <-done; !got.taken || got.err != nil {
		t.Errorf("%+v", got)
	}
	if seen, _ := first.state(); !slices.Equal(seen, []string{"XdndEnter", "XdndPosition", "XdndLeave"}) {
		t.Errorf("the first window got %q", seen)
	}
	seen, got := second.state()
	if want := []string{"XdndEnter", "XdndPosition", "XdndDrop"}; !slices.Equal(seen, want) || got != twoFiles {
		t.Errorf("the second window got %q, want %q; %q was dropped, want %q", seen, want, got, twoFiles)
	}
}

// TestDrag_EndsWithoutADrop: the window below the pointer gets a leave, and no files.
func TestDrag_EndsWithoutADrop(t *testing.T) {
	for name, c := range map[string]struct {
		configure func(*other)
		end       func(u *user, o *other, cancel func())
		err       error
	}{
		"refused": {func(o *other) { o.refuses = true }, func(u *user, _ *other, _ func()) { u.release() }, nil},
		"unheard": {func(o *other) { o.mute = true }, func(u *user, _ *other, _ func()) { u.release() }, nil},
		"escape":  {func(*other) {}, func(u *user, _ *other, _ func()) { u.input(xproto.KeyPress, byte(u.s.escapeKey()), 0, 0) }, nil},
		"the end": {func(*other) {}, func(_ *user, _ *other, cancel func()) { cancel() }, context.Canceled},
		"elsewhere": {func(*other) {}, func(u *user, o *other, _ func()) {
			u.move(700, 500)
			o.until(u.t, "XdndLeave")
			u.release()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u := server(t)
			o := newOther(t, 100, 100, c.configure)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := startDrag(ctx, u, 0)
			u.move(150, 150)
			o.until(t, "XdndPosition")
			c.end(u, o, cancel)
			if got := <-done; got.taken || !errors.Is(got.err, c.err) {
				t.Errorf("%+v", got)
			}
			o.until(t, "XdndLeave")
			if seen, _ := o.state(); slices.Contains(seen, "XdndDrop") {
				t.Errorf("%q", seen)
			}
		})
	}
}

// TestDrag_WindowThatCloses: a window that is destroyed during the drag neither stops nor blocks it.
func TestDrag_WindowThatCloses(t *testing.T) {
	u := server(t)
	o, after := newOther(t, 100, 100, func(*other) {}), newOther(t, 300, 100, func(*other) {})
	done := startDrag(t.Context(), u, 0)
	u.move(150, 150)
	o.until(t, "XdndPosition")
	xproto.DestroyWindow(u.s.conn, o.window)
	u.move(350, 150)
	after.until(t, "XdndPosition")
	u.release()
	got := <-done
	if _, dropped := after.state(); !got.taken || got.err != nil || dropped != twoFiles {
		t.Errorf("%+v, %q", got, dropped)
	}
}

// TestDrag_OwnWindowTakesNothing: a short drag by mistake does nothing.
func TestDrag_OwnWindowTakesNothing(t *testing.T) {
	u := server(t)
	o := newOther(t, 100, 100, func(*other) {})
	done := startDrag(t.Context(), u, o.window)
	u.move(150, 150)
	time.Sleep(10 * poll)
	u.release()
	got := <-done
	if seen, _ := o.state(); got.taken || got.err != nil || len(seen) != 0 {
		t.Errorf("%+v, %q", got, seen)
	}
}

// TestCopyFiles_AreServedInEachForm until another program copies something.
func TestCopyFiles_AreServedInEachForm(t *testing.T) {
	u := server(t)
	held, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- CopyFiles(t.Context(), []string{"/tmp/a b.txt", "/tmp/é#1"}, func() { close(held) })
	}()
	<-held
	for target, want := range map[string]string{
		"text/uri-list":                twoFiles,
		"x-special/gnome-copied-files": "copy\nfile:///tmp/a%20b.txt\nfile:///tmp/%C3%A9%231",
		"UTF8_STRING":                  "/tmp/a b.txt\n/tmp/é#1",
		"image/png":                    "",
	} {
		if got := pasted(t, u.s, target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if list := pasted(t, u.s, "TARGETS"); len(list) != 4*5 {
		t.Errorf("%d bytes of targets", len(list))
	}
	if err := u.s.own("CLIPBOARD", map[string][]byte{"UTF8_STRING": []byte("other")}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pasted returns the clipboard in the form of a target; empty if it is not served.
func pasted(t *testing.T, s *session, target string) string {
	t.Helper()
	if err := s.intern("CLIPBOARD", "PASTED", target); err != nil {
		t.Fatal(err)
	}
	xproto.ConvertSelection(s.conn, s.owner, s.known("CLIPBOARD"), s.known(target), s.known("PASTED"), xproto.TimeCurrentTime)
	for {
		ev, err := s.conn.WaitForEvent()
		if err != nil || ev == xgb.Event(nil) {
			t.Fatal(ev, err)
		}
		n, ok := ev.(xproto.SelectionNotifyEvent)
		if !ok {
			continue
		}
		if n.Property == xproto.AtomNone {
			return ""
		}
		reply, err2 := xproto.GetProperty(s.conn, true, s.owner, n.Property, xproto.GetPropertyTypeAny, 0, 1<<16).Reply()
		if err2 != nil {
			t.Fatal(err2)
		}
		return string(reply.Value)
	}
}

// TestCopyFiles_TooMany: a list that the display cannot transport is an error, not an empty paste.
func TestCopyFiles_TooMany(t *testing.T) {
	server(t)
	paths := slices.Repeat([]string{"/" + strings.Repeat("x", 4000)}, 5000)
	if err := CopyFiles(t.Context(), paths, func() { t.Error("held") }); err == nil {
		t.Error("no error")
	}
}
