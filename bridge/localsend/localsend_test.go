package localsend

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/gateway"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is an engine with a gateway on loopback, and the decisions of its user.
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
	g.devices.questions = newSourceLimits(1000, 1000) // all clients of a test have one address
	l := &lab{gateway: g, dir: t.TempDir(), texts: make(chan engine.Message, 100)}
	l.Node = enginetest.New(t, time.Millisecond).Start(engine.Config{Name: "Laptop", Gateways: []gateway.Gateway{g}})
	l.accept()
	ctx, cancel := context.WithCancel(context.Background())
	seq, done := l.Watch(ctx), make(chan struct{})
	go func() {
		defer close(done)
		for ev := range seq {
			switch ev := ev.(type) {
			case *engine.Offer:
				l.asked.Add(1)
				(*l.decide.Load())(ev)
			case engine.Message:
				l.texts <- ev
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
	l.when(func(o *engine.Offer) { _ = o.Accept(engine.AcceptOptions{Dir: l.dir, Person: true}) })
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
			if err == nil && strings.HasPrefix(d.Name(), ".multipeer") { // incomplete files
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
	t.Fatal("the condition was never met")
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

// TestDevices_GoneOnesAreLost checks that a device that no longer answers leaves the list.
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
	if list := l.Peers(); len(list) != 1 || list[0].ID != gateway.PeerID(Name, p.device.Key) {
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

var _ gateway.Gateway = (*Gateway)(nil)

// ended waits until a transfer has ended, and returns it. The error is not the reason for its end, but a fault of Wait.
func (l *lab) ended(t *testing.T, id engine.TransferID) (engine.Transfer, error) {
	tr, err := l.Wait(t.Context(), id)
	if tr.State.Final() && (err == nil) == (tr.Err == nil && tr.LeftOut == 0) {
		return tr, nil
	}
	return tr, fmt.Errorf("Wait returned %w", err)
}

// TestGateway_OpensLocalSendsPortOnceItIsFree checks that a program or a connection that uses LocalSend's port when a
// gateway starts does not keep the gateway from it for good.
func TestGateway_OpensLocalSendsPortOnceItIsFree(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	wanted := portOfListener(other)
	l := newLab(t, Options{port: wanted})
	first := l.port
	if first == wanted {
		t.Fatalf("the gateway has the port %d of another program", wanted)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return l.gateway.Port() == wanted })
	for _, port := range []int{wanted, first} {
		answer, err := newClient(t, port, true).http.Get("https://127.0.0.1:" + strconv.Itoa(port) + apiPath + "info")
		if err != nil {
			t.Errorf("port %d: %v", port, err)
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("port %d answers %s", port, answer.Status)
		}
	}
}
