package localsend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/internal/connlimit"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = time.Minute
)

// server returns the HTTP server. A request for prepare-upload waits for a person, so it has no time limit of its own.
func (g *Gateway) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/localsend/v1/info", g.handleInfo)
	mux.HandleFunc("GET "+apiPath+"info", g.handleInfo)
	mux.HandleFunc("POST "+apiPath+"register", g.handleRegister)
	mux.HandleFunc("POST "+apiPath+"prepare-upload", g.handlePrepare)
	mux.HandleFunc("POST "+apiPath+"upload", g.handleUpload)
	mux.HandleFunc("POST "+apiPath+"cancel", g.handleCancel)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limitBody(w, headerTimeout)       // also for bodies that no handler reads
			answerSoon(w)                     // also for what net/http itself writes; a later answer sets its own deadline
			if r.Header.Get("Origin") != "" { // guard: localsend-browsers
				fail(w, http.StatusForbidden, "Not for web pages")
				return
			}
			mux.ServeHTTP(w, r)
		}),
		ConnContext: connContext, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog:     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),      // anyone can cause these log lines
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2, like LocalSend
	}
}

// source is the sender of a request.
type source struct {
	addr        netip.Addr
	fingerprint string // of its certificate; empty if it has none
}

func sourceOf(r *http.Request) source {
	return source{addr: addrOf(r), fingerprint: proofOf(r).fingerprintOf(r.TLS)}
}

// proof is what a connection proves about its device. It is checked once for each connection: a signature can cost
// milliseconds, and a request a few bytes.
type proof struct {
	once        sync.Once
	fingerprint string
}

type proofKey struct{}

// connContext adds the proof of a connection to the context of its requests, and what connlimit needs.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(connlimit.Context(ctx, c), proofKey{}, &proof{})
}

func proofOf(r *http.Request) *proof {
	if p, ok := r.Context().Value(proofKey{}).(*proof); ok {
		return p
	}
	return &proof{} // not a request of this server
}

// fingerprintOf returns the fingerprint of the certificate of a connection; empty if it has none that is valid.
func (p *proof) fingerprintOf(state *tls.ConnectionState) string {
	p.once.Do(func() {
		if state != nil && len(state.PeerCertificates) > 0 && isValid(state.PeerCertificates[0]) {
			p.fingerprint = fingerprintOf(state.PeerCertificates[0].Raw)
		}
	})
	return p.fingerprint
}

// isValid reports whether LocalSend would accept a certificate: signed by its own key, and not expired.
func isValid(c *x509.Certificate) bool {
	now := time.Now()
	return c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil && !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

func addrOf(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// device returns the sender of a request, with its description of itself. A device that uses plain HTTP proves nothing,
// whatever certificate it has presented: anyone at its address would receive what is sent to it.
func (s source) device(i deviceInfo) gateway.Device {
	d := gateway.Device{Key: unprovenKey(s.addr), Name: i.Alias, Addr: portOf(s.addr, i.Port), Encrypted: i.encrypted()}
	if s.fingerprint != "" && d.Encrypted { // guard: localsend-plain
		d.Key, d.Proven = s.fingerprint, true
	}
	return d
}

// unprovenKey identifies a device without a certificate, by its address.
func unprovenKey(a netip.Addr) string { return "at " + a.String() }

func portOf(a netip.Addr, port int) netip.AddrPort {
	if port <= 0 || port > 65535 {
		port = DefaultPort
	}
	return netip.AddrPortFrom(a, uint16(port))
}

// reply answers a request. An error means that the other side has disconnected.
func reply(w http.ResponseWriter, v any) error {
	answerSoon(w)
	w.Header().Set("Content-Type", "application/json")
	return errors.Join(json.NewEncoder(w).Encode(v), http.NewResponseController(w).Flush())
}

// fail answers with an error in LocalSend's words.
func fail(w http.ResponseWriter, code int, message string) {
	answerSoon(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// answerSoon limits how long writing the answer to a request may take.
func answerSoon(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(headerTimeout))
}

// limitBody limits how long the body of a request may take.
func limitBody(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}

func (g *Gateway) handleInfo(w http.ResponseWriter, _ *http.Request) {
	if !g.visible() {
		fail(w, http.StatusForbidden, "Hidden")
		return
	}
	_ = reply(w, g.info())
}

// handleRegister takes a device's description, which is also its answer to our announcement.
func (g *Gateway) handleRegister(w http.ResponseWriter, r *http.Request) {
	if !g.visible() {
		fail(w, http.StatusForbidden, "Hidden")
		return
	}
	i, err := parseInfo(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, "Request body malformed")
		return
	}
	if i.Fingerprint == g.fingerprint {
		fail(w, http.StatusPreconditionFailed, "Self-discovered")
		return
	}
	from := sourceOf(r)
	if !g.devices.registered.allow(from.addr) { // guard: localsend-register
		fail(w, http.StatusTooManyRequests, "Too many requests")
		return
	}
	if d := from.device(i); d.Proven && d.Key == i.Fingerprint {
		g.devices.found(d)
	} else if g.devices.claims.Allow() {
		g.devices.probe(from.addr, i) // nothing is proven yet
	}
	_ = reply(w, g.info())
}

// handleCancel ends the session in which the sender of the request takes part.
func (g *Gateway) handleCancel(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("sessionId")
	from := sourceOf(r)
	if g.sessions.cancel(from, id) || g.sent.cancel(from.addr, id) {
		_ = reply(w, struct{}{})
		return
	}
	fail(w, http.StatusForbidden, "No permission")
}

// codeOf returns the HTTP status for the reason why an offer was not accepted.
func codeOf(err error) (int, string) {
	switch {
	case errors.Is(err, engine.ErrDeclined), errors.Is(err, engine.ErrBlocked):
		return http.StatusForbidden, "File request declined by recipient"
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrUnavailable), errors.Is(err, engine.ErrTimeout):
		return http.StatusConflict, "Blocked by another session"
	case errors.Is(err, engine.ErrInvalid):
		return http.StatusBadRequest, "Request body malformed"
	}
	return http.StatusInternalServerError, "The files cannot be saved"
}

// Limits on guessing the PIN: an address has as many attempts as LocalSend allows, and then none for a while.
const (
	maxGuesses   = 3
	guessesFor   = 10 * time.Minute
	guessesOfAll = 30
)

// pinGuesses counts wrong PINs: for strangers by address and in total, for known devices by key.
type pinGuesses struct {
	mu    sync.Mutex
	by    map[string]int
	all   int // of strangers
	since time.Time
}

// guesser is the key under which attempts are counted. A known device has its own, so that strangers at its address
// cannot lock it out.
func guesser(from source, known bool) string {
	if known {
		return keyOf(from)
	}
	return connlimit.SourceOf(from.addr).String()
}

// guess reports whether a device may try a PIN, and counts a wrong one. Strangers share a total, which does not count
// for known devices.
func (p *pinGuesses) guess(from source, known, wrong bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.since) > guessesFor {
		p.by, p.all, p.since = map[string]int{}, 0, time.Now()
	}
	if p.by[guesser(from, known)] >= maxGuesses || !known && p.all >= guessesOfAll { // guard: localsend-pin-guesses
		return false
	}
	if !wrong {
		return true
	}
	if !known {
		p.all++ // guessesOfAll also bounds the size of by
	}
	p.by[guesser(from, known)]++
	return true
}
