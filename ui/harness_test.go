package ui

import (
	"context"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestMain makes English the language of all tests, whatever the system's is.
func TestMain(m *testing.M) {
	if err := speak("en"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// loop stands for the main thread: what is posted waits until the test runs it. fyne.Do will not do, since the test
// driver runs the function at once, on the goroutine that called.
type loop struct{ queue chan func() }

func newLoop() *loop { return &loop{make(chan func(), 100)} }

func (l *loop) do(f func()) { l.queue <- f }

func (l *loop) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case f := <-l.queue:
			f()
		case <-deadline:
			t.Fatalf("the window never got there: %s", what)
		}
	}
}

// fakeDesktop notes what it is asked for.
type fakeDesktop struct {
	opened  chan string // paths and pages
	told    chan string // titles of notifications
	picks   []string    // what the user picks; nil leaves it to Fyne's dialog
	picture []byte      // in the clipboard
	login   bool
}

func newFakeDesktop() *fakeDesktop {
	return &fakeDesktop{opened: make(chan string, 10), told: make(chan string, 100)}
}

func (f *fakeDesktop) Open(path string) error       { f.opened <- path; return nil }
func (f *fakeDesktop) Reveal(path string) error     { f.opened <- filepath.Dir(path); return nil }
func (f *fakeDesktop) OpenLink(page *url.URL) error { f.opened <- page.String(); return nil }
func (f *fakeDesktop) Pick(context.Context, bool) ([]string, error) {
	if f.picks == nil {
		return nil, errNoPicker
	}
	return f.picks, nil
}

func (f *fakeDesktop) Notify(_ context.Context, title, _ string) error { f.told <- title; return nil }

func (f *fakeDesktop) ClipboardPicture(context.Context) ([]byte, error) {
	if f.picture == nil {
		return nil, errNoPicture
	}
	return f.picture, nil
}
func (f *fakeDesktop) HasTray() bool          { return true }
func (f *fakeDesktop) Login() (bool, error)   { return f.login, nil }
func (f *fakeDesktop) SetLogin(on bool) error { f.login = on; return nil }

func newTestApp(t *testing.T) fyne.App {
	t.Helper()
	a := test.NewTempApp(t)
	a.Settings().SetTheme(Theme{})
	return a
}

type station struct {
	*UI
	node  *enginetest.Node
	inbox string
	desk  *fakeDesktop
}

func newStation(t *testing.T, a fyne.App, l *loop, net *enginetest.Net, name string) *station {
	t.Helper()
	return newStationWith(t, a, l, net, name, Options{})
}

func newStationWith(t *testing.T, a fyne.App, l *loop, net *enginetest.Net, name string, o Options) *station {
	t.Helper()
	node := net.Start(engine.Config{Name: name, Invite: engine.Known, Accept: engine.Known})
	s := &station{node: node, inbox: t.TempDir(), desk: newFakeDesktop()}
	if testing.Verbose() {
		o.Trace = os.Stderr
	}
	o.App, o.Engine, o.Do, o.Desktop, o.Downloads = a, node.Engine, l.do, s.desk, s.inbox
	s.UI = New(o)
	s.Start(t.Context())
	t.Cleanup(s.Close)
	s.w.Resize(fyne.NewSize(980, 660))
	return s
}

// items are the rows of a conversation, without the days above them.
func (u *UI) items(t *talk) (out []item) {
	for i := range t.count() {
		it := t.row(i)
		if d, ok := it.(*dayItem); ok {
			it = d.item
		}
		out = append(out, it)
	}
	return out
}

// card finds the transfer card with a state in the current conversation.
func (s *station) card(state engine.TransferState) *transferCard {
	if s.current == nil {
		return nil
	}
	for _, i := range s.items(s.current) {
		if c, ok := i.(*transferCard); ok && c.state == state {
			return c
		}
	}
	return nil
}

func (s *station) bubbles() (out []string) {
	for _, i := range s.items(s.current) {
		if b, ok := i.(*bubble); ok {
			out = append(out, b.text+" | "+b.stamp)
		}
	}
	return out
}

// list is rows for a timeline of its own.
type list []item

func (l list) count() int     { return len(l) }
func (l list) row(i int) item { return l[i] }

// keepPicture writes what a window looks like into the folder that MULTIPEER_PICTURES names, for a look.
func keepPicture(t *testing.T, name string, c fyne.Canvas) {
	t.Helper()
	picture := c.Capture()
	if picture.Bounds().Dx() < 300 {
		t.Error("nothing was drawn")
	}
	dir := os.Getenv("MULTIPEER_PICTURES")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, picture); err != nil {
		t.Fatal(err)
	}
}
