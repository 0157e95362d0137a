package localsend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"multipeer/engine"
	"multipeer/engine/gateway"
)

func TestReceive_FilesAndFolders(t *testing.T) {
	l := newLab(t, Options{})
	contents := map[string]string{"a b%2F&=ü.txt": "hello", "zero": "", "album/deep/x.bin": strings.Repeat("x", 1<<20), "album/y": "y"}
	for _, certified := range []bool{true, false} { // 1.16 and later; older ones
		l.dir = t.TempDir()
		c := newClient(t, l.port, certified)
		c.chunked = certified
		must(t, c.send(contents))
		eventually(t, func() bool { return l.last().State.Final() })
		same(t, l.inbox(t), contents)
		if tr := l.last(); tr.State != engine.Delivered || tr.Files != 4 || tr.Bytes != 1<<20+6 || tr.PeerName != "Nice Orange" {
			t.Errorf("%+v", tr)
		}
		eventually(t, func() bool { return (l.Trust(l.last().Peer) == engine.TrustSeen) == certified })
		if p, ok := l.Peer(l.last().Peer); !ok || p.Via != Name || p.Confirmed != certified {
			t.Errorf("certified %v: %+v", certified, p)
		}
	}
}

func TestReceive_ManyFiles(t *testing.T) {
	l := newLab(t, Options{})
	contents := map[string]string{}
	for i := range 200 {
		contents["f"+string(rune('a'+i%20))+"/n"+string(rune('a'+i/20))] = strings.Repeat("z", i)
	}
	must(t, newClient(t, l.port, true).send(contents))
	eventually(t, func() bool { return l.last().State.Final() })
	same(t, l.inbox(t), contents)
}

func TestReceive_TwoFilesOfOneName(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	o := offer{Info: deviceInfo{Alias: "x", Version: "2.1"}, Files: files{
		"1": {FileName: "p.jpg", Size: 1}, "2": {FileName: "p.jpg", Size: 2},
	}}
	a, code := c.prepare(o)
	if code != http.StatusOK || c.upload(a, "1", strings.NewReader("a")) != http.StatusOK || c.upload(a, "2", strings.NewReader("bb")) != http.StatusOK {
		t.Fatal(code)
	}
	same(t, l.inbox(t), map[string]string{"p.jpg": "a", "p (2).jpg": "bb"})
}

// TestReceive_NothingBeforeConsent checks that an upload without a person's consent stores nothing.
func TestReceive_NothingBeforeConsent(t *testing.T) {
	l := newLab(t, Options{})
	asked := make(chan *engine.Offer, 1)
	l.when(func(o *engine.Offer) { asked <- o })
	c := newClient(t, l.port, true)
	ended := make(chan int, 1)
	go func() {
		_, code := c.prepare(c.offerOf(map[string]string{"a": "hello"}))
		ended <- code
	}()
	o := <-asked
	for _, id := range []string{"", "x"} {
		if code := c.upload(acceptance{SessionID: id, Files: map[string]string{}}, idOf("a"), strings.NewReader("hello")); code != http.StatusForbidden {
			t.Errorf("upload: %d", code)
		}
	}
	if got := l.inbox(t); len(got) != 0 {
		t.Errorf("%q", got)
	}
	must(t, o.Decline())
	if code := <-ended; code != http.StatusForbidden {
		t.Errorf("declined: %d", code)
	}
}

// TestReceive_SenderGivesUp checks that an offer is withdrawn when its sender gives up, as LocalSend 1.18 and 1.17 do
// it.
func TestReceive_SenderGivesUp(t *testing.T) {
	l := newLab(t, Options{})
	asked := make(chan *engine.Offer, 1)
	l.when(func(o *engine.Offer) { asked <- o })
	c := newClient(t, l.port, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.json(ctx, "prepare-upload", c.offerOf(map[string]string{"a": "hello"}))
	<-asked
	cancel()
	eventually(t, func() bool { return l.last().State == engine.Cancelled })
	if !l.last().ByPeer {
		t.Errorf("%+v", l.last())
	}
	go c.json(t.Context(), "prepare-upload", c.offerOf(map[string]string{"a": "hello"}))
	<-asked
	if code, _ := c.post(t.Context(), "cancel", strings.NewReader("")); code != http.StatusOK {
		t.Errorf("cancel: %d", code)
	}
	eventually(t, func() bool { return l.last().State == engine.Cancelled })
}

func TestReceive_CancelInTheMiddle(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	for what, cancel := range map[string]func(a acceptance){
		"by the sender": func(a acceptance) {
			if code, _ := c.post(t.Context(), "cancel?sessionId="+a.SessionID, strings.NewReader("")); code != http.StatusOK {
				t.Errorf("cancel: %d", code)
			}
		},
		"here": func(acceptance) { l.Cancel(l.last().ID) },
	} {
		l.dir = t.TempDir()
		o := c.offerOf(map[string]string{"a": "hello", "b": strings.Repeat("b", 1000)})
		a, code := c.prepare(o)
		if code != http.StatusOK || c.upload(a, idOf("a"), strings.NewReader("hello")) != http.StatusOK {
			t.Fatal(code)
		}
		r, w := io.Pipe()
		ended := make(chan int, 1)
		go func() { ended <- c.upload(a, idOf("b"), r) }()
		_, _ = w.Write([]byte("bbb"))
		cancel(a)
		eventually(t, func() bool { return l.last().State == engine.Cancelled })
		_ = w.Close()
		if code := <-ended; code == http.StatusOK {
			t.Errorf("%s: the upload succeeded", what)
		}
		same(t, l.inbox(t), map[string]string{"a": "hello"}) // its sender got an answer for this file
		if byPeer := l.last().ByPeer; byPeer != (what == "by the sender") {
			t.Errorf("%s: by peer %v", what, byPeer)
		}
		eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
	}
}

// TestReceive_Digest checks that a file whose digest does not match is refused with 422, and that it may be tried three
// times.
func TestReceive_Digest(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	a, code := c.prepare(c.offerOf(map[string]string{"a": "hello"}))
	if code != http.StatusOK {
		t.Fatal(code)
	}
	if code := c.upload(a, idOf("a"), strings.NewReader("jello")); code != http.StatusUnprocessableEntity {
		t.Errorf("wrong: %d", code)
	}
	same(t, l.inbox(t), nil)
	if code := c.upload(a, idOf("a"), strings.NewReader("hello")); code != http.StatusOK {
		t.Errorf("right: %d", code)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
	eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
	a, _ = c.prepare(c.offerOf(map[string]string{"b": "hello"}))
	for i, want := range []int{422, 422, 422, 403} {
		if code := c.upload(a, idOf("b"), strings.NewReader("jello")); code != want {
			t.Errorf("attempt %d: %d", i+1, code)
		}
	}
}

func TestReceive_OneSessionOfEachDevice(t *testing.T) {
	l := newLab(t, Options{})
	asked := make(chan *engine.Offer, 2)
	l.when(func(o *engine.Offer) { asked <- o })
	c, other := newClient(t, l.port, true), newClient(t, l.port, true)
	go c.prepare(c.offerOf(map[string]string{"a": "hello"}))
	first := <-asked
	if _, code := c.prepare(c.offerOf(map[string]string{"b": "hello"})); code != http.StatusConflict {
		t.Errorf("second: %d", code)
	}
	ended := make(chan int, 1)
	go func() {
		_, code := other.prepare(other.offerOf(map[string]string{"c": "hello"}))
		ended <- code
	}()
	second := <-asked
	must(t, second.Decline())
	must(t, first.Decline())
	if code := <-ended; code != http.StatusForbidden {
		t.Errorf("another device: %d", code)
	}
}

func TestReceive_PIN(t *testing.T) {
	l := newLab(t, Options{PIN: "1234"})
	c := newClient(t, l.port, true)
	o := c.offerOf(map[string]string{"a": "hello"})
	try := func(query string) int {
		code, _ := c.json(t.Context(), "prepare-upload"+query, o)
		return code
	}
	for _, query := range []string{"", "", "", "", "?pin=1", "?pin=12345"} {
		if code := try(query); code != http.StatusUnauthorized {
			t.Errorf("%q: %d", query, code)
		}
	}
	if code := try("?pin=1234"); code != http.StatusOK {
		t.Errorf("right: %d", code)
	}
	if n := l.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	eventually(t, func() bool { return l.gateway.sessions.sink().Knows(c.own) })
	// The device is known by now, so attempts are counted by its key.
	for _, query := range []string{"?pin=0", "?pin=2", "?pin=3"} {
		if code := try(query); code != http.StatusUnauthorized {
			t.Errorf("%q: %d", query, code)
		}
	}
	for _, query := range []string{"?pin=2", "?pin=1234"} {
		if code := try(query); code != http.StatusTooManyRequests {
			t.Errorf("after three wrong ones, %q: %d", query, code)
		}
	}
	for _, bad := range []string{"12 4", "ü", "a&b", strings.Repeat("1", 65)} {
		if _, err := New(Options{PIN: bad}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("PIN %q: %v", bad, err)
		}
	}
}

// TestReceive_Text checks that a text from a stranger is an offer that shows the text, and one from a known device is a
// message.
func TestReceive_Text(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	text := "see you at 8"
	o := c.offerOf(map[string]string{"text.txt": text})
	for id, f := range o.Files {
		f.FileType, f.Preview = "text/plain", &text
		o.Files[id] = f
	}
	note := make(chan string, 1)
	l.when(func(of *engine.Offer) {
		note <- of.Transfer.Note
		_ = of.Accept(engine.AcceptOptions{Dir: l.dir, Person: true})
	})
	a, code := c.prepare(o)
	if code != http.StatusOK || <-note != text {
		t.Fatalf("of a stranger: %d", code)
	}
	if code := c.upload(a, idOf("text.txt"), strings.NewReader(text)); code != http.StatusOK {
		t.Errorf("upload: %d", code)
	}
	eventually(t, func() bool { return l.Trust(l.last().Peer) == engine.TrustSeen })
	if _, code := c.prepare(o); code != http.StatusNoContent {
		t.Errorf("of a known device: %d", code)
	}
	if m := <-l.texts; string(m.Body) != `{"text":"see you at 8"}` || m.Name != "Nice Orange" {
		t.Errorf("%+v", m)
	}
}

// TestReceive_Broken checks that an interrupted upload leaves nothing behind, that the other files stay, and that the
// file may be sent again.
func TestReceive_Broken(t *testing.T) {
	t.Parallel() // it waits for a time limit
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	contents := map[string]string{"a": "hello", "b": "world"}
	a, code := c.prepare(c.offerOf(contents))
	if code != http.StatusOK || c.upload(a, idOf("a"), strings.NewReader("hello")) != http.StatusOK {
		t.Fatal(code)
	}
	for _, body := range []string{"wor", "worlds"} {
		if code := c.upload(a, idOf("b"), strings.NewReader(body)); code != http.StatusInternalServerError {
			t.Errorf("%q: %d", body, code)
		}
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
	if code := c.upload(a, idOf("b"), strings.NewReader("world")); code != http.StatusOK {
		t.Errorf("again: %d", code)
	}
	eventually(t, func() bool { return l.last().State == engine.Delivered })
	same(t, l.inbox(t), contents)

	l.dir = t.TempDir()
	if a, code = c.prepare(c.offerOf(contents)); code != http.StatusOK || c.upload(a, idOf("a"), strings.NewReader("hello")) != http.StatusOK {
		t.Fatal(code)
	}
	c.upload(a, idOf("b"), strings.NewReader("wor"))
	eventually(t, func() bool { return l.last().State == engine.Failed })
	if tr := l.last(); tr.LeftOut != 1 || len(tr.Saved) != 1 || tr.Err == nil {
		t.Errorf("%+v", tr)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
}

// TestOffer_KeepsFewNames: the history of transfers stores the names of an offer, so only a few of many names are kept.
func TestOffer_KeepsFewNames(t *testing.T) {
	var parts []part
	for i := range 10_000 {
		parts = append(parts, part{path: fmt.Sprint(i), size: 1})
	}
	d := describe(gateway.Device{}, offer{}, parts)
	if len(d.Names) != maxNames || cap(d.Names) > 2*maxNames || d.Items != 10_000 || d.Files != 10_000 || d.Bytes != 10_000 {
		t.Errorf("%d names, room for %d, %d items, %d files, %d bytes", len(d.Names), cap(d.Names), d.Items, d.Files, d.Bytes)
	}
}
