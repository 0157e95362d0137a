package localsend

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine/gateway"
)

// strictPeer demands what LocalSend 1.18 demands of senders: a client certificate, requested in a way that makes
// clients withhold certificates of other issuers; HTTP/1.1; one session at a time, until it is cancelled; and exact
// sizes.
type strictPeer struct {
	t      *testing.T
	server *httptest.Server
	own    tls.Certificate
	device gateway.Device

	answer func(o offer) int // the person's decision: 200, 204 or 403; nil accepts. It may block.
	pin    string
	texts  bool // it shows texts and answers 204
	// wantsNone: it accepts offers without wanting a file.
	wantsNone bool
	break_    func(id string) int
	before    func(id string) // called when an upload begins
	// sessionID replaces the ID of a session; tokenTail is appended to each token.
	sessionID, tokenTail string

	mu         sync.Mutex
	session    string
	tokens     map[string]string
	offer      offer
	got        map[string]string // content by name
	from       string            // fingerprint of the sender
	cancels    int
	asked      int
	registered int // register requests that describe another device
}

// newStrictPeer starts a peer. plain turns its encryption off.
func newStrictPeer(t *testing.T, plain bool) *strictPeer {
	t.Helper()
	return newStrictPeerAt(t, plain, "127.0.0.1:0")
}

// newStrictPeerAt starts a peer at an address.
func newStrictPeerAt(t *testing.T, plain bool, address string) *strictPeer {
	t.Helper()
	own, err := loadCertificate("")
	if err != nil {
		t.Fatal(err)
	}
	p := &strictPeer{t: t, own: own, texts: true, got: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+apiPath+"register", p.register)
	mux.HandleFunc("GET "+apiPath+"info", func(w http.ResponseWriter, _ *http.Request) { _ = reply(w, p.info()) })
	mux.HandleFunc("POST "+apiPath+"prepare-upload", p.prepare)
	mux.HandleFunc("POST "+apiPath+"upload", p.upload)
	mux.HandleFunc("POST "+apiPath+"cancel", p.cancel)
	p.server = httptest.NewUnstartedServer(mux)
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if address != "127.0.0.1:0" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.server.Listener.Close()
		p.server.Listener = listener
	}
	if plain {
		p.server.Start()
	} else {
		other, err := loadCertificate("") // the list of issuers contains only an unknown one
		if err != nil {
			t.Fatal(err)
		}
		issuer, err := x509.ParseCertificate(other.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		issuers := x509.NewCertPool()
		issuers.AddCert(issuer)
		p.server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert, ClientCAs: issuers, NextProtos: []string{"http/1.1"}}
		p.server.StartTLS()
	}
	t.Cleanup(p.server.Close)
	at := p.server.Listener.Addr().(*net.TCPAddr).AddrPort()
	p.device = gateway.Device{Key: fingerprintOf(own.Certificate[0]), Name: "Strict", Addr: at, Proven: true, Encrypted: true}
	if plain {
		p.device.Key, p.device.Proven, p.device.Encrypted = unprovenKey(at.Addr()), false, false
	}
	return p
}

func (p *strictPeer) info() deviceInfo {
	return deviceInfo{Alias: "Strict", Version: "2.1", Fingerprint: fingerprintOf(p.own.Certificate[0]), Port: int(p.device.Addr.Port()), Protocol: schemeTLS}
}

func (p *strictPeer) register(w http.ResponseWriter, r *http.Request) {
	i, err := parseInfo(r.Body)
	p.mu.Lock()
	p.registered++
	p.mu.Unlock()
	if err != nil {
		fail(w, http.StatusBadRequest, "no")
		return
	}
	if r.TLS != nil && i.Fingerprint != fingerprintOf(r.TLS.PeerCertificates[0].Raw) {
		p.t.Errorf("it says %s and proves %s", i.Fingerprint, fingerprintOf(r.TLS.PeerCertificates[0].Raw))
	}
	_ = reply(w, p.info())
}

func (p *strictPeer) prepare(w http.ResponseWriter, r *http.Request) {
	if p.pin != "" && r.URL.Query().Get("pin") != p.pin {
		fail(w, http.StatusUnauthorized, "PIN required")
		return
	}
	var o offer
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || len(o.Files) == 0 {
		fail(w, http.StatusBadRequest, "no")
		return
	}
	p.mu.Lock()
	p.asked++
	busy := p.session != ""
	p.mu.Unlock()
	if busy {
		fail(w, http.StatusConflict, "Blocked by another session")
		return
	}
	if text, ok := o.text(); ok && p.texts {
		p.mu.Lock()
		p.got["(text)"] = text
		p.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if p.answer != nil {
		switch code := p.answer(o); code {
		case http.StatusOK:
		case http.StatusNoContent:
			w.WriteHeader(code)
			return
		default:
			fail(w, code, "Rejected")
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.offer, p.tokens = cmp.Or(p.sessionID, "session-"+strconv.Itoa(p.asked)), o, map[string]string{}
	if r.TLS != nil {
		p.from = fingerprintOf(r.TLS.PeerCertificates[0].Raw)
	}
	for id := range o.Files {
		if !p.wantsNone {
			p.tokens[id] = "token-" + id + p.tokenTail
		}
	}
	_ = reply(w, acceptance{SessionID: p.session, Files: p.tokens})
}

func (p *strictPeer) upload(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("fileId")
	p.mu.Lock()
	f, known := p.offer.Files[id]
	right := known && p.session == q.Get("sessionId") && p.tokens[id] == q.Get("token") && p.tokens[id] != ""
	p.mu.Unlock()
	if !right {
		fail(w, http.StatusForbidden, "Invalid token")
		return
	}
	if p.before != nil {
		p.before(id)
	}
	if p.break_ != nil {
		if code := p.break_(id); code != 0 {
			fail(w, code, "broken")
			return
		}
	}
	content, err := io.ReadAll(r.Body)
	if err != nil || int64(len(content)) != f.Size { // as for a body that was cut off
		fail(w, http.StatusInternalServerError, "size")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got[f.FileName] = string(content)
	delete(p.tokens, id)
	if len(p.tokens) == 0 {
		p.session = ""
	}
}

func (p *strictPeer) cancel(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancels++
	p.session = ""
	_ = reply(w, struct{}{})
}

func (p *strictPeer) files() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	for name, content := range p.got {
		out[name] = content
	}
	return out
}

// client sends to a gateway, as LocalSend does.
type client struct {
	t       *testing.T
	http    *http.Client
	base    string
	own     string // fingerprint; empty without a certificate
	chunked bool   // as 1.18 does; 1.17 sends Content-Length
}

// newClientFrom is newClient with a certificate, from an address of loopback.
func newClientFrom(t *testing.T, port int, from string) *client {
	t.Helper()
	c := newClient(t, port, true)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c.http.Transport.(*http.Transport).DialContext = dialer.DialContext
	return c
}

// newClient returns a client with a certificate of its own, or without one.
func newClient(t *testing.T, port int, certified bool) *client {
	t.Helper()
	c := &client{t: t, base: "https://127.0.0.1:" + strconv.Itoa(port) + apiPath, chunked: true}
	config := &tls.Config{InsecureSkipVerify: true}
	if certified {
		own, err := loadCertificate("")
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{own}
		c.own = fingerprintOf(own.Certificate[0])
	}
	transport := &http.Transport{TLSClientConfig: config, MaxConnsPerHost: 4}
	c.http = &http.Client{Transport: transport, Timeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

func (c *client) post(ctx context.Context, path string, body io.Reader) (int, []byte) {
	c.t.Helper()
	if c.chunked {
		body = struct{ io.Reader }{body} // hides the length
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, body)
	if err != nil {
		c.t.Error(err)
		return 0, nil
	}
	res, err := c.http.Do(r)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, b
}

func (c *client) json(ctx context.Context, path string, v any) (int, []byte) {
	c.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.t.Error(err)
	}
	return c.post(ctx, path, bytes.NewReader(b))
}

// offerOf describes files by name.
func (c *client) offerOf(contents map[string]string) offer {
	o := offer{Info: deviceInfo{Alias: "Nice Orange", Version: "2.1", Fingerprint: c.own, Port: 1}, Files: files{}}
	for name, content := range contents {
		sum := sha256.Sum256([]byte(content))
		id := idOf(name)
		o.Files[id] = fileInfo{ID: id, FileName: name, Size: int64(len(content)), FileType: "application/octet-stream", SHA256: hex.EncodeToString(sum[:])}
	}
	return o
}

// idOf returns the ID that tests give to a file. It needs no percent-encoding, which LocalSend does not do.
func idOf(name string) string { return "id-" + hex.EncodeToString([]byte(name)) }

// prepare sends an offer, and returns the tokens.
func (c *client) prepare(o offer) (acceptance, int) {
	c.t.Helper()
	code, b := c.json(context.Background(), "prepare-upload", o)
	var a acceptance
	if code == http.StatusOK {
		if err := json.Unmarshal(b, &a); err != nil {
			c.t.Errorf("%s: %v", b, err)
		}
	}
	return a, code
}

func (c *client) upload(a acceptance, id string, body io.Reader) int {
	c.t.Helper()
	code, _ := c.post(context.Background(), "upload?sessionId="+a.SessionID+"&fileId="+id+"&token="+a.Files[id], body)
	return code
}

// send offers contents and uploads all of them, several at once.
func (c *client) send(contents map[string]string) error {
	o := c.offerOf(contents)
	a, code := c.prepare(o)
	if code != http.StatusOK {
		return errors.New("prepare-upload: " + strconv.Itoa(code))
	}
	var running sync.WaitGroup
	failed := make(chan error, len(o.Files))
	for id, f := range o.Files {
		running.Go(func() {
			if code := c.upload(a, id, strings.NewReader(contents[f.FileName])); code != http.StatusOK {
				failed <- errors.New(f.FileName + ": " + strconv.Itoa(code))
			}
		})
	}
	running.Wait()
	close(failed)
	return <-failed
}
