package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"multipeer/engine/internal/discovery"
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Engine is one peer. Create it with New; several may run in one process.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	profile *identity.Profile
	boot    string

	events *events.Hub[Event]
	tasks  tasks.Group // every goroutine of the engine belongs to it

	// The parts of the engine that share mu.
	table       peerTable
	dialer      dialer
	acceptor    acceptor
	sessions    sessions
	invitations invitations

	transfers *transfers.Manager
	pairings  *pairing.Manager

	announcing sync.Mutex // serializes updates to discovery

	mu        sync.Mutex
	running   bool
	closed    bool
	ended     chan struct{} // closed when Run has ended, or by Close if it never ran
	self      Self
	context   json.RawMessage // sent with invitations and answers
	problem   error
	peers     map[PeerID]*peer
	endpoint  *transport.Endpoint
	laneUDP   int // the ports that accept lanes; 0 means none
	laneTCP   int
	asks      *askers
	links     links
	timed     int        // counts changes of the visibility
	lasting   Visibility // the visibility to return to
	finder    Discovery
	exchange  exchange
	conflicts conflicts
}

// New checks cfg and opens the profile. It sends nothing to the network before Run. The errors are ErrInvalid,
// ErrInUse, ErrPermissions and ErrCorrupt, each with advice on what to do. Call Close on an engine that is never run.
func New(cfg Config) (*Engine, error) {
	if cfg.Service == "" {
		cfg.Service = DefaultService
	}
	if err := ValidateServiceType(cfg.Service); err != nil {
		return nil, err
	}
	if cfg.Name != "" {
		if err := ValidateName(cfg.Name); err != nil {
			return nil, err
		}
	}
	if cfg.Port < 0 || cfg.Port > 65535 {
		return nil, fmt.Errorf("port %d: %w: 0 to 65535", cfg.Port, ErrInvalid)
	}
	if err := ValidateInfo(cfg.Info); err != nil {
		return nil, err
	}
	for _, address := range cfg.Dial {
		if _, _, err := parseTarget(address); err != nil {
			return nil, fmt.Errorf("Dial: %w", err)
		}
	}
	if cfg.MaxPeers < 0 {
		return nil, fmt.Errorf("MaxPeers %d: %w: 0 or more", cfg.MaxPeers, ErrInvalid)
	}
	if cfg.MaxLanes < 0 || cfg.MaxLanes > wire.MaxLanes {
		return nil, fmt.Errorf("MaxLanes %d: %w: 0 to %d", cfg.MaxLanes, ErrInvalid, wire.MaxLanes)
	}
	if cfg.MaxLanes == 0 {
		cfg.MaxLanes = wire.MaxLanes
	}
	initial, err := encodeContext(cfg.Context)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	profile, err := openProfile(cfg.Profile)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, log: cfg.Log, profile: profile, context: initial, boot: rand.Text()[:16],
		ended: make(chan struct{}),
		peers: map[PeerID]*peer{},
		asks:  newAskers(profile), links: links{of: map[PeerID]*link{}}, events: events.NewHub(traitsOf, abandon),
		finder: cfg.Discovery,
	}
	e.table = peerTable{e}
	e.dialer = dialer{e, make(chan struct{}, maxDials), make(chan struct{}, maxDials)}
	e.acceptor = acceptor{e}
	e.exchange = newExchange(e)
	e.conflicts = newConflicts(e)
	e.sessions = sessions{e, map[PeerID]*session{}}
	e.invitations = invitations{e, map[PeerID]bool{}}
	e.self = Self{ID: profile.ID, Name: e.startName(), Service: cfg.Service, Advertising: !cfg.Hidden, Browsing: !cfg.Blind, Visible: cfg.Visible, Info: maps.Clone(cfg.Info)}
	if n := infoSize(cfg.Info); n > advisedInfo {
		e.log.Warn("discovery info is large; packets may be lost", "bytes", n, "advised", advisedInfo)
	}
	e.pairings = pairing.New(pairingHost{e}, profile, &e.tasks, cfg.Log)
	e.transfers = transfers.New(transfers.Config{
		Host: transferHost{e}, Asks: e.asks, Profile: profile, Tasks: &e.tasks, Ended: e.ended, Log: cfg.Log,
		MaxLanes: cfg.MaxLanes, TCP: !cfg.NoTCP && cfg.PacketConn == nil, LanePorts: cfg.PacketConn == nil,
	})
	if e.finder == nil {
		e.finder = discovery.New(discovery.Config{Interfaces: cfg.Interfaces, Known: e.knows, Log: cfg.Log})
	}
	return e, nil
}

func openProfile(dir string) (*identity.Profile, error) {
	if dir == "" {
		return identity.Ephemeral()
	}
	return identity.Open(context.Background(), dir) // Open has its own limit of one second
}

func (e *Engine) startName() string {
	if e.cfg.Name != "" {
		return e.cfg.Name
	}
	if kept := e.profile.Name(); ValidateName(kept) == nil {
		return kept
	}
	// Only the kind of device, since a host name often contains its owner's name.
	kind := map[string]string{"darwin": "Mac", "windows": "Windows PC", "linux": "Linux PC", "ios": "iPhone", "android": "Android"}[runtime.GOOS]
	if kind == "" {
		kind = "Device"
	}
	return kind + " " + e.profile.ID.Short()[:4]
}

// Run opens the socket, advertises, browses and serves until ctx ends; then it says goodbye and returns nil. When it
// returns, every goroutine of the engine has ended and the profile is released. It can be called once. It also starts
// without a network, and continues once one appears.
func (e *Engine) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	if e.running || e.closed {
		e.mu.Unlock()
		return errors.New("an engine runs once")
	}
	e.running = true
	e.tasks.Begin(ctx)
	e.mu.Unlock()
	defer e.end()

	endpoint, err := transport.Listen(transport.Config{
		Identity: e.profile.Identity, Conn: e.cfg.PacketConn, Port: e.cfg.Port, Log: e.log,
		Check: e.acceptor.check, Twin: e.conflicts.metTwin,
	})
	if err != nil {
		return err
	}
	var lanes *transport.Lanes
	if e.cfg.PacketConn == nil {
		if lanes, err = endpoint.ListenLanes(!e.cfg.NoTCP); err != nil {
			return errors.Join(err, endpoint.Close())
		}
	}
	e.mu.Lock()
	if lanes != nil {
		e.laneUDP, e.laneTCP = lanes.Ports()
	}
	e.endpoint = endpoint
	e.self.Port, e.self.Running = endpoint.Port(), true
	announcement := e.announcementLocked()
	e.publish(SelfChanged{e.selfViewLocked()})
	e.mu.Unlock()
	e.transfers.Start(endpoint)

	var finding sync.WaitGroup
	finding.Go(func() {
		if err := e.finder.Run(ctx, announcement, (*sink)(e)); err != nil && ctx.Err() == nil {
			(*sink)(e).Problem(err)
		}
	})
	e.tasks.Start(e.acceptor.acceptConns)
	if lanes != nil {
		e.tasks.Start(func(ctx context.Context) { e.acceptor.acceptLanes(ctx, lanes) })
	}
	for _, address := range e.cfg.Dial {
		e.tasks.Start(func(ctx context.Context) { e.dialer.keepDialling(ctx, address) })
	}
	e.tasks.Start(e.dialer.reconnectKnown)
	e.tasks.Start(e.exchange.announce)
	e.tasks.Start(e.exchange.dialHints)
	<-ctx.Done()
	e.sayGoodbye()
	if lanes != nil {
		err = lanes.Close()
	}
	err = errors.Join(err, endpoint.Close())
	finding.Wait()
	e.tasks.Wait()
	if saveErr := e.transfers.Flush(); saveErr != nil {
		e.log.Error("keeping transfers", "err", saveErr)
	}
	if e.cfg.PacketConn != nil {
		err = nil // errors of a socket that we do not own are the owner's concern
	}
	return err
}

// check checks a peer's key in a handshake; dialled reports that we dialled.
func (a *acceptor) check(id PeerID, certificate []byte, dialled bool) error {
	e := a.e
	trust := e.profile.Peer(id).Trust
	if trust == identity.Blocked { // guard: blocked-key
		return wire.ErrBlocked
	}
	if trust == identity.Unknown && !dialled && !a.answers(id) { // guard: hidden-from-strangers
		return ErrRefused
	}
	if e.cfg.Verify != nil {
		if err := e.cfg.Verify(id, certificate); err != nil {
			e.log.Info("refused by Config.Verify", "peer", id.Short(), "err", err)
			return fmt.Errorf("%w: %w", ErrIdentity, err)
		}
	}
	return nil
}

// sayGoodbye closes every connection with Bye, which notifies the peers at once.
func (e *Engine) sayGoodbye() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		if p.link != nil {
			p.link.conn.Close(wire.Bye)
		}
	}
}

func (e *Engine) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	e.self.Running = false
	for _, p := range e.peers {
		if p.session != nil {
			p.session.end(ErrClosed)
		}
	}
	e.events.Close()
	close(e.ended)
	if err := e.transfers.Flush(); err != nil {
		e.log.Error("keeping transfers", "err", err)
	}
	if err := e.profile.Close(); err != nil {
		e.log.Error("closing profile", "err", err)
	}
}

// Close releases the profile of an engine that was never run. It is idempotent. A running engine ends with the
// context of Run instead.
func (e *Engine) Close() error {
	e.mu.Lock()
	running := e.running
	e.mu.Unlock()
	if !running {
		e.end()
	}
	return nil
}

// infoLocked returns what connected peers learn about us.
func (e *Engine) infoLocked() wire.Info {
	return wire.Info{Name: e.self.Name, Info: e.self.Info, Open: e.self.open()}
}

// announcementLocked returns what discovery announces about us.
func (e *Engine) announcementLocked() Announcement {
	return Announcement{
		ID: e.self.ID, Name: e.self.Name, Service: e.self.Service, Port: e.self.Port,
		Advertise: e.self.Advertising && e.self.Visible != VisibleToNobody, Browse: e.self.Browsing, Info: e.self.Info,
		Known: e.self.Visible == VisibleToKnown,
	}
}

// Self describes this engine.
func (e *Engine) Self() Self {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.selfViewLocked()
}

// selfViewLocked returns a copy of self.
func (e *Engine) selfViewLocked() Self {
	s := e.self
	s.Info = maps.Clone(s.Info)
	s.PairingUntil = e.pairings.Until()
	return s
}

// SetName changes the display name, in the profile and for all who see us. The error is ErrInvalid, or comes from the
// profile's disk.
func (e *Engine) SetName(name string) error {
	if err := ValidateName(name); err != nil {
		return err
	}
	if err := e.profile.SetName(name); err != nil {
		return err
	}
	e.update(func(s *Self) { s.Name = name })
	return nil
}

// advisedInfo is the size of discovery info that Apple recommends, in bytes.
const advisedInfo = 400

func infoSize(info map[string]string) int {
	n := 0
	for k, v := range info {
		n += len(k) + len(v) + 2
	}
	return n
}

// SetInfo changes the discovery info for all who see us, connected or not. The error is ErrInvalid.
func (e *Engine) SetInfo(info map[string]string) error {
	if err := ValidateInfo(info); err != nil {
		return err
	}
	info = maps.Clone(info)
	e.update(func(s *Self) { s.Info = info })
	return nil
}

// SetContext changes what is sent with invitations and answers from now on; existing sessions keep the context they
// have. The errors are those of New for Config.Context.
func (e *Engine) SetContext(v any) error {
	encoded, err := encodeContext(v)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.context = encoded
	return nil
}

// initial returns the current context.
func (e *Engine) initial() json.RawMessage {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.context
}

// SetLooking calls both SetAdvertising and SetBrowsing (start_looking_for_peers, stop_looking_for_peers).
func (e *Engine) SetLooking(on bool) { e.update(func(s *Self) { s.Advertising, s.Browsing = on, on }) }

// SetAdvertising starts or stops letting others find us. Sessions are not affected.
func (e *Engine) SetAdvertising(on bool) { e.update(func(s *Self) { s.Advertising = on }) }

// SetBrowsing starts or stops looking for others. Sessions are not affected.
func (e *Engine) SetBrowsing(on bool) { e.update(func(s *Self) { s.Browsing = on }) }

func (e *Engine) update(change func(*Self)) {
	e.announcing.Lock()
	defer e.announcing.Unlock()
	e.mu.Lock()
	old := e.self
	change(&e.self)
	changed, a := !old.equal(e.self), e.announcementLocked()
	if changed {
		e.publish(SelfChanged{e.selfViewLocked()})
	}
	if old.Name != e.self.Name || !maps.Equal(old.Info, e.self.Info) || old.open() != e.self.open() {
		for _, p := range e.peers {
			if p.link != nil {
				p.link.send(e.infoLocked())
			}
		}
	}
	ready := e.endpoint != nil
	e.mu.Unlock()
	if changed && ready {
		e.finder.Update(a)
	}
}

// Addresses lists this machine's addresses with the engine's port, to be typed on another device. It is empty before
// Run.
func (e *Engine) Addresses() []netip.AddrPort {
	port := e.Self().Port
	addrs, err := net.InterfaceAddrs()
	if err != nil || port == 0 {
		return nil
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		out = append(out, netip.AddrPortFrom(p.Addr(), uint16(port)))
	}
	return out
}

// now is the engine's clock; under testing/synctest it is the bubble's clock.
func now() time.Time { return time.Now() }

// afterFuncLocked runs f after d with Engine.mu held, unless the engine ends first.
func (e *Engine) afterFuncLocked(d time.Duration, f func()) {
	e.tasks.Start(func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			e.mu.Lock()
			defer e.mu.Unlock()
			f()
		case <-ctx.Done():
		}
	})
}

// Problem returns what currently keeps this engine from finding others, or nil. Changes are reported by the event
// Problem.
func (e *Engine) Problem() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}
