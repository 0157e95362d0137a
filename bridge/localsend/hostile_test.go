package localsend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
)

// TestHostile_Offers checks that offers that make no sense are refused before a person is asked.
func TestHostile_Offers(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	offerOf := func(files string) string {
		return `{"info":{"alias":"x","version":"2.1","fingerprint":"x"},"files":` + files + `}`
	}
	file := func(name string, size any, more string) string {
		return fmt.Sprintf(`{"1":{"id":"1","fileName":%q,"size":%v%s}}`, name, size, more)
	}
	for what, body := range map[string]string{
		"empty":             "",
		"not JSON":          "hello",
		"no files":          offerOf(`{}`),
		"files as a list":   offerOf(`[]`),
		"null":              offerOf(`null`),
		"parent":            offerOf(file("../x", 1, "")),
		"deep parent":       offerOf(file("a/../../x", 1, "")),
		"absolute":          offerOf(file("/etc/passwd", 1, "")),
		"empty name":        offerOf(file("", 1, "")),
		"empty part":        offerOf(file("a//b", 1, "")),
		"dot":               offerOf(file(".", 1, "")),
		"trailing slash":    offerOf(file("a/", 1, "")),
		"backslash":         offerOf(file(`a\..\b`, 1, "")),
		"drive":             offerOf(file(`C:\x`, 1, "")),
		"zero byte":         offerOf(file("a\x00b", 1, "")),
		"long name":         offerOf(file(strings.Repeat("n", 300), 1, "")),
		"deep":              offerOf(file(strings.Repeat("d/", 101)+"x", 1, "")),
		"negative":          offerOf(file("a", -1, "")),
		"huge":              offerOf(file("a", 1<<49, "")),
		"beyond 64 bits":    offerOf(file("a", "99999999999999999999", "")),
		"a fraction":        offerOf(file("a", 1.5, "")),
		"digest too short":  offerOf(file("a", 1, `,"sha256":"abcd"`)),
		"digest no hex":     offerOf(file("a", 1, `,"sha256":"`+strings.Repeat("zz", 32)+`"`)),
		"no ID":             offerOf(`{"":{"fileName":"a","size":1}}`),
		"long ID":           offerOf(`{"` + strings.Repeat("i", 201) + `":{"fileName":"a","size":1}}`),
		"deep JSON":         offerOf(strings.Repeat(`{"a":`, 20_000)),
		"name as an object": offerOf(`{"1":{"fileName":{},"size":1}}`),
	} {
		if code, _ := c.post(t.Context(), "prepare-upload", strings.NewReader(body)); code != http.StatusBadRequest {
			t.Errorf("%s: %d", what, code)
		}
	}
	if n := l.asked.Load(); n != 0 {
		t.Errorf("a person was asked %d times", n)
	}
}

// TestHostile_ManyFiles checks that an offer of countless files is refused without the memory that they would take.
func TestHostile_ManyFiles(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	var b bytes.Buffer
	b.WriteString(`{"info":{"alias":"x","version":"2.1"},"files":{`)
	for i := range 1 << 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%x":{}`, i)
	}
	b.WriteString("}}")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if code, _ := c.post(t.Context(), "prepare-upload", &b); code != http.StatusBadRequest {
		t.Errorf("%d", code)
	}
	runtime.ReadMemStats(&after)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
		t.Errorf("it took %d MB", mb)
	}
	if code, _ := c.post(t.Context(), "prepare-upload", io.LimitReader(endless{}, 64<<20)); code == http.StatusOK {
		t.Error("an endless offer was accepted")
	}
}

// endless is a stream of spaces.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// TestHostile_UploadsOfOthers checks that a token serves the device that got it alone, and that file alone.
func TestHostile_UploadsOfOthers(t *testing.T) {
	l := newLab(t, Options{})
	c, other, bare := newClient(t, l.port, true), newClient(t, l.port, true), newClient(t, l.port, false)
	a, code := c.prepare(c.offerOf(map[string]string{"a": "hello", "b": "world"}))
	if code != http.StatusOK {
		t.Fatal(code)
	}
	for what, who := range map[string]*client{"another certificate": other, "no certificate": bare} {
		if code := who.upload(a, idOf("a"), strings.NewReader("hello")); code != http.StatusForbidden {
			t.Errorf("%s: %d", what, code)
		}
		if code, _ := who.post(t.Context(), "cancel?sessionId="+a.SessionID, strings.NewReader("")); code != http.StatusForbidden {
			t.Errorf("%s: cancel: %d", what, code)
		}
		if code, _ := who.post(t.Context(), "cancel", strings.NewReader("")); code != http.StatusForbidden {
			t.Errorf("%s: cancel without an ID: %d", what, code)
		}
	}
	for what, query := range map[string]string{
		"no token":            "fileId=" + idOf("a"),
		"token of another":    "fileId=" + idOf("a") + "&token=" + a.Files[idOf("b")],
		"a file not offered":  "fileId=zz&token=" + a.Files[idOf("b")],
		"an empty file ID":    "fileId=&token=",
		"a part of the token": "fileId=" + idOf("a") + "&token=" + a.Files[idOf("a")][:5],
	} {
		if code, _ := c.post(t.Context(), "upload?sessionId="+a.SessionID+"&"+query, strings.NewReader("hello")); code != http.StatusForbidden {
			t.Errorf("%s: %d", what, code)
		}
	}
	if code := c.upload(a, idOf("a"), strings.NewReader("hello")); code != http.StatusOK {
		t.Errorf("its own: %d", code)
	}
	if code := c.upload(a, idOf("a"), strings.NewReader("hello")); code != http.StatusForbidden {
		t.Errorf("twice: %d", code)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
}

// TestHostile_AttemptsAreLimited checks that a file may be tried again, and not for ever.
func TestHostile_AttemptsAreLimited(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	o := c.offerOf(map[string]string{"a": "hello"})
	for id, f := range o.Files {
		f.SHA256 = ""
		o.Files[id] = f
	}
	a, code := c.prepare(o)
	if code != http.StatusOK {
		t.Fatal(code)
	}
	tries := 0
	for tries < 50 && c.upload(a, idOf("a"), strings.NewReader("he")) != http.StatusForbidden {
		tries++
	}
	if tries != maxAttempts {
		t.Errorf("%d attempts", tries)
	}
}

// TestHostile_SessionsAreLimited checks how many devices may ask or send at once.
func TestHostile_SessionsAreLimited(t *testing.T) {
	l := newLab(t, Options{})
	l.when(func(*engine.Offer) {})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan int, 40)
	for range 12 {
		c := newClient(t, l.port, true)
		must(t, l.SetTrust(engine.GatewayPeerID(Name, c.own), engine.TrustSeen)) // the engine allows strangers less
		go func() {
			code, _ := c.json(ctx, "prepare-upload", c.offerOf(map[string]string{"a": "hello"}))
			refused <- code
		}()
	}
	n := 0
	for n < 12 {
		select {
		case code := <-refused:
			if code != http.StatusConflict {
				t.Errorf("%d", code)
			}
			n++
			continue
		case <-time.After(time.Second):
		}
		break
	}
	l.gateway.sessions.mu.Lock()
	open := len(l.gateway.sessions.byKey)
	l.gateway.sessions.mu.Unlock()
	if open > maxSessions || open+n != 12 || n < 12-maxSessions {
		t.Errorf("%d wait, %d refused", open, n)
	}
	cancel()
}

// TestHostile_ParsingIsLimited checks how many offers are read at once.
func TestHostile_ParsingIsLimited(t *testing.T) {
	l := newLab(t, Options{})
	var open []*io.PipeWriter
	for range maxParsing {
		c := newClient(t, l.port, true)
		r, w := io.Pipe()
		open = append(open, w)
		go c.post(t.Context(), "prepare-upload", r)
		_, _ = w.Write([]byte(`{"info":`))
	}
	eventually(t, func() bool {
		l.gateway.sessions.mu.Lock()
		defer l.gateway.sessions.mu.Unlock()
		return l.gateway.sessions.parsing == maxParsing
	})
	c := newClient(t, l.port, true)
	if _, code := c.prepare(c.offerOf(map[string]string{"a": "hello"})); code != http.StatusConflict {
		t.Errorf("one more: %d", code)
	}
	for _, w := range open {
		_ = w.Close()
	}
	eventually(t, func() bool {
		_, code := c.prepare(c.offerOf(map[string]string{"a": "hello"}))
		return code == http.StatusOK
	})
}

// TestHostile_ConnectionsAreLimited checks that one address cannot keep countless connections open.
func TestHostile_ConnectionsAreLimited(t *testing.T) {
	l := newLab(t, Options{})
	at := fmt.Sprintf("127.0.0.1:%d", l.port)
	kept := 0
	for range 3 * maxConnsOfOne {
		c, err := net.Dial("tcp", at)
		must(t, err)
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			kept++
		}
	}
	if kept != maxConnsOfOne {
		t.Errorf("%d are open", kept)
	}
}

// TestHostile_WebPages checks that no page in a browser on this machine can use the server.
func TestHostile_WebPages(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, false)
	for _, what := range []string{"register", "prepare-upload", "cancel"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+what, strings.NewReader(`{"alias":"x","version":"2.1"}`))
		must(t, err)
		r.Header.Set("Origin", "https://example.org")
		res, err := c.http.Do(r)
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", what, res.StatusCode)
		}
	}
	if n := len(l.Peers()); n != 0 {
		t.Errorf("%d devices", n)
	}
}

// TestHostile_Claims checks that descriptions cause few requests, none beyond this machine's networks, and few devices.
func TestHostile_Claims(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	ds := l.gateway.devices
	far := p.info()
	ds.probe(netip.MustParseAddr("203.0.113.1"), far)
	if n := len(ds.slots); n != 0 {
		t.Error("it asks a device that is not near")
	}
	began := time.Now()
	for range 1000 {
		ds.probe(p.device.Addr.Addr(), p.info())
	}
	if tokens := ds.limit.Tokens(); tokens > 5+probeRate*time.Since(began).Seconds() {
		t.Errorf("%.0f more requests are possible", tokens)
	}
	for i := range 2 * maxDevices {
		ds.found(engine.Device{Key: fmt.Sprint(i), Name: "x", Addr: netip.AddrPortFrom(p.device.Addr.Addr(), uint16(i+1)), Proven: true, Encrypted: true}, schemeTLS)
	}
	if n := len(l.Peers()); n > maxDevices {
		t.Errorf("%d devices", n)
	}
}

// TestHostile_Answers checks that what a device answers does no harm.
func TestHostile_Answers(t *testing.T) {
	for what, body := range map[string]string{
		"not JSON": "hello", "tokens of no session": `{"files":{"0":"t"}}`, "no tokens": `{"sessionId":"s","files":{}}`,
		"endless": `{"sessionId":"` + strings.Repeat("s", 20<<20) + `"}`, "a session that splits": `{"sessionId":"a&token=b\r\nX: y","files":{"0":"t&x=\r\n"}}`,
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST "+apiPath+"prepare-upload", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		mux.HandleFunc("POST "+apiPath+"upload", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X") != "" {
				t.Errorf("%s: a header was injected", what)
			}
			fail(w, http.StatusForbidden, "no")
		})
		l := newLab(t, Options{})
		id := l.answeredBy(t, mux)
		results, err := l.Send(t.Context(), map[string]string{"text": "x"}, id)
		if err != nil || results[0].Err == nil && what != "no tokens" {
			t.Errorf("%s: %v %v", what, results, err)
		}
	}
}

func (l *lab) answeredBy(t *testing.T, mux *http.ServeMux) engine.PeerID {
	t.Helper()
	p := newStrictPeer(t, true)
	p.server.Config.Handler = mux
	mux.HandleFunc("POST "+apiPath+"register", p.register)
	mux.HandleFunc("POST "+apiPath+"cancel", p.cancel)
	return l.find(t, p)
}
