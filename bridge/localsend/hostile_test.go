package localsend

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
)

// TestHostile_Offers checks that invalid offers are refused before a person is asked.
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
		"file and folder":   offerOf(`{"1":{"fileName":"a/b","size":1},"2":{"fileName":"c","size":1},"3":{"fileName":"a","size":1}}`),
		"long alias":        `{"info":{"alias":"` + strings.Repeat("x", maxAlias+1) + `","version":"2.1"},"files":` + file("a", 1, "") + `}`,
	} {
		if code, _ := c.post(t.Context(), "prepare-upload", strings.NewReader(body)); code != http.StatusBadRequest {
			t.Errorf("%s: %d", what, code)
		}
	}
	if n := l.asked.Load(); n != 0 {
		t.Errorf("a person was asked %d times", n)
	}
}

// TestHostile_ManyFiles checks that an offer of countless files is refused before it takes much memory.
func TestHostile_ManyFiles(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	var b bytes.Buffer
	b.WriteString(`{"info":{"alias":"x","version":"2.1"},"files":{`)
	for i := range 300_000 {
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
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 60 {
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

// TestHostile_UploadsOfOthers checks that a token is valid only for the device that got it, and only for its file.
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

// TestHostile_AttemptsAreLimited checks that a file may be tried again, but not forever.
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
		must(t, l.SetTrust(gateway.PeerID(Name, c.own), engine.TrustSeen)) // the engine allows strangers less
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

// TestHostile_ParsingIsLimited checks that endless offers do not delay other devices.
func TestHostile_ParsingIsLimited(t *testing.T) {
	t.Parallel() // it waits for a time limit
	l := newLab(t, Options{})
	slow, same, other := newClient(t, l.port, true), newClient(t, l.port, true), newClientFrom(t, l.port, "127.0.0.2")
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		slow.post(t.Context(), "prepare-upload", r)
	}()
	_, _ = w.Write([]byte(`{"info":`))
	eventually(t, func() bool {
		l.gateway.sessions.mu.Lock()
		defer l.gateway.sessions.mu.Unlock()
		return len(l.gateway.sessions.parsing) == 1
	})
	if _, code := same.prepare(same.offerOf(map[string]string{"a": "hello"})); code != http.StatusConflict {
		t.Errorf("from the same address: %d", code)
	}
	if _, code := other.prepare(other.offerOf(map[string]string{"a": "hello"})); code != http.StatusOK {
		t.Errorf("from another address: %d", code)
	}
	l.gateway.sessions.mu.Lock()
	for i := range maxParsing { // strangers take all their slots
		l.gateway.sessions.parsing[fmt.Sprint(i)] = true
	}
	l.gateway.sessions.mu.Unlock()
	if err := l.SetTrust(gateway.PeerID(Name, same.own), engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	if _, code := same.prepare(same.offerOf(map[string]string{"a": "hello"})); code != http.StatusOK {
		t.Errorf("a known device from the same address: %d", code)
	}
	began := time.Now()
	<-ended
	if d := time.Since(began); d > parseFor+5*time.Second {
		t.Errorf("it lasted %v", d)
	}
	_ = w.Close()
}

// TestHostile_TrailingData checks that nothing may follow an offer in its request: a server notices that the sender has
// gone only after it has read the request to the end.
func TestHostile_TrailingData(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	offer, _ := json.Marshal(c.offerOf(map[string]string{"a": "hello"}))
	for what, after := range map[string]string{"an object": "{}", "text": "x"} {
		if code, _ := c.post(t.Context(), "prepare-upload", io.MultiReader(bytes.NewReader(offer), strings.NewReader(after))); code != http.StatusBadRequest {
			t.Errorf("%s: %d", what, code)
		}
	}
	asked := make(chan struct{}, 1)
	l.when(func(*engine.Offer) { asked <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	go c.post(ctx, "prepare-upload", io.MultiReader(bytes.NewReader(offer), strings.NewReader(strings.Repeat(" ", 8<<10))))
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("no one is asked")
	}
	cancel()
	eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
}

// TestHostile_EqualPaths checks that an offer of many files with the same name is parsed quickly.
func TestHostile_EqualPaths(t *testing.T) {
	l := newLab(t, Options{})
	l.when(func(o *engine.Offer) { _ = o.Decline() })
	c := newClient(t, l.port, true)
	o := offer{Info: deviceInfo{Alias: "x", Version: "2.1"}, Files: files{}}
	for i := range maxFiles {
		o.Files[fmt.Sprint(i)] = fileInfo{FileName: "same (2).txt", Size: 1}
	}
	began := time.Now()
	if _, code := c.prepare(o); code != http.StatusForbidden {
		t.Errorf("%d", code)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestHostile_StrangersLeaveSessions checks that neither strangers nor one address can use up all sessions.
func TestHostile_StrangersLeaveSessions(t *testing.T) {
	l := newLab(t, Options{})
	asked := make(chan struct{}, 20)
	l.when(func(*engine.Offer) { asked <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	taken := 0
	for i := range 12 {
		c := newClientFrom(t, l.port, fmt.Sprintf("127.0.0.%d", 2+i/4))
		go c.json(ctx, "prepare-upload", c.offerOf(map[string]string{"a": "hello"}))
		select {
		case <-asked:
			taken++
		case <-time.After(300 * time.Millisecond):
		}
	}
	if taken != maxOfStrangers {
		t.Errorf("strangers have %d sessions", taken)
	}
	known := newClientFrom(t, l.port, "127.0.0.2")
	must(t, l.SetTrust(gateway.PeerID(Name, known.own), engine.TrustSeen))
	go known.json(ctx, "prepare-upload", known.offerOf(map[string]string{"a": "hello"}))
	select {
	case <-asked:
	case <-time.After(5 * time.Second):
		t.Error("a known device is refused")
	}
	cancel()
	eventually(t, func() bool {
		l.gateway.sessions.mu.Lock()
		defer l.gateway.sessions.mu.Unlock()
		return len(l.gateway.sessions.byKey) == 0
	})
}

// TestHostile_GhostsLeave checks that nonexistent devices take few slots, and disappear from the list.
func TestHostile_GhostsLeave(t *testing.T) {
	l := newLab(t, Options{})
	l.when(func(o *engine.Offer) { _ = o.Decline() })
	for i := range 20 {
		c := newClient(t, l.port, true)
		o := c.offerOf(map[string]string{"a": "hello"})
		o.Info.Port = 60_000 + i
		c.prepare(o)
	}
	if n := len(l.Peers()); n != maxDeclined { // after that the person is not asked any more
		t.Errorf("%d devices", n)
	}
	for i := range 20 {
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(61_000+i))
		l.gateway.devices.found(gateway.Device{Key: fmt.Sprint(i), Name: "x", Addr: at, Proven: true, Encrypted: true})
	}
	if n := len(l.Peers()); n != maxDevicesAtOne {
		t.Errorf("%d devices at one address", n)
	}
	for range checkFailures {
		l.gateway.devices.check(t.Context())
	}
	if n := len(l.Peers()); n != 0 {
		t.Errorf("%d ghosts are left", n)
	}
}

// TestHostile_SilentConnectionsEnd checks that a request whose body never arrives does not keep its connection.
func TestHostile_SilentConnectionsEnd(t *testing.T) {
	t.Parallel() // it waits for a time limit
	l := newLab(t, Options{})
	c := newClient(t, l.port, false)
	var running sync.WaitGroup
	defer running.Wait()
	for _, what := range []string{"POST " + apiPath + "cancel", "GET /x", "POST " + apiPath + "register"} {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port), c.http.Transport.(*http.Transport).TLSClientConfig)
		must(t, err)
		_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\nx", what)
		must(t, err)
		running.Go(func() {
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(headerTimeout + 10*time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: it is still open", what)
			}
		})
	}
}

// TestHostile_HidingEndsOffers checks that an unanswered offer does not keep a hidden device visible.
func TestHostile_HidingEndsOffers(t *testing.T) {
	l := newLab(t, Options{})
	asked := make(chan struct{}, 1)
	l.when(func(*engine.Offer) { asked <- struct{}{} })
	c := newClient(t, l.port, true)
	go c.prepare(c.offerOf(map[string]string{"a": "hello"}))
	<-asked
	must(t, l.SetVisible(engine.VisibleToNobody, 0))
	eventually(t, func() bool { return l.gateway.info().Port == 0 })
	p := newStrictPeer(t, false)
	l.gateway.devices.probe(p.device.Addr.Addr(), p.info())
	if n := len(l.gateway.devices.slots); n != 0 {
		t.Error("it answers an announcement")
	}
	must(t, l.SetVisible(engine.VisibleToAll, 0))
	eventually(t, func() bool { return l.gateway.info().Port != 0 })
}

// TestHostile_NamesChangeSeldom checks that a device cannot cause countless events.
func TestHostile_NamesChangeSeldom(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	events, ended := 0, make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	seq := l.WatchState(ctx)
	go func() {
		defer close(ended)
		for ev := range seq {
			if _, ok := ev.(engine.PeerChanged); ok {
				events++
			}
		}
	}()
	answered := 0
	for i := range 100 {
		code, _ := c.json(t.Context(), "register", deviceInfo{Alias: fmt.Sprint("n", i), Version: "2.1", Fingerprint: c.own, Port: 1})
		if code == http.StatusOK {
			answered++
		}
	}
	time.Sleep(100 * time.Millisecond)
	cancel()
	<-ended
	if answered > registerBurst+5 || events > 3 {
		t.Errorf("%d answers, %d events", answered, events)
	}
}

// TestHostile_TextIsWhatIsSaved checks that the text that a person reads is the one that is saved.
func TestHostile_TextIsWhatIsSaved(t *testing.T) {
	l := newLab(t, Options{})
	notes := make(chan string, 2)
	l.when(func(o *engine.Offer) {
		notes <- o.Transfer.Note
		_ = o.Accept(engine.AcceptOptions{Dir: l.dir})
	})
	shown := "hello"
	for size, want := range map[int64]struct {
		note string
		code int
	}{5: {"hello", 422}, 11: {"", 200}} {
		c := newClient(t, l.port, true)
		o := offer{Info: deviceInfo{Alias: "x", Version: "2.1", Port: int(size)}, Files: files{"1": {FileName: fmt.Sprint("t", size), Size: size, FileType: "text/plain", Preview: &shown}}}
		a, code := c.prepare(o)
		if code != http.StatusOK {
			t.Fatal(code)
		}
		if note := <-notes; note != want.note {
			t.Errorf("size %d: shown %q", size, note)
		}
		if code := c.upload(a, "1", strings.NewReader("evil text!!"[:size])); code != want.code {
			t.Errorf("size %d: %d", size, code)
		}
	}
}

// TestHostile_ConnectionsAreLimited checks that one address cannot keep countless connections open.
func TestHostile_ConnectionsAreLimited(t *testing.T) {
	l := newLab(t, Options{})
	at := fmt.Sprintf("127.0.0.1:%d", l.port)
	var conns []net.Conn
	for range 3 * maxConnsOfOne {
		c, err := net.Dial("tcp", at)
		must(t, err)
		defer c.Close()
		conns = append(conns, c)
	}
	open := func() (n int) {
		for _, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(10 * time.Second); open() > maxConnsOfOne && time.Now().Before(end); { // they are accepted one by one
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	if kept := open(); kept != maxConnsOfOne {
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

// TestHostile_Claims checks that descriptions cause few requests and add few devices, and that no request leaves this
// machine's networks.
func TestHostile_Claims(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	ds := l.gateway.devices
	far := p.info()
	ds.takeAnnouncement(netip.MustParseAddr("203.0.113.1"), far)
	if n := len(ds.slots); n != 0 {
		t.Error("it asks a device that is not near")
	}
	began := time.Now()
	for range 5 * registerBurst {
		ds.takeAnnouncement(p.device.Addr.Addr(), p.info())
		eventually(t, func() bool { return len(ds.slots) == 0 })
	}
	p.mu.Lock()
	requests := p.registered
	p.mu.Unlock()
	if most := registerBurst + 1 + int(registerRate*time.Since(began).Seconds()); requests == 0 || requests > most {
		t.Errorf("%d requests, at most %d are allowed", requests, most)
	}
	for i := range 2 * maxDevices {
		at := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		ds.found(gateway.Device{Key: fmt.Sprint(i), Name: "x", Addr: netip.AddrPortFrom(at, 1), Proven: true, Encrypted: true})
	}
	if n := len(l.Peers()); n > maxDevices {
		t.Errorf("%d devices", n)
	}
	must(t, l.SetTrust(gateway.PeerID(Name, p.device.Key), engine.TrustSeen))
	if _, ok := ds.found(p.device); !ok {
		t.Error("strangers keep a known device out")
	}
}

// TestHostile_Answers checks that a device cannot do harm with its answers.
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
		if len(results) != 1 || err == nil && what != "no tokens" {
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
