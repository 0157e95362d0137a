package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"multipeer/internal/connlimit"
)

// ServeHTTP handles one request. Outside the secret path it reveals nothing.
func (l *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.enter() {
		hangUp()
	}
	defer l.handlers.Done()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(l.opts.stalls)) // also for bodies that no handler reads
	_ = control.SetWriteDeadline(time.Now().Add(l.opts.stalls))
	token, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(token), []byte(l.token)) == 0 || !l.isForUs(r) { // guard: web-secret
		if l.visitors.stray(visitorAddr(r)) {
			hangUp()
		}
		_ = control.SetReadDeadline(time.Now()) // its body is not needed
		w.Header().Set("Connection", "close")
		http.NotFound(w, r)
		return
	}
	connlimit.Admit(r)
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin") // without it, the Origin of a form's POST is null
	header.Set("Cache-Control", "no-store")
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead
	if !changes && r.ContentLength != 0 { // guard: web-get-body
		hangUp() // browsers send no body with such requests, and nothing would read it
	}
	if changes && !l.isOwnOrigin(r) { // guard: web-origin
		w.Header().Set("Connection", "close")
		http.Error(w, "The Origin header must match this page's origin.", http.StatusForbidden)
		return
	}
	l.touch()
	l.route(w, r, rest)
}

// hangUp ends a request and its connection without a response.
func hangUp() { panic(http.ErrAbortHandler) }

// route finds the handler for a path below the secret path.
func (l *Link) route(w http.ResponseWriter, r *http.Request, path string) {
	head, rest, _ := strings.Cut(path, "/")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case (head == "style.css" || head == "app.js") && reads:
		serveAsset(w, r, head)
		return
	case head == "open" && r.Method == http.MethodPost:
		l.open(w, r)
		return
	}
	v, known := l.visitors.of(r)
	switch {
	case !known && head == "" && reads:
		l.page(w, r, http.StatusOK, pageData{Closed: true})
	case !known: // guard: web-cookie
		http.Error(w, "Open the link first.", http.StatusForbidden)
	case head == "" && reads:
		l.page(w, r, http.StatusOK, pageData{})
	case head == "file" && l.share != nil && reads:
		l.share.serveFile(l, w, r, v, rest)
	case path == "all.zip" && l.share != nil && reads:
		l.share.serveArchive(l, w, r, v)
	case l.opts.Dir == "":
		http.NotFound(w, r)
	case head == "text" && r.Method == http.MethodPost:
		l.takeText(w, r, v)
	case head == "upload" && r.Method == http.MethodPost:
		l.uploads.takeForm(w, r, v)
	case head == "offer" && r.Method == http.MethodPost:
		l.uploads.takeOffer(w, r, v)
	case head == "offer" && r.Method == http.MethodGet:
		l.uploads.answer(w, r, v, rest)
	case head == "put":
		l.uploads.takePart(w, r, v, rest)
	case head == "finish" && r.Method == http.MethodPost:
		l.uploads.finish(w, r, v, rest)
	case head == "cancel" && r.Method == http.MethodPost:
		l.uploads.cancel(w, v, rest)
	default:
		http.NotFound(w, r)
	}
}

// open admits a visitor that has pressed the button.
func (l *Link) open(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if _, known := l.visitors.of(r); known {
		http.Redirect(w, r, "./", http.StatusSeeOther)
		return
	}
	pin := strings.TrimSpace(r.PostFormValue("pin"))
	cookie, v, err := l.visitors.enter(pin, visitorAddr(r), r.UserAgent())
	switch {
	case errors.Is(err, ErrGuessed):
		l.page(w, r, http.StatusForbidden, pageData{Closed: true, Over: true})
		l.stop(ErrGuessed)
	case errors.Is(err, errWrongPIN):
		l.page(w, r, http.StatusForbidden, pageData{Closed: true, WrongPIN: true})
	case err != nil:
		l.page(w, r, http.StatusConflict, pageData{Closed: true, InUse: true})
	default:
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: cookie, Path: "/" + l.token, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
		})
		l.report(Opened{v})
		http.Redirect(w, r, "./", http.StatusSeeOther)
	}
}

// visitorAddr returns the address that a request comes from.
func visitorAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// isForUs reports whether the Host header contains one of this device's addresses: any other name that resolves to this
// device may belong to a DNS rebinding attack. With a certificate, the names in it are valid as well.
func (l *Link) isForUs(r *http.Request) bool {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil { // browsers omit the default port
		host, port = strings.Trim(r.Host, "[]"), "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	_, ownPort, err := net.SplitHostPort(l.listener.Addr().String())
	if err != nil || port != ownPort { // guard: web-host
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		cert := l.opts.Certificate
		return cert != nil && cert.Leaf != nil && cert.Leaf.VerifyHostname(host) == nil
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	if err != nil || own.Addr().Unmap().WithZone("") != addr.Unmap().WithZone("") { // guard: web-rebinding
		return false
	}
	return true
}

// isOwnOrigin reports whether a request that changes something comes from the link's own page. Browsers send Origin
// with every POST and PUT, also over HTTP.
func (l *Link) isOwnOrigin(r *http.Request) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return r.Header.Get("Origin") == scheme+r.Host
}

// takeText passes on a text message.
func (l *Link) takeText(w http.ResponseWriter, r *http.Request, v Visitor) {
	const most = 100_000
	if !l.visitors.maySay(v) { // guard: web-texts
		l.page(w, r, http.StatusTooManyRequests, pageData{Problem: "busy"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 3*most+100) // percent-encoding makes the text longer
	stalls := l.stallGuard(w, r)
	r.Body = stalls
	err := r.ParseForm() // a form value that cannot be read would look empty
	text := r.PostForm.Get("text")
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), len(text) > most:
		l.page(w, r, http.StatusRequestEntityTooLarge, pageData{Problem: "text-too-long"})
		return
	case err != nil:
		l.page(w, r, http.StatusBadRequest, pageData{Problem: "interrupted"})
		return
	case strings.TrimSpace(text) == "" && wantsJSON(r): // the script sends no empty text
		refuse(w, http.StatusBadRequest, "failed")
		return
	case strings.TrimSpace(text) == "":
		http.Redirect(w, r, "./", http.StatusSeeOther)
		return
	}
	l.report(Said{v, text})
	if wantsJSON(r) {
		reply(w, http.StatusOK, struct{}{})
		return
	}
	l.page(w, r, http.StatusOK, pageData{SaidText: true})
}

// wantsJSON reports whether the page's script has sent a request, and not a form.
func wantsJSON(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

// reply writes a JSON value.
func reply(w http.ResponseWriter, status int, v any) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bodyIdle)) // the request may have waited
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the visitor may have disconnected
}

// refuse writes an error that the page's script understands.
func refuse(w http.ResponseWriter, status int, code string) {
	reply(w, status, map[string]string{"error": code})
}

// moving is a body that must not stall: each read may take a minute.
type moving struct {
	read  func([]byte) (int, error)
	close func() error
	again func()
}

func (m *moving) Read(b []byte) (int, error) {
	m.again()
	return m.read(b)
}

func (m *moving) Close() error { return m.close() }

// stallGuard returns the body of a request with a separate deadline for each read.
func (l *Link) stallGuard(w http.ResponseWriter, r *http.Request) *moving {
	control := http.NewResponseController(w)
	return &moving{r.Body.Read, r.Body.Close, func() { _ = control.SetReadDeadline(time.Now().Add(l.opts.stalls)) }}
}

// awaiting returns a context for a request that waits. It ends with the request or with the link.
func (l *Link) awaiting(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
