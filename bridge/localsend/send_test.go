package localsend

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
)

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
		tr, err := l.OfferWith(t.Context(), id, engine.OfferOptions{Person: true}, paths...)
		must(t, err)
		end, err := l.ended(t, tr.ID)
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

// find makes the gateway find a peer by its address.
func (l *lab) find(t *testing.T, p *strictPeer) engine.PeerID {
	t.Helper()
	key, err := l.gateway.Find(t.Context(), p.device.Addr)
	must(t, err)
	if key != p.device.Key {
		t.Fatalf("key %s, want %s", key, p.device.Key)
	}
	return gateway.PeerID(Name, key)
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
		end, err := l.ended(t, tr.ID)
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

// TestSend_CancelledHere checks that the other side gets a cancel request when this side gives up, while waiting and
// during the transfer.
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
		end, err := l.ended(t, tr.ID)
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

// TestSend_ReceiverCancels checks that a cancel request from the receiver ends the transfer, and one from another
// device does not.
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
	end, err := l.ended(t, tr.ID)
	if err != nil || end.State != engine.Cancelled || !end.ByPeer {
		t.Errorf("%+v %v", end, err)
	}
	close(goOn)
}

// TestSend_GivesThePIN checks that a PIN is sent if the other device requires one, and a wrong one only once.
func TestSend_GivesThePIN(t *testing.T) {
	l := newLab(t, Options{GivePIN: "42"})
	for pin, want := range map[string]int{"42": 1, "43": 0} {
		p := newStrictPeer(t, false)
		p.pin = pin
		results, err := l.Send(t.Context(), map[string]string{"text": "see you"}, l.find(t, p))
		if len(results) != 1 || (err == nil) != (want == 1) || len(p.files()) != want {
			t.Errorf("PIN %s: %v %v", pin, results, err)
		}
	}
}

// TestSend_PINOfOneDevice gives a PIN to the device that has asked for it, and to no other.
func TestSend_PINOfOneDevice(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	send := func(p *strictPeer) engine.Transfer {
		tr, err := l.Offer(t.Context(), l.find(t, p), file)
		must(t, err)
		end, err := l.ended(t, tr.ID)
		must(t, err)
		return end
	}
	p, other := newStrictPeer(t, false), newStrictPeer(t, false)
	p.pin, other.pin = "42", "42"
	if end := send(p); !errors.Is(end.Err, ErrPIN) {
		t.Errorf("without a PIN: %v", end.Err)
	}
	must(t, l.gateway.GivePIN(p.device.Key, "42"))
	if end := send(p); end.State != engine.Delivered {
		t.Errorf("with it: %v", end.Err)
	}
	if end := send(other); !errors.Is(end.Err, ErrPIN) {
		t.Errorf("another device: %v", end.Err)
	}
	for _, bad := range []string{"a b", strings.Repeat("1", 65)} {
		if err := l.gateway.GivePIN(p.device.Key, bad); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := l.gateway.SetPIN(bad); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	must(t, l.gateway.SetPIN("7"))
	c := newClient(t, l.port, true)
	if _, code := c.prepare(c.offerOf(map[string]string{"a": "hello"})); code != 401 {
		t.Errorf("the own PIN is not asked for: %d", code)
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
	p := newStrictPeer(t, false)
	p.texts, p.wantsNone = false, true
	results, err := l.Send(t.Context(), map[string]string{"text": "see you"}, l.find(t, p))
	if !errors.Is(err, engine.ErrDeclined) || len(results) != 1 || len(p.files()) > 0 {
		t.Errorf("a text that was not wanted: %v %v", results, err)
	}
}

// TestSend_OtherKey checks that nothing is sent to a device whose key differs from that of the device that was found.
func TestSend_OtherKey(t *testing.T) {
	l := newLab(t, Options{})
	p, impostor := newStrictPeer(t, false), newStrictPeer(t, false)
	id := l.find(t, p)
	d := p.device
	d.Addr = impostor.device.Addr
	l.gateway.devices.record(d, true)
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	tr, err := l.Offer(t.Context(), id, file)
	must(t, err)
	end, err := l.ended(t, tr.ID)
	if err != nil || !errors.Is(end.Err, engine.ErrIdentity) || impostor.asked != 0 {
		t.Errorf("%+v %v, asked %d times", end, err, impostor.asked)
	}
}

// TestSend_FileChanges checks that a file that has changed since it was offered, or has disappeared, is reported as
// left out: a part of it never counts as delivered.
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
	end, err := l.ended(t, tr.ID)
	if err != nil || end.State != engine.Delivered || end.LeftOut != int64(len(change)) || end.Files != 1 || end.Bytes != 5 {
		t.Errorf("%+v %v", end, err)
	}
	same(t, p.files(), map[string]string{"stays": "hello"})
}

// TestSend_EarlyAnswer checks that a confirmation is not believed if it arrives before the receiver has the whole file.
func TestSend_EarlyAnswer(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "big")
	must(t, os.WriteFile(file, make([]byte, 64<<20), 0o644))
	p := newStrictPeer(t, false)
	p.break_ = func(string) int { return http.StatusOK }
	tr, err := l.OfferWith(t.Context(), l.find(t, p), engine.OfferOptions{Person: true}, file)
	must(t, err)
	end, err := l.ended(t, tr.ID)
	if err != nil || end.State == engine.Delivered {
		t.Errorf("%+v %v", end, err)
	}
}

// TestSend_PlainIsNeverProven checks that a device reached without encryption does not pass for the one whose key is
// known, and that its request does not turn off encryption with the known one.
func TestSend_PlainIsNeverProven(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	must(t, c.send(map[string]string{"a": "hello"}))
	proven := gateway.PeerID(Name, c.own)
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
		p, ok := l.Peer(gateway.PeerID(Name, plain.device.Key))
		return ok && p.Plain && !p.Confirmed
	})
}

// TestSend_PINStaysHere checks that the PIN that senders must enter is sent to no one, and that the PIN to give is sent
// only to devices that have proven a key.
func TestSend_PINStaysHere(t *testing.T) {
	for what, c := range map[string]struct {
		opts  Options
		plain bool
	}{"asked here": {Options{PIN: "735291"}, false}, "plain": {Options{GivePIN: "735291"}, true}} {
		l := newLab(t, c.opts)
		p := newStrictPeer(t, c.plain)
		p.pin = "735291"
		results, err := l.Send(t.Context(), map[string]string{"text": "x"}, l.find(t, p))
		if err == nil {
			t.Errorf("%s: it was given: %v %v", what, results, err)
		}
	}
}
