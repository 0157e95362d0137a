package ui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"multipeer/bridge/web"
	"multipeer/transfer"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// fakeLink is a link that no browser opens.
type fakeLink struct {
	opts    web.Options
	closed  chan struct{}
	missing int
}

func (f *fakeLink) URLs() []string { return []string{"http://192.168.1.20:8421/k7q2-m9xd/"} }
func (f *fakeLink) Missing() int   { return f.missing }
func (f *fakeLink) Close()         { close(f.closed) }

// newLinkStage returns a window whose links are fake, and the link that was opened last.
func newLinkStage(t *testing.T) (*stage, func() *fakeLink) {
	t.Helper()
	opened := make(chan *fakeLink, 5)
	st := newStageWith(t, Options{OpenLink: func(_ context.Context, o web.Options) (browserLink, error) {
		f := &fakeLink{opts: o, closed: make(chan struct{})}
		opened <- f
		return f, nil
	}})
	st.o.Downloads = t.TempDir()
	return st, func() *fakeLink {
		t.Helper()
		select {
		case f := <-opened:
			return f
		case <-time.After(5 * time.Second):
			t.Fatal("no link was opened")
			return nil
		}
	}
}

// TestBrowserLink_AsksAndReports follows the dialog from the address through an accepted upload, a declined one and a
// text to the end of the link.
func TestBrowserLink_AsksAndReports(t *testing.T) {
	st, link := newLinkStage(t)
	st.links.start([]string{"/tmp/photos"})
	f := link()
	st.l.until(t, "the dialog", func() bool { return st.links.open != nil && st.links.open.m != nil })
	d := st.links.open
	if len(f.opts.Paths) != 1 || f.opts.Dir != st.downloads() || f.opts.Name != "Anna's laptop" {
		t.Errorf("opened with %+v", f.opts)
	}
	keepPicture(t, "browser-link", st.w.Canvas())
	visitor := web.Visitor{Number: 1, Device: "iPhone"}
	go f.opts.OnEvent(web.Opened{Visitor: visitor})
	st.l.until(t, "the visitor", func() bool { return strings.Contains(d.state.Text, "iPhone has opened") })

	answers := make(chan error, 2)
	for n, name := range []string{"one.jpg", "two\u202e.exe"} {
		up := web.Upload{Visitor: visitor, Number: n + 1, Names: []string{name}, Items: 1, Files: 1, Bytes: 12_000_000}
		go func() { answers <- f.opts.Ask(context.Background(), up) }()
		st.l.until(t, "the question", func() bool { return len(d.asking) == 1 && d.asked.Visible() })
		if strings.Contains(d.asked.Text, "\u202e") || !strings.Contains(d.asked.Text, "12.0 MB") {
			t.Errorf("asked %q", d.asked.Text)
		}
		if n == 0 {
			keepPicture(t, "browser-link-asked", st.w.Canvas())
			d.shownAt = time.Now() // drawing the picture above may have taken long
			d.answer(nil)          // the user cannot have read it yet
			if len(d.asking) != 1 {
				t.Error("a click meant for an earlier question has accepted this one")
			}
			d.read()
			d.answer(nil)
			if err := <-answers; err != nil {
				t.Error(err)
			}
			go f.opts.OnEvent(web.Progress{Upload: up, Bytes: 6_000_000})
			st.l.until(t, "the progress", func() bool { return strings.Contains(d.state.Text, "6.0 MB of 12.0 MB") })
			go f.opts.OnEvent(web.Received{Upload: up, Result: transfer.Result{Totals: transfer.Totals{Files: 1}, Saved: []string{"one.jpg"}}})
			st.l.until(t, "the end of the upload", func() bool { return strings.Contains(d.outcome.Text, "saved") && d.show.Visible() })
			continue
		}
		d.read()
		d.answer(errors.New("no"))
		if err := <-answers; err == nil {
			t.Error("a declined upload was accepted")
		}
	}
	if d.asked.Visible() || len(d.moving) != 0 {
		t.Error("a question is left")
	}
	go f.opts.OnEvent(web.Said{Visitor: visitor, Text: "hello\x1b[2J"})
	st.l.until(t, "the text", func() bool {
		return strings.Contains(d.said.Text, "hello") && !strings.Contains(d.said.Text, "\x1b")
	})
	keepPicture(t, "browser-link-text", st.w.Canvas())

	d.m.Hide()
	<-f.closed
	if st.links.open != nil {
		t.Error("the link is still open")
	}
}

// read makes it look as if the user has had time to read the question.
func (d *linkDialog) read() { d.shownAt = d.shownAt.Add(-lookAgain) }

// TestBrowserLink_ClosingAsksWhileFilesArrive checks that a dialog cannot be closed by accident during an upload.
func TestBrowserLink_ClosingAsksWhileFilesArrive(t *testing.T) {
	st, link := newLinkStage(t)
	st.links.start(nil)
	f := link()
	st.l.until(t, "the dialog", func() bool { return st.links.open != nil && st.links.open.m != nil })
	d := st.links.open
	done := make(chan error, 1)
	go func() {
		done <- f.opts.Ask(context.Background(), web.Upload{Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1})
	}()
	st.l.until(t, "the question", func() bool { return len(d.asking) == 1 })
	d.read()
	d.answer(nil)
	<-done
	d.m.Hide()
	if st.links.open != d {
		t.Fatal("the link was closed")
	}
	st.dialogs.open.Hide() // answers no
	if st.links.open != d || st.dialogs.open != hidden(d.m) {
		t.Error("the dialog did not open again")
	}
	go f.opts.OnEvent(web.Ended{Err: web.ErrGuessed})
	st.l.until(t, "the end", func() bool { return st.links.open == nil })
	if !st.toast.Box.Visible() {
		t.Error("the end reports nothing")
	}
}

// TestBrowserLink_AnotherOneReplacesTheFirst checks that only one link is open at a time.
func TestBrowserLink_AnotherOneReplacesTheFirst(t *testing.T) {
	st, link := newLinkStage(t)
	st.links.start(nil)
	first := link()
	st.l.until(t, "the dialog", func() bool { return st.links.open != nil && st.links.open.m != nil })
	st.links.start([]string{"/tmp/x"})
	<-first.closed
	second := link()
	st.l.until(t, "the second dialog", func() bool { return st.links.open != nil && st.links.open.link == browserLink(second) })
	st.UI.Close()
	<-second.closed
}

// TestBrowserLink_IgnoresAPressWhenItsTextMovesTheButtons: a visitor's text changes the height of the dialog.
func TestBrowserLink_IgnoresAPressWhenItsTextMovesTheButtons(t *testing.T) {
	st, link := newLinkStage(t)
	st.w.Resize(fyne.NewSize(900, 700))
	st.links.start(nil)
	f := link()
	st.l.until(t, "the dialog", func() bool { return st.links.open != nil && st.links.open.m != nil })
	d := st.links.open
	v := web.Visitor{Number: 1, Device: "iPhone"}
	d.take(web.Opened{Visitor: v})
	d.take(web.Said{Visitor: v, Text: strings.Repeat("word ", 100)})
	answers := make(chan error, 1)
	go func() {
		answers <- f.opts.Ask(context.Background(), web.Upload{Visitor: v, Number: 1, Names: []string{"x"}, Items: 1, Files: 1, Bytes: 1})
	}()
	st.l.until(t, "the question", func() bool { return len(d.asking) == 1 })
	d.read()
	d.take(web.Said{Visitor: v, Text: "x"})
	test.Tap(d.accept)
	select {
	case err := <-answers:
		t.Errorf("answered (%v) by a press in the instant in which the button moved", err)
	case <-time.After(200 * time.Millisecond):
	}
	d.read()
	test.Tap(d.accept)
	if err := <-answers; err != nil {
		t.Error(err)
	}
}

// TestLinkDialog_SaysWhatArrived: an upload of which nothing arrives is not announced as received, notes about files are
// shown, files that are missing are counted until they arrive, and text of the visitor stays apart from what this program
// says.
func TestLinkDialog_SaysWhatArrived(t *testing.T) {
	st, link := newLinkStage(t)
	st.links.start(nil)
	f := link()
	st.l.until(t, "the dialog", func() bool { return st.links.open != nil && st.links.open.m != nil })
	d := st.links.open
	visitor := web.Visitor{Number: 1, Device: "iPhone"}
	up := web.Upload{Visitor: visitor, Number: 1, Names: []string{"a.pdf"}, Items: 1, Files: 1, Bytes: 12}
	st.notes.seen(false)
	f.missing = 2
	go f.opts.OnEvent(web.Received{Upload: up, Err: transfer.ErrInterrupted})
	st.l.until(t, "the end", func() bool { return strings.Contains(d.outcome.Text, "Nothing was received") })
	if n := <-st.desk.notices; strings.Contains(n.Title+n.Body, "received") {
		t.Errorf("the notification is %q, %q", n.Title, n.Body)
	}
	if !d.missing.Visible() || !strings.Contains(d.missing.Text, "2 files have not arrived") {
		t.Errorf("the dialog says %q about missing files", d.missing.Text)
	}
	f.missing = 1
	go f.opts.OnEvent(web.Received{Upload: up, Result: transfer.Result{
		Totals: transfer.Totals{Files: 1}, Saved: []string{"a.pdf"}, Unkept: 1,
		Notes: []transfer.Note{{Path: "a.pdf", Saved: "a.pdf", Err: transfer.ErrNotDurable}},
	}})
	st.l.until(t, "the note", func() bool {
		return strings.Contains(d.outcome.Text, "saved to") && strings.Contains(d.outcome.Text, "a.pdf: ")
	})
	if !d.missing.Visible() { // a file of the earlier upload
		t.Error("a later upload hides that a file is missing")
	}
	f.missing = 0
	go f.opts.OnEvent(web.Received{Upload: up, Result: transfer.Result{Totals: transfer.Totals{Files: 1}, Saved: []string{"a.pdf"}}})
	st.l.until(t, "everything", func() bool { return !d.missing.Visible() })
	was := d.outcome.Text
	go f.opts.OnEvent(web.Said{Visitor: visitor, Text: "All files were saved."})
	st.l.until(t, "the text", func() bool { return strings.Contains(d.said.Text, "All files were saved.") && d.said.Visible() })
	if d.outcome.Text != was {
		t.Errorf("the outcome is now %q", d.outcome.Text)
	}
	up.Names, up.Files = []string{"a.jpg” (1 file, 2.1 kB)"}, 5000
	if text := uploadText(up); strings.Count(text, "”") != 1 {
		t.Errorf("a name ends its quotation: %s", text)
	}
}
