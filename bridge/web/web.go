// Package web exchanges files and text with devices that have only a browser. A person opens a link on the other
// device, for example by scanning its QR code. A link offers files for download, receives uploads into a folder, or
// both. It answers on this device's addresses for a limited time, for a limited number of visitors, and only under a
// secret path.
//
// Over plain HTTP the exchange is not encrypted: others on the network can read it, and an attacker who controls the
// network can change it. The page states this. Options.Certificate enables HTTPS.
package web

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/internal/connlimit"
	"multipeer/transfer"
)

// DefaultPort is the TCP port that a link tries first, so that one firewall rule is enough.
const DefaultPort = 8421

// The default times of a link.
const (
	DefaultIdle     = 15 * time.Minute
	DefaultLifetime = time.Hour
)

// Limits on what strangers and visitors can make a link do.
const (
	maxConns        = 64 // at once
	maxConnsPerAddr = 16
	maxWrongPerAddr = 10 // requests from one address outside the secret path; further ones get no answer
	maxStrays       = 4096
	maxWrongPINs    = 5 // from all browsers; then the link closes
	headerTimeout   = 10 * time.Second
	bodyIdle        = time.Minute // how long a body may stall
	maxHeader       = 16 << 10
	// Text messages and questions from one visitor.
	textEvery, textsAtOnce             = 2 * time.Second, 10
	askEvery, asksAtOnce               = 5 * time.Second, 5
	announceEvery, announcementsAtOnce = time.Second, 30 // announcements from a visitor, including refused ones
	maxDeclined                        = 3               // in a row; then the link accepts nothing more from that visitor
)

// Errors for the end of a link; see Link.Err.
var (
	ErrExpired = errors.New("the link has expired")
	ErrGuessed = errors.New("too many wrong PINs were tried")
	ErrStopped = errors.New("the link was stopped")
)

// Options configure a link.
type Options struct {
	Name  string   // of this device, for the page
	Paths []string // files and folders to share
	Text  string   // text to share
	// Dir is the folder to receive into; it must exist. Empty means that the link receives nothing.
	Dir string
	// Most limits the total that this link receives. A zero field means no limit except the disk's reserve.
	Most    transfer.Totals
	Reserve int64 // see transfer.ReceiveOptions.Reserve
	// PIN, if set, has to be entered before the page opens.
	PIN string
	// Visitors is how many browsers may open the link; 0 means one.
	Visitors int
	// Idle is how long the link stays open after the last byte, Lifetime how long in total; 0 means the default.
	Idle, Lifetime time.Duration
	// Interfaces names the network interfaces that the link answers on. Empty means all with private addresses, or all
	// if there are none.
	Interfaces []string
	// Port is the TCP port; 0 means DefaultPort, or any free port if that one is taken.
	Port int
	// Certificate, if set, enables HTTPS; visitors then have to use a name for which it is valid.
	Certificate *tls.Certificate
	// Ask decides whether to receive an upload; nil accepts all. An error declines. ctx ends when the visitor gives up
	// or the link ends. It may be called concurrently.
	Ask func(ctx context.Context, u Upload) error
	// OnEvent is called with each Event, from one goroutine at a time. It may be nil, and must return quickly.
	OnEvent func(Event)

	stalls time.Duration // how long a body may stall, shortened by tests; 0 means bodyIdle
}

// Link is an open link.
type Link struct {
	opts     Options
	token    string       // the secret path
	addrs    []netip.Addr // the addresses that it answers at, most likely first
	listener net.Listener
	server   *http.Server
	share    *share         // nil if nothing is shared
	place    transfer.Place // of Options.Dir
	visitors visitors
	uploads  uploads
	telling  sync.Mutex

	ctx       context.Context // ends with the link
	stop      context.CancelCauseFunc
	entering  sync.Mutex
	closing   bool // new requests are refused
	handlers  sync.WaitGroup
	downloads atomic.Int64  // requests for a file or the archive that have not ended
	active    chan struct{} // signals activity
	ended     chan struct{} // closed when everything has ended
}

// Open opens a link. Errors contain the path that cannot be read, the folder that cannot be written to, or the port.
// The caller closes the link; it also ends on its own. ctx limits the time for listing the shared files.
func Open(ctx context.Context, opts Options) (*Link, error) {
	if len(opts.Paths) == 0 && opts.Text == "" && opts.Dir == "" {
		return nil, errors.New("a link needs something to share, or a folder to receive into")
	}
	if opts.Visitors == 0 {
		opts.Visitors = 1
	}
	if opts.Idle == 0 {
		opts.Idle = DefaultIdle
	}
	if opts.Lifetime == 0 {
		opts.Lifetime = DefaultLifetime
	}
	if opts.stalls == 0 {
		opts.stalls = bodyIdle
	}
	var place transfer.Place
	var err error
	if opts.Dir != "" {
		if err = transfer.CheckFolder(opts.Dir); err != nil {
			return nil, err
		}
		if place, err = transfer.PlaceOf(opts.Dir); err != nil {
			return nil, err
		}
	}
	addrs, err := linkAddrs(opts.Interfaces)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancelCause(context.Background())
	l := &Link{opts: opts, place: place, token: newToken(), addrs: addrs, ctx: running, stop: stop, active: make(chan struct{}, 1), ended: make(chan struct{})}
	l.visitors = newVisitors(opts.PIN, opts.Visitors)
	l.uploads = newUploads(l)
	if len(opts.Paths) > 0 {
		if l.share, err = newShare(ctx, opts.Paths); err != nil {
			stop(nil)
			return nil, err
		}
	}
	listener, err := listen(opts.Port)
	if err != nil {
		stop(nil)
		return nil, err
	}
	l.listener = &connlimit.Listener{Listener: listener, OfOne: maxConnsPerAddr, All: maxConns, Answers: func(a netip.Addr) bool {
		return a.IsLoopback() || slices.Contains(l.addrs, a) // loopback reaches this device only
	}}
	l.server = &http.Server{
		Handler: l, ReadHeaderTimeout: headerTimeout, IdleTimeout: bodyIdle, MaxHeaderBytes: maxHeader,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2, so that one stream cannot stall another
		ErrorLog:     discardLog, BaseContext: func(net.Listener) context.Context { return running },
		ConnContext: connlimit.Context, DisableGeneralOptionsHandler: true,
	}
	if opts.Certificate != nil {
		l.listener = tls.NewListener(l.listener, connlimit.LimitHandshakes(&tls.Config{Certificates: []tls.Certificate{*opts.Certificate}, MinVersion: tls.VersionTLS12}))
	}
	go l.run()
	return l, nil
}

// listen opens the port on all addresses.
func listen(port int) (net.Listener, error) {
	if port != 0 {
		return net.Listen("tcp", fmt.Sprintf(":%d", port))
	}
	if listener, err := net.Listen("tcp", fmt.Sprintf(":%d", DefaultPort)); err == nil {
		return listener, nil
	}
	return net.Listen("tcp", ":0")
}

// newToken returns a secret that can be typed: 60 bits, as twelve letters and digits.
func newToken() string {
	s := strings.ToLower(rand.Text()) // five bits a character
	return s[:4] + "-" + s[4:8] + "-" + s[8:12]
}

// run serves until the link ends, and then waits until everything has ended.
func (l *Link) run() {
	defer close(l.ended)
	served := make(chan struct{})
	go func() {
		defer close(served)
		err := l.server.Serve(l.listener)
		if l.ctx.Err() == nil { // the listener failed
			l.stop(err)
		}
	}()
	l.awaitEnd()
	l.entering.Lock()
	l.closing = true
	l.entering.Unlock()
	l.letArrive()
	_ = l.server.Close()
	<-served
	l.handlers.Wait()
	l.uploads.finishAll()
	l.report(Ended{l.Err()})
}

// enter registers a handler that the link waits for at its end. It returns false if the link has ended.
func (l *Link) enter() bool {
	l.entering.Lock()
	defer l.entering.Unlock()
	if l.closing {
		return false
	}
	l.handlers.Add(1)
	return true
}

// awaitEnd waits until the link is stopped or has expired.
func (l *Link) awaitEnd() {
	most := time.NewTimer(l.opts.Lifetime)
	defer most.Stop()
	idle := time.NewTimer(l.opts.Idle)
	defer idle.Stop()
	for {
		select {
		case <-l.active:
			idle.Reset(l.opts.Idle)
		case <-idle.C:
			l.stop(ErrExpired)
		case <-most.C:
			l.stop(ErrExpired)
		case <-l.ctx.Done():
			return
		}
	}
}

// touch restarts the idle timer.
func (l *Link) touch() {
	select {
	case l.active <- struct{}{}:
	default:
	}
}

// Close ends the link and waits until every request has ended. Incomplete files are removed, complete ones are kept. It
// is idempotent.
func (l *Link) Close() {
	l.stop(ErrStopped)
	<-l.ended
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.ended }

// Err returns why the link has ended: ErrStopped, ErrExpired, ErrGuessed, or the error of the port.
func (l *Link) Err() error { return context.Cause(l.ctx) }

// Missing returns how many files of accepted uploads have not arrived, and were not sent again by their visitor. A form
// of which a part has not arrived counts as one file.
func (l *Link) Missing() int { return l.uploads.missing.count() }

// LeftOut returns how many entries of Options.Paths are not shared, and the first 1,000 of them with the reasons.
func (l *Link) LeftOut() (count int, notes []transfer.Note) {
	if l.share == nil {
		return 0, nil
	}
	return l.share.leftOut, l.share.notes
}

// Port returns the TCP port.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// URLs lists the addresses of the link, most likely first: private addresses of the network before others.
func (l *Link) URLs() []string {
	var out []string
	for _, a := range l.addrs {
		out = append(out, l.urlOf(a.String()))
	}
	return out
}

func (l *Link) urlOf(host string) string {
	scheme := "http"
	if l.opts.Certificate != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/%s/", scheme, net.JoinHostPort(host, fmt.Sprint(l.Port())), l.token)
}

// report passes an event to the program.
func (l *Link) report(e Event) {
	if l.opts.OnEvent == nil {
		return
	}
	l.telling.Lock()
	defer l.telling.Unlock()
	l.opts.OnEvent(e)
}

// linkAddrs lists this device's addresses that a link answers at: IPv4, private networks first, since IPv6 link-local
// addresses cannot be typed into a browser. Public addresses are used only if there are no private ones, or if their
// interface is specified. The loopback address is used only if there is nothing else.
func linkAddrs(interfaces []string) (out []netip.Addr, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, name := range interfaces {
		if !slices.ContainsFunc(all, func(i net.Interface) bool { return i.Name == name }) {
			return nil, fmt.Errorf("there is no network interface %q", name)
		}
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || len(interfaces) > 0 && !slices.Contains(interfaces, i.Name) {
			continue
		}
		list, err := i.Addrs()
		if err != nil {
			continue // the interface has been removed
		}
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, p.Addr())
			}
		}
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	if len(interfaces) == 0 && len(out) > 0 { // only the best kind
		best := rank(out[0])
		out = slices.DeleteFunc(out, func(a netip.Addr) bool { return rank(a) != best })
	}
	if len(out) == 0 {
		return nil, errors.New("this device has no address that a browser could open; connect it to a network")
	}
	return out, nil
}

func rank(a netip.Addr) int {
	switch {
	case a.IsPrivate():
		return 0
	case a.IsLoopback():
		return 2
	}
	return 1
}
