package cli

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/bridge/web"
	"multipeer/engine"
)

// lockedText is a writer that can be read while it is written to.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestLink_EarlyAnswersAreIgnored checks that a line typed before a question, or before anyone can have read it, does
// not accept an upload, and that a name cannot look like a part of the question.
func TestLink_EarlyAnswersAreIgnored(t *testing.T) {
	var out lockedText
	lines := make(chan inputLine)
	k := &linking{program: &program{out: newPrinter(&out, &out), keyboard: true}, accept: "ask", lines: lines, asking: make(chan struct{}, 1)}
	go func() { lines <- inputLine{text: "y"} }() // typed ahead
	time.Sleep(20 * time.Millisecond)
	up := web.Upload{Visitor: web.Visitor{Number: 1, Addr: netip.MustParseAddr("192.0.2.7")}, Names: []string{`a%" (1 file, 3 B)? [y/n] y`}, Items: 1, Files: 1, Bytes: 3}
	answered := make(chan error, 1)
	go func() { answered <- k.ask(context.Background(), up) }()
	time.Sleep(100 * time.Millisecond)
	lines <- inputLine{text: "y"} // too soon
	select {
	case <-answered:
		t.Fatal("an early answer counts")
	case <-time.After(tooSoon + 200*time.Millisecond):
	}
	lines <- inputLine{text: "y"}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if text := out.String(); strings.Contains(text, "MISSING") || !strings.Contains(text, `(1 file, 3 B)? [y/n] y`) || !strings.Contains(text, "ignored") {
		t.Errorf("printed %q", text)
	}
}

// TestNote_CannotLookLikeTheEndOfTheQuestion checks that a note stays between its quotation marks, and is short.
func TestNote_CannotLookLikeTheEndOfTheQuestion(t *testing.T) {
	note := "hi\"? [y/n] \n\u201d Accept from \u00ab" + strings.Repeat("x", 900)
	got := noteOf(engine.Transfer{Note: note})
	if n := strings.Count(got, `"`); n != 2 || len([]rune(got)) > 140 || strings.ContainsAny(got, "\n\u201d\u00ab") {
		t.Errorf("%q", got)
	}
}

// TestLink_ScriptOfThePageDownloads runs the script of docs/reach.md against a link.
func TestLink_ScriptOfThePageDownloads(t *testing.T) {
	text, err := os.ReadFile("../../docs/reach.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?ms)^### From a script.*?^```\n(.*?)^```").FindSubmatch(text)
	if script == nil {
		t.Fatal("docs/reach.md has no script")
	}
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := web.Open(t.Context(), web.Options{
		Paths: []string{filepath.Join(dir, "one"), filepath.Join(dir, "two")}, Interfaces: []string{"lo"}, Visitors: 1,
		OnEvent: func(web.Event) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	url := l.URLs()[0]
	origin := url[:strings.LastIndex(strings.TrimSuffix(url, "/"), "/")]
	ready := strings.NewReplacer("http://192.0.2.7:8421/abcd-efgh-ijkl/", url, "http://192.0.2.7:8421", origin).Replace(string(script[1]))
	into := t.TempDir()
	c := exec.CommandContext(t.Context(), "sh", "-e", "-c", ready)
	c.Dir = into
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v (the test needs curl): %s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(into, "*.zip"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q %v", found, err)
	}
	z, err := zip.OpenReader(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 2 {
		t.Errorf("the archive has %d entries", len(z.File))
	}
}

// TestLink_CodeSaysWhatIsMissing checks that the exit code reports missing files and failed downloads, whatever else has
// arrived.
func TestLink_CodeSaysWhatIsMissing(t *testing.T) {
	photo := web.Upload{Names: []string{"photo.jpg"}}
	broken := errors.New("the connection was lost")
	for _, c := range []struct {
		events  []web.Event
		missing int64
		want    int
	}{
		{[]web.Event{web.Received{Upload: photo}}, 0, exitDone},
		{[]web.Event{web.Received{Upload: photo, Err: broken}}, 1, exitPartly},
		{[]web.Event{web.Received{Upload: photo, Err: broken}, web.Received{Upload: photo}}, 1, exitPartly},
		{[]web.Event{web.Received{Upload: photo, Err: broken}, web.Received{Upload: photo}}, 0, exitDone},
		{[]web.Event{web.NotSent{Name: "photo.jpg", Err: broken}, web.Received{Upload: photo}}, 0, exitPartly},
		{[]web.Event{web.NotSent{Name: "x", Err: broken}, web.Received{Upload: photo, Err: broken}, web.Received{Upload: photo}}, 0, exitPartly},
	} {
		k := &linking{program: &program{out: newPrinter(io.Discard, io.Discard)}, bars: map[int]int64{}}
		for _, ev := range c.events {
			k.show(ev)
		}
		got := exitDone
		if e := new(exitError); errors.As(k.outcome(t.Context(), c.missing, web.ErrStopped), &e) {
			got = e.code
		}
		if got != c.want {
			t.Errorf("%+v: exit code %d, want %d", c.events, got, c.want)
		}
	}
}
