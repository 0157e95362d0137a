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
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Engine is one peer. Make it with New; several may live in one process.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	profile *identity.Profile
	boot    string
	before  map[TransferID]time.Time // what had ended before New, and when; not changed later
	dials   chan struct{}            // one for each dial under way to peers that nobody here knows or wants
	friends chan struct{}            // and to others

	announcing sync.Mutex // one change of what discovery tells at a time

	mu        sync.Mutex
	running   bool
	closed    bool
	ended     chan struct{} // closed when Run has ended or Close was called before
	self      Self
	context   json.RawMessage // what goes with invitations and answers
	problem   error
	peers     map[PeerID]*peer
	resume    map[PeerID]*session // kept until one of the two leaves: no new invitation after a lost conn
	kicked    map[PeerID]bool     // disconnected by the program: no policy brings them back
	transfers map[TransferID]*transferState
	watchers  map[*watcher]struct{}
	unread    []MessageReceived // that the last reader left behind
	endpoint  *transport.Endpoint
	laneUDP   int // the ports where lanes are taken; 0 is none
	laneTCP   int
	turns     turns
	saving    saving
	pair      pairingState
	asks      asks
	timed     int        // counts the changes of visibility
	lasting   Visibility // what it falls back to
	finder    Discovery
	exchange  exchange

	// ctx and wg exist while Run does: all that the engine starts hangs on them.
	ctx context.Context
	wg  sync.WaitGroup
}

// maxDials is how many peers are dialled at once. More at a time make each slower and look like failures.
const maxDials = 8

// New checks cfg and opens the profile. Nothing goes to the network before Run. The errors are ErrInvalid, ErrInUse,
// ErrPermissions and ErrCorrupt, each with what to do about it. An engine that is never run wants Close.
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
		before: map[TransferID]time.Time{}, dials: make(chan struct{}, maxDials), friends: make(chan struct{}, maxDials), ended: make(chan struct{}),
		peers: map[PeerID]*peer{}, resume: map[PeerID]*session{}, kicked: map[PeerID]bool{}, transfers: map[TransferID]*transferState{}, watchers: map[*watcher]struct{}{},
		finder: cfg.Discovery, exchange: newExchange(),
	}
	e.self = Self{ID: profile.ID, Name: e.startName(), Service: cfg.Service, Advertising: !cfg.Hidden, Browsing: !cfg.Blind, Visible: cfg.Visible, Info: maps.Clone(cfg.Info)}
	if n := infoSize(cfg.Info); n > advisedInfo {
		e.log.Warn("discovery info is large; packets may be lost", "bytes", n, "advised", advisedInfo)
	}
	e.restore()
	if e.finder == nil {
		e.finder = discovery.New(discovery.Config{Interfaces: cfg.Interfaces, Known: e.knows, Log: cfg.Log})
	}
	return e, nil
}

func openProfile(dir string) (*identity.Profile, error) {
	if dir == "" {
		return identity.Ephemeral()
	}
	return identity.Open(context.Background(), dir) // bounded by a second of its own
}

func (e *Engine) startName() string {
	if e.cfg.Name != "" {
		return e.cfg.Name
	}
	if kept := e.profile.Name(); ValidateName(kept) == nil {
		return kept
	}
	// The kind of device and no more: a host name often holds its owner's.
	kind := map[string]string{"darwin": "Mac", "windows": "Windows PC", "linux": "Linux PC", "ios": "iPhone", "android": "Android"}[runtime.GOOS]
	if kind == "" {
		kind = "Device"
	}
	return kind + " " + e.profile.ID.Short()[:4]
}

// Run opens the socket, advertises, browses, and serves until ctx ends; then it says goodbye and returns nil. When
// it returns every goroutine of the engine has ended and the profile is released. It can be called once. It starts
// without a network too, and goes on when one appears.
func (e *Engine) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	if e.running || e.closed {
		e.mu.Unlock()
		return errors.New("an engine runs once")
	}
	e.running, e.ctx = true, ctx
	e.mu.Unlock()
	defer e.end()

	endpoint, err := transport.Listen(transport.Config{
		Identity: e.profile.Identity, Conn: e.cfg.PacketConn, Port: e.cfg.Port, Log: e.log,
		Check: e.check,
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
	announcement := e.announcement()
	e.publish(SelfChanged{e.selfView()})
	e.resumeTransfers()
	e.mu.Unlock()

	var finding sync.WaitGroup
	finding.Go(func() {
		if err := e.finder.Run(ctx, announcement, (*sink)(e)); err != nil && ctx.Err() == nil {
			(*sink)(e).Problem(err)
		}
	})
	e.wg.Go(func() { e.acceptConns(ctx) })
	if lanes != nil {
		e.wg.Go(func() { e.acceptLanes(ctx, lanes) })
	}
	for _, address := range e.cfg.Dial {
		e.wg.Go(func() { e.keepDialling(ctx, address) })
	}
	e.wg.Go(func() { e.recall(ctx) })
	e.wg.Go(func() { e.tellPeers(ctx) })
	e.wg.Go(func() { e.meetTold(ctx) })
	<-ctx.Done()
	e.sayGoodbye()
	if lanes != nil {
		err = lanes.Close()
	}
	err = errors.Join(err, endpoint.Close())
	finding.Wait()
	e.wg.Wait()
	if saveErr := e.saving.write(e.profile.KeepJob); saveErr != nil {
		e.log.Error("keeping transfers", "err", saveErr)
	}
	if e.cfg.PacketConn != nil {
		err = nil // the socket is its owner's
	}
	return err
}

// check has a peer's key in a handshake; dialled tells that we wanted it.
func (e *Engine) check(id PeerID, certificate []byte, dialled bool) error {
	trust := e.profile.Peer(id).Trust
	if trust == identity.Blocked { // guard: blocked-key
		return wire.ErrBlocked
	}
	if trust == identity.Unknown && !dialled && !e.answers(id) { // guard: hidden-from-strangers
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

// sayGoodbye closes every conn with Bye, which tells the peers at once.
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
	for w := range e.watchers {
		w.close()
	}
	close(e.ended)
	if err := e.profile.Close(); err != nil {
		e.log.Error("closing profile", "err", err)
	}
}

// Close releases the profile of an engine that was never run. It is idempotent; a running engine ends with the
// context of Run.
func (e *Engine) Close() error {
	e.mu.Lock()
	running := e.running
	e.mu.Unlock()
	if !running {
		e.end()
	}
	return nil
}

// start runs f on a goroutine that Run waits for, after the preparations; false if the engine is ending. Call with
// e.mu held.
func (e *Engine) start(f func(ctx context.Context), prepare ...func(ctx context.Context)) bool {
	if e.ctx == nil || e.ctx.Err() != nil {
		return false
	}
	ctx := e.ctx
	for _, p := range prepare {
		p(ctx)
	}
	e.wg.Go(func() { f(ctx) })
	return true
}

// info is what peers with a conn are told. Call with e.mu held.
func (e *Engine) info() wire.Info {
	return wire.Info{Name: e.self.Name, Info: e.self.Info, Open: e.self.open()}
}

// announcement is what discovery tells about us. Call with e.mu held.
func (e *Engine) announcement() Announcement {
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
	return e.selfView()
}

// selfView is a copy. Call with e.mu held.
func (e *Engine) selfView() Self {
	s := e.self
	s.Info = maps.Clone(s.Info)
	return s
}

// SetName changes the display name, in the profile and for all who see us. The error is ErrInvalid, or that of
// the profile's disk.
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

// advisedInfo is how much discovery info Apple advises, in bytes.
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

// SetContext changes what goes with invitations and answers from now on; sessions that are up keep what they have. The
// errors are those of New for Config.Context.
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

// initial is the context as it is now.
func (e *Engine) initial() json.RawMessage {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.context
}

// SetLooking is SetAdvertising and SetBrowsing in one (start_looking_for_peers, stop_looking_for_peers).
func (e *Engine) SetLooking(on bool) { e.update(func(s *Self) { s.Advertising, s.Browsing = on, on }) }

// SetAdvertising lets others find us or not. Sessions stay.
func (e *Engine) SetAdvertising(on bool) { e.update(func(s *Self) { s.Advertising = on }) }

// SetBrowsing looks for others or not. Sessions stay.
func (e *Engine) SetBrowsing(on bool) { e.update(func(s *Self) { s.Browsing = on }) }

func (e *Engine) update(change func(*Self)) {
	e.announcing.Lock()
	defer e.announcing.Unlock()
	e.mu.Lock()
	old := e.self
	change(&e.self)
	changed, a := !old.equal(e.self), e.announcement()
	if changed {
		e.publish(SelfChanged{e.selfView()})
	}
	if old.Name != e.self.Name || !maps.Equal(old.Info, e.self.Info) || old.open() != e.self.open() {
		for _, p := range e.peers {
			if p.link != nil {
				p.link.send(e.info())
			}
		}
	}
	ready := e.endpoint != nil
	e.mu.Unlock()
	if changed && ready {
		e.finder.Update(a)
	}
}

// Addresses lists this machine's addresses with the engine's port, for another device to type. Empty before Run.
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

// now is the engine's clock; under testing/synctest it is the bubble's.
func now() time.Time { return time.Now() }
