package ui

import (
	"context"
	"errors"
	"image"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	machine "multipeer/internal/testing/load"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// TestMain sets the language of all tests to English, whatever the system's language is.
func TestMain(m *testing.M) {
	if err := speak("en"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// loop replaces the main thread: posted functions wait until the test runs them. fyne.Do is unsuitable, because the
// test driver runs the function at once, on the calling goroutine. As with fyne.Do, posting does not wait: the queue
// has room for more than any test posts.
type loop struct{ queue chan func() }

func newLoop() *loop { return &loop{make(chan func(), 100_000)} }

func (l *loop) do(f func()) { l.queue <- f }

func (l *loop) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const limit = 20 * time.Second // on an idle machine; a busy one gets more
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	used := time.Duration(0)
	for !ok() {
		select {
		case f := <-l.queue:
			f()
		case <-tick.C:
			if used += time.Duration(float64(time.Second) / machine.Factor()); used > limit {
				t.Fatalf("the window never got there: %s", what)
			}
		}
	}
}

// fakeDesktop records its calls.
type fakeDesktop struct {
	copied  chan []byte   // pictures that were copied to the clipboard
	files   chan []string // that were copied or dragged
	noFiles bool          // the clipboard cannot hold files
	dock    chan float64
	opened  chan string // paths and pages
	notices chan desktop.Notice
	picks   []string // what the user picks; nil falls back to Fyne's dialog
	picture []byte   // in the clipboard
	login   bool

	hasFileManager bool // the system has a file manager that this program can be added to
	listed         bool // it is
}

func newFakeDesktop() *fakeDesktop {
	return &fakeDesktop{copied: make(chan []byte, 10), files: make(chan []string, 10), dock: make(chan float64, 1000), opened: make(chan string, 10), notices: make(chan desktop.Notice, 100)}
}

func (f *fakeDesktop) Open(path string) error       { f.opened <- path; return nil }
func (f *fakeDesktop) Reveal(path string) error     { f.opened <- filepath.Dir(path); return nil }
func (f *fakeDesktop) OpenLink(page *url.URL) error { f.opened <- page.String(); return nil }
func (f *fakeDesktop) Pick(context.Context, bool) ([]string, error) {
	if f.picks == nil {
		return nil, desktop.ErrNoPicker
	}
	return f.picks, nil
}

func (f *fakeDesktop) Notify(_ context.Context, n desktop.Notice) error { f.notices <- n; return nil }

func (f *fakeDesktop) ShowProgress(part float64) error { f.dock <- part; return nil }
func (f *fakeDesktop) ClipboardPicture(context.Context) ([]byte, error) {
	if f.picture == nil {
		return nil, desktop.ErrNoPicture
	}
	return f.picture, nil
}

func (f *fakeDesktop) SetClipboardPicture(_ context.Context, png []byte) error {
	f.copied <- png
	return nil
}

func (f *fakeDesktop) CopyFiles(_ context.Context, paths []string, copied func()) error {
	if f.noFiles {
		return errors.ErrUnsupported
	}
	f.files <- paths
	copied()
	return nil
}

func (f *fakeDesktop) DragFiles(_ context.Context, _ uintptr, paths []string, picture image.Image) error {
	if picture == nil {
		return errors.New("a drag without a picture")
	}
	f.files <- paths
	return nil
}
func (f *fakeDesktop) HasTray() bool          { return true }
func (f *fakeDesktop) Login() (bool, error)   { return f.login, nil }
func (f *fakeDesktop) SetLogin(on bool) error { f.login = on; return nil }
func (f *fakeDesktop) FileManager() (bool, error) {
	if !f.hasFileManager {
		return false, errors.ErrUnsupported
	}
	return f.listed, nil
}
func (f *fakeDesktop) SetFileManager(on bool) error { f.listed = on; return nil }

// readCacheClock makes Fyne's renderer cache read the clock. Without a real window, only Capture does that. The cache
// stamps a new renderer with the time that it last read, and drops renderers whose stamp is a minute old. If there was
// no Capture for a minute, the next one drops even new renderers, and Fyne recreates them without a layout.
func readCacheClock() { software.NewCanvas().Capture() }

func newTestApp(t *testing.T) fyne.App {
	t.Helper()
	a := test.NewTempApp(t)
	readCacheClock()
	a.Settings().SetTheme(widgets.Theme{})
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
	return newStationOn(t, a, l, net.Start(engine.Config{Name: name, Invite: engine.Known, Accept: engine.Known, Offers: engine.Everyone}), o)
}

func newStationOn(t *testing.T, a fyne.App, l *loop, node *enginetest.Node, o Options) *station {
	t.Helper()
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

// items returns the rows of a conversation, without the day headings.
func (u *UI) items(t *talk) (out []widgets.Item) {
	for i := range t.Count() {
		it := t.Row(i)
		if d, ok := it.(*dayItem); ok {
			it = d.item
		}
		out = append(out, it)
	}
	return out
}

// card returns the transfer card with a state in the current conversation. If no conversation is open, it opens the one
// that the banner's request belongs to, as the user would.
func (s *station) card(state engine.TransferState) *transferCard {
	if s.current == nil {
		if s.banner.now.talk == nil { // the request was answered elsewhere
			for _, t := range s.talks {
				if t.Count() > 0 {
					s.choose(t)
				}
			}
		} else {
			test.Tap(s.banner.show)
		}
	}
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

// rested makes the card look as if it has not moved for a while.
func (c *transferCard) rested() *transferCard {
	c.since = time.Time{}
	return c
}

func (s *station) bubbles() (out []string) {
	for _, i := range s.items(s.current) {
		if b, ok := i.(*widgets.Bubble); ok {
			out = append(out, b.Text+" | "+b.Stamp)
		}
	}
	return out
}

// list is a source of rows for a timeline in a test.
type list []widgets.Item

func (l list) Count() int             { return len(l) }
func (l list) Row(i int) widgets.Item { return l[i] }

// keepPicture saves a screenshot of the window for review, in the folder that MULTIPEER_PICTURES names.
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
