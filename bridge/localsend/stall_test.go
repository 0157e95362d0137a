package localsend

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/transfer"
)

// TestReceive_StallingSender: an upload without a byte for too long ends, and so does a session without uploads. A slow
// upload that takes longer in total arrives.
func TestReceive_StallingSender(t *testing.T) {
	l := newLab(t, Options{stalls: 400 * time.Millisecond})
	c := newClient(t, l.port, true)
	slow := strings.Repeat("x", 10)
	a, code := c.prepare(c.offerOf(map[string]string{"slow": slow}))
	if code != http.StatusOK {
		t.Fatal(code)
	}
	r, w := io.Pipe()
	go func() {
		for i := range slow {
			time.Sleep(100 * time.Millisecond)
			_, _ = w.Write([]byte(slow[i : i+1]))
		}
		_ = w.Close()
	}()
	if code := c.upload(a, idOf("slow"), r); code != http.StatusOK {
		t.Errorf("a slow upload: %d", code)
	}
	eventually(t, func() bool { return l.last().State == engine.Delivered })

	for what, bytes := range map[string]int{"in the middle": 5, "before the first byte": 0, "without an upload": -1} {
		l.dir = t.TempDir()
		a, code := c.prepare(c.offerOf(map[string]string{"stalls": "0123456789"}))
		if code != http.StatusOK {
			t.Fatal(what, code)
		}
		ended := make(chan struct{})
		r, w := io.Pipe()
		go func() {
			defer close(ended)
			if bytes >= 0 {
				c.upload(a, idOf("stalls"), r)
			}
		}()
		if bytes > 0 {
			_, _ = w.Write([]byte("0123456789")[:bytes])
		}
		eventually(t, func() bool { return l.last().State == engine.Failed })
		if err := l.last().Err; !errors.Is(err, engine.ErrLost) {
			t.Errorf("%s: %v", what, err)
		}
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
		<-ended
		same(t, l.inbox(t), map[string]string{})
		eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
	}
}

// TestSend_StallingReceiver: a receiver that reads nothing, or never answers, ends the transfer with a reason.
func TestSend_StallingReceiver(t *testing.T) {
	l := newLab(t, Options{stalls: 300 * time.Millisecond})
	for what, size := range map[string]int{"takes nothing": 30_000_000, "never answers": 10} {
		file := filepath.Join(t.TempDir(), "a")
		must(t, os.WriteFile(file, make([]byte, size), 0o644))
		p, goOn := newStrictPeer(t, false), make(chan struct{})
		p.before = func(string) { <-goOn }
		tr, err := l.Offer(t.Context(), l.find(t, p), file)
		must(t, err)
		end, err := l.ended(t, tr.ID)
		if err != nil || end.State != engine.Failed || !errors.Is(end.Err, transfer.ErrStalled) {
			t.Errorf("%s: %+v %v", what, end, err)
		}
		close(goOn)
	}
}

// TestInterfaces_OthersGetNoAnswer: a connection to an address of another interface is closed at once.
func TestInterfaces_OthersGetNoAnswer(t *testing.T) {
	all, err := net.Interfaces()
	must(t, err)
	at := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if at < 0 {
		t.Skip("no loopback interface")
	}
	for name, answers := range map[string]bool{all[at].Name: true, "none": false} {
		l := newLab(t, Options{Interfaces: []string{name}})
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(l.port))
		must(t, err)
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		if open := errors.Is(err, os.ErrDeadlineExceeded); open != answers {
			t.Errorf("on %s: open %v, %v", name, open, err)
		}
		_ = conn.Close()
	}
}
