package localsend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is an engine with a gateway on loopback, and what its person decides.
type lab struct {
	*enginetest.Node
	gateway *Gateway
	dir     string
	port    int
	asked   atomic.Int64
	decide  atomic.Pointer[func(*engine.Offer)]
	texts   chan engine.Message
}

func newLab(t *testing.T, opts Options) *lab {
	t.Helper()
	opts.loopback = true
	g, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{gateway: g, dir: t.TempDir(), texts: make(chan engine.Message, 100)}
	l.Node = enginetest.New(t, time.Millisecond).Start(engine.Config{Name: "Laptop", Gateways: []engine.Gateway{g}})
	l.accept()
	ctx, cancel := context.WithCancel(context.Background())
	seq, done := l.Watch(ctx), make(chan struct{})
	go func() {
		defer close(done)
		for ev := range seq {
			switch ev := ev.(type) {
			case engine.OfferReceived:
				l.asked.Add(1)
				(*l.decide.Load())(ev.Offer)
			case engine.MessageReceived:
				l.texts <- ev.Message
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, func() bool { return g.info().Port != 0 })
	l.port = g.info().Port
	return l
}

func (l *lab) when(f func(*engine.Offer)) { l.decide.Store(&f) }

func (l *lab) accept() {
	l.when(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: l.dir}) })
}

// last is the newest transfer.
func (l *lab) last() engine.Transfer {
	list := l.Transfers()
	if len(list) == 0 {
		return engine.Transfer{}
	}
	return list[len(list)-1]
}

// inbox returns the files in the folder, by path.
func (l *lab) inbox(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(l.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && strings.HasPrefix(d.Name(), ".multipeer") { // what is not whole yet
				return filepath.SkipDir
			}
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(l.dir, p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it never came true")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d files, want %d: %q", len(got), len(want), keys(got))
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s: %d bytes, want %d", name, len(got[name]), len(content))
		}
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestReceive_FilesAndFolders(t *testing.T) {
	l := newLab(t, Options{})
	contents := map[string]string{"a b%2F&=ü.txt": "hello", "zero": "", "album/deep/x.bin": strings.Repeat("x", 1<<20), "album/y": "y"}
	for _, certified := range []bool{true, false} { // 1.16 and later, and older ones
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
		if code := c.upload(acceptance{id, map[string]string{}}, idOf("a"), strings.NewReader("hello")); code != http.StatusForbidden {
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

// TestReceive_SenderGivesUp checks that an offer is withdrawn when its sender goes, in the ways of 1.18 and 1.17.
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
		same(t, l.inbox(t), map[string]string{"a": "hello"}) // its sender was told that it is there
		if byPeer := l.last().ByPeer; byPeer != (what == "by the sender") {
			t.Errorf("%s: by peer %v", what, byPeer)
		}
		eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
	}
}

// TestReceive_Digest checks that a file with another digest is refused with 422 and may be sent again, three times.
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
	try("?pin=0")
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

// TestReceive_Text checks that the text of a stranger is an offer with the text to read, and that of a known device a
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
		_ = of.Accept(engine.AcceptOptions{Dir: l.dir})
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

// TestReceive_Broken checks that a file that breaks off leaves nothing, that the others stay, and that it may be sent
// again.
func TestReceive_Broken(t *testing.T) {
	t.Parallel() // it waits for a limit
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

func TestSend_FilesAndFolders(t *testing.T) {
	l := newLab(t, Options{})
	dir := t.TempDir()
	contents := map[string]string{"album/deep/x": strings.Repeat("x", 1<<20), "album/y": "y", "zero": "", "a b%&ü": "hello"}
	for name, content := range contents {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "album", "empty"), 0o755))
	paths := []string{filepath.Join(dir, "album"), filepath.Join(dir, "zero"), filepath.Join(dir, "a b%&ü")}
	for _, plain := range []bool{false, true} {
		p := newStrictPeer(t, plain)
		id := l.find(t, p)
		tr, err := l.Offer(t.Context(), id, paths...)
		must(t, err)
		end, err := l.Wait(t.Context(), tr.ID)
		if err != nil || end.State != engine.Delivered || end.Files != 4 || end.Bytes != 1<<20+6 || end.LeftOut != 1 || end.Notes[0].Path != "album/empty" {
			t.Fatalf("%+v %v", end, err)
		}
		same(t, p.files(), contents)
		if !plain && p.from != l.gateway.fingerprint {
			t.Errorf("from %s", p.from)
		}
		if plain {
			time.Sleep(100 * time.Millisecond) // the profile is written in the background
		}
		eventually(t, func() bool { return (l.Trust(id) == engine.TrustSeen) != plain })
	}
}

// find has the gateway find a peer by its address.
func (l *lab) find(t *testing.T, p *strictPeer) engine.PeerID {
	t.Helper()
	key, err := l.gateway.Find(t.Context(), p.device.Addr)
	must(t, err)
	if key != p.device.Key {
		t.Fatalf("key %s, want %s", key, p.device.Key)
	}
	return engine.GatewayPeerID(Name, key)
}

func TestSend_Outcomes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	other := filepath.Join(filepath.Dir(file), "b")
	must(t, os.WriteFile(other, []byte("world"), 0o644))
	l := newLab(t, Options{})
	for what, c := range map[string]struct {
		set     func(*strictPeer)
		state   engine.TransferState
		why     error
		text    string
		leftOut int64
		cancels int
	}{
		"declined":        {func(p *strictPeer) { p.answer = func(offer) int { return 403 } }, engine.Declined, engine.ErrDeclined, "", 0, 0},
		"nothing taken":   {func(p *strictPeer) { p.answer = func(offer) int { return 204 } }, engine.Declined, engine.ErrDeclined, "", 0, 0},
		"busy":            {func(p *strictPeer) { p.session = "someone's" }, engine.Failed, engine.ErrBusy, "", 0, 0},
		"asks a PIN":      {func(p *strictPeer) { p.pin = "1" }, engine.Failed, nil, "PIN", 0, 0},
		"cancelled there": {func(p *strictPeer) { p.break_ = func(string) int { return 403 } }, engine.Cancelled, engine.ErrCancelled, "", 0, 1},
		"one not saved": {func(p *strictPeer) {
			p.break_ = func(id string) int { return map[string]int{"0": 500}[id] }
		}, engine.Delivered, nil, "", 1, 0},
		"none saved": {func(p *strictPeer) { p.break_ = func(string) int { return 500 } }, engine.Failed, nil, "500", 2, 1},
	} {
		p := newStrictPeer(t, false)
		c.set(p)
		tr, err := l.Offer(t.Context(), l.find(t, p), file, other)
		must(t, err)
		end, err := l.Wait(t.Context(), tr.ID)
		if err != nil || end.State != c.state || end.LeftOut != c.leftOut || c.why != nil && !errors.Is(end.Err, c.why) || c.text != "" && (end.Err == nil || !strings.Contains(end.Err.Error(), c.text)) {
			t.Errorf("%s: %v, %v, %d left out: %v", what, end.State, end.Err, end.LeftOut, err)
		}
		if end.ByPeer != (what == "cancelled there") {
			t.Errorf("%s: by peer %v", what, end.ByPeer)
		}
		p.mu.Lock()
		if p.cancels != c.cancels {
			t.Errorf("%s: %d cancels, want %d", what, p.cancels, c.cancels)
		}
		p.mu.Unlock()
	}
}

// TestSend_CancelledHere checks that the other side is told when this side gives up, while it waits and in the middle.
func TestSend_CancelledHere(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	for _, what := range []string{"waiting", "in the middle"} {
		waits, goOn := make(chan struct{}, 1), make(chan struct{})
		hold := func() { waits <- struct{}{}; <-goOn }
		p := newStrictPeer(t, false)
		if what == "waiting" {
			p.answer = func(offer) int { hold(); return 403 }
		} else {
			p.before = func(string) { hold() }
		}
		tr, err := l.Offer(t.Context(), l.find(t, p), file)
		must(t, err)
		<-waits
		l.Cancel(tr.ID)
		end, err := l.Wait(t.Context(), tr.ID)
		if err != nil || end.State != engine.Cancelled || end.ByPeer {
			t.Errorf("%s: %+v %v", what, end, err)
		}
		p.mu.Lock()
		if p.cancels != 1 {
			t.Errorf("%s: %d cancels", what, p.cancels)
		}
		p.mu.Unlock()
		close(goOn)
	}
}

// TestSend_ReceiverCancels checks that the request of a receiver ends the transfer, and that of another device does not.
func TestSend_ReceiverCancels(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	waits, goOn := make(chan struct{}, 1), make(chan struct{})
	p := newStrictPeer(t, false)
	p.before = func(string) { waits <- struct{}{}; <-goOn }
	tr, err := l.Offer(t.Context(), l.find(t, p), file)
	must(t, err)
	<-waits
	if l.gateway.sent.cancel(netip.MustParseAddr("127.0.0.2"), "session-1") || l.gateway.sent.cancel(p.device.Addr.Addr(), "session-2") {
		t.Error("another one cancelled it")
	}
	if code, _ := newClient(t, l.port, true).post(t.Context(), "cancel?sessionId=session-1", strings.NewReader("")); code != http.StatusOK {
		t.Errorf("cancel: %d", code)
	}
	end, err := l.Wait(t.Context(), tr.ID)
	if err != nil || end.State != engine.Cancelled || !end.ByPeer {
		t.Errorf("%+v %v", end, err)
	}
	close(goOn)
}

// TestSend_GivesThePIN checks that a PIN is given when the other device asks for one, and a wrong one only once.
func TestSend_GivesThePIN(t *testing.T) {
	l := newLab(t, Options{GivePIN: "42"})
	for pin, want := range map[string]int{"42": 1, "43": 0} {
		p := newStrictPeer(t, false)
		p.pin = pin
		results, err := l.Send(t.Context(), map[string]string{"text": "see you"}, l.find(t, p))
		if err != nil || (results[0].Err == nil) != (want == 1) || len(p.files()) != want {
			t.Errorf("PIN %s: %v %v", pin, results, err)
		}
	}
}

func TestSend_Text(t *testing.T) {
	l := newLab(t, Options{})
	for _, shows := range []bool{true, false} {
		p := newStrictPeer(t, false)
		p.texts = shows
		results, err := l.Send(t.Context(), map[string]string{"text": "see you"}, l.find(t, p))
		if err != nil || results[0].Err != nil {
			t.Fatalf("%v %v", results, err)
		}
		got := p.files()
		if want := map[bool]string{true: "(text)", false: "text.txt"}[shows]; got[want] != "see you" {
			t.Errorf("%q", got)
		}
	}
}

// TestSend_OtherKey checks that nothing is sent to a device that has another key than the one that was found.
func TestSend_OtherKey(t *testing.T) {
	l := newLab(t, Options{})
	p, impostor := newStrictPeer(t, false), newStrictPeer(t, false)
	id := l.find(t, p)
	d := p.device
	d.Addr = impostor.device.Addr
	l.gateway.devices.found(d)
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	tr, err := l.Offer(t.Context(), id, file)
	must(t, err)
	end, err := l.Wait(t.Context(), tr.ID)
	if err != nil || !errors.Is(end.Err, engine.ErrIdentity) || impostor.asked != 0 {
		t.Errorf("%+v %v, asked %d times", end, err, impostor.asked)
	}
}

// TestSend_FileChanges checks that a file that has changed since it was offered, or is gone, is left out, and named: never
// a part of it counts as delivered.
func TestSend_FileChanges(t *testing.T) {
	l := newLab(t, Options{})
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	change := map[string]func() error{
		"shrinks": func() error { return os.Truncate(at("shrinks"), 2) },
		"goes":    func() error { return os.Remove(at("goes")) },
		"grows":   func() error { return os.WriteFile(at("grows"), []byte("a new and longer text"), 0o644) },
		"new":     func() error { return os.WriteFile(at("new"), []byte("hallo"), 0o644) },
		"replaced": func() error {
			return errors.Join(os.Remove(at("replaced")), os.WriteFile(at("replaced"), []byte("jello"), 0o644))
		},
	}
	change["empty grows"] = func() error { return os.WriteFile(at("empty grows"), []byte("hello"), 0o644) }
	paths := []string{at("stays")}
	for name := range change {
		paths = append(paths, at(name))
	}
	for _, path := range paths {
		must(t, os.WriteFile(path, []byte("hello"), 0o644))
	}
	must(t, os.Truncate(at("empty grows"), 0))
	p := newStrictPeer(t, false)
	p.answer = func(offer) int {
		time.Sleep(20 * time.Millisecond) // so that the times differ
		for _, f := range change {
			_ = f()
		}
		return 200
	}
	tr, err := l.Offer(t.Context(), l.find(t, p), paths...)
	must(t, err)
	end, err := l.Wait(t.Context(), tr.ID)
	if err != nil || end.State != engine.Delivered || end.LeftOut != int64(len(change)) || end.Files != 1 || end.Bytes != 5 {
		t.Errorf("%+v %v", end, err)
	}
	same(t, p.files(), map[string]string{"stays": "hello"})
}

// TestSend_EarlyAnswer checks that a receiver that confirms a file before it has all of it is not believed.
func TestSend_EarlyAnswer(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "big")
	must(t, os.WriteFile(file, make([]byte, 64<<20), 0o644))
	p := newStrictPeer(t, false)
	p.break_ = func(string) int { return http.StatusOK }
	tr, err := l.Offer(t.Context(), l.find(t, p), file)
	must(t, err)
	end, err := l.Wait(t.Context(), tr.ID)
	if err != nil || end.State == engine.Delivered {
		t.Errorf("%+v %v", end, err)
	}
}

// TestSend_PlainIsNeverProven checks that a device that is spoken to in plain text is not the one whose key is known, and
// that its request does not make the known one be spoken to in plain text.
func TestSend_PlainIsNeverProven(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	must(t, c.send(map[string]string{"a": "hello"}))
	proven := engine.GatewayPeerID(Name, c.own)
	eventually(t, func() bool { return l.Trust(proven) == engine.TrustSeen })
	plain := newStrictPeer(t, true)
	for _, how := range []string{"prepare-upload", "register"} {
		o := c.offerOf(map[string]string{"b": "hello"})
		o.Info.Protocol, o.Info.Port = "http", int(plain.device.Addr.Port())
		if how == "register" {
			c.json(t.Context(), how, o.Info)
		} else {
			c.prepare(o)
		}
		if p, _ := l.Peer(proven); p.Plain || len(p.Addrs) > 0 && p.Addrs[0] == plain.device.Addr {
			t.Errorf("%s: %+v", how, p)
		}
	}
	eventually(t, func() bool {
		p, ok := l.Peer(engine.GatewayPeerID(Name, plain.device.Key))
		return ok && p.Plain && !p.Confirmed
	})
}

// TestSend_PINStaysHere checks that the PIN that is asked of others is given to no one, and the one to give only to
// devices that have proven a key.
func TestSend_PINStaysHere(t *testing.T) {
	for what, c := range map[string]struct {
		opts  Options
		plain bool
	}{"asked here": {Options{PIN: "735291"}, false}, "plain": {Options{GivePIN: "735291"}, true}} {
		l := newLab(t, c.opts)
		p := newStrictPeer(t, c.plain)
		p.pin = "735291"
		results, err := l.Send(t.Context(), map[string]string{"text": "x"}, l.find(t, p))
		if err != nil || results[0].Err == nil {
			t.Errorf("%s: it was given: %v %v", what, results, err)
		}
	}
}

// TestDevices_GoneOnesAreLost checks that a device that does not answer any more leaves the list.
func TestDevices_GoneOnesAreLost(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	id := l.find(t, p)
	l.gateway.devices.check(t.Context())
	if _, here := l.Peer(id); !here {
		t.Error("it left while it answered")
	}
	p.server.Close()
	for range checkFailures {
		if _, here := l.Peer(id); !here {
			t.Error("it left too early")
		}
		l.gateway.devices.check(t.Context())
	}
	if _, here := l.Peer(id); here {
		t.Error("it is still there")
	}
}

// TestDevices_ClaimsAreChecked checks that a description counts only when the device proves the key in it.
func TestDevices_ClaimsAreChecked(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	c := newClient(t, l.port, true)
	claim := p.info()
	claim.Fingerprint = strings.Repeat("AB", 32)
	if code, _ := c.json(t.Context(), "register", claim); code != http.StatusOK {
		t.Errorf("register: %d", code)
	}
	eventually(t, func() bool { return len(l.gateway.devices.slots) == 0 })
	claim = p.info() // true, and reported by another device
	if code, _ := c.json(t.Context(), "register", claim); code != http.StatusOK {
		t.Errorf("register: %d", code)
	}
	eventually(t, func() bool { return len(l.Peers()) > 0 })
	time.Sleep(200 * time.Millisecond)
	if list := l.Peers(); len(list) != 1 || list[0].ID != engine.GatewayPeerID(Name, p.device.Key) {
		t.Errorf("%+v", list)
	}
}

func TestHidden_NothingIsOpen(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	must(t, l.SetVisible(engine.VisibleToNobody, 0))
	eventually(t, func() bool {
		code, _ := c.json(t.Context(), "register", deviceInfo{Alias: "x", Version: "2.1"})
		return code == 0
	})
	must(t, l.SetVisible(engine.VisibleToAll, 0))
	eventually(t, func() bool { return l.gateway.info().Port != 0 })
}

// TestHidden_WhatIsBeingReceivedGoesOn checks that hiding does not interrupt a session.
func TestHidden_WhatIsBeingReceivedGoesOn(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	a, code := c.prepare(c.offerOf(map[string]string{"a": "hello", "b": "world"}))
	if code != http.StatusOK || c.upload(a, idOf("a"), strings.NewReader("hello")) != http.StatusOK {
		t.Fatal(code)
	}
	must(t, l.SetVisible(engine.VisibleToNobody, 0))
	other := newClient(t, l.port, true)
	eventually(t, func() bool { _, code := other.prepare(other.offerOf(map[string]string{"c": "x"})); return code == 409 })
	if code := c.upload(a, idOf("b"), strings.NewReader("world")); code != http.StatusOK {
		t.Errorf("upload: %d", code)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello", "b": "world"})
}

func TestKey_IsKept(t *testing.T) {
	dir := t.TempDir()
	a, err := New(Options{Dir: dir})
	must(t, err)
	b, err := New(Options{Dir: dir})
	must(t, err)
	if a.Fingerprint() != b.Fingerprint() || len(a.Fingerprint()) != 64 {
		t.Errorf("%s, %s", a.Fingerprint(), b.Fingerprint())
	}
	st, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	must(t, os.WriteFile(filepath.Join(dir, keyFile), []byte("x"), 0o600))
	if _, err := New(Options{Dir: dir}); err == nil {
		t.Error("a damaged key was used")
	}
	if VerificationText("B", "A") != "AB" || VerificationText("A", "B") != "AB" {
		t.Error("verification text")
	}
}

var _ engine.Gateway = (*Gateway)(nil)
