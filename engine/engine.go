package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"sync"

	"multipeer/engine/internal/address"
	"multipeer/engine/internal/discovery"
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
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

	events *events.Hub[Event]
	tasks  tasks.Group // every goroutine of the engine belongs to it

	peers     *peers.Manager
	pairings  *pairing.Manager
	transfers *transfers.Manager

	mu      sync.Mutex
	running bool
	closed  bool
	ended   chan struct{} // closed when Run has ended, or by Close if it never ran
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
	for _, target := range cfg.Dial {
		if _, _, err := address.ParseTarget(target); err != nil {
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
		cfg: cfg, log: cfg.Log, profile: profile, ended: make(chan struct{}), events: events.NewHub(traitsOf, abandon),
	}
	self := peers.Self{
		ID: profile.ID, Name: e.startName(), Service: cfg.Service, Advertising: !cfg.Hidden, Browsing: !cfg.Blind,
		Visible: cfg.Visible, Info: maps.Clone(cfg.Info),
	}
	if n := infoSize(cfg.Info); n > advisedInfo {
		e.log.Warn("discovery info is large; packets may be lost", "bytes", n, "advised", advisedInfo)
	}
	var finder peers.Finder = programDiscovery{cfg.Discovery}
	if cfg.Discovery == nil {
		finder = discovery.New(discovery.Config{Interfaces: cfg.Interfaces, Known: profile.Knows, Log: cfg.Log})
	}
	e.peers = peers.New(peers.Config{
		Host: peersHost{e}, Finder: finder, Profile: profile, Tasks: &e.tasks, Ended: e.ended, Log: cfg.Log,
		Self: self, Invite: cfg.Invite, Accept: cfg.Accept, MaxPeers: cfg.MaxPeers, Interfaces: cfg.Interfaces,
		Context: initial, Admit: publicAdmit(cfg.Admit), Verify: cfg.Verify,
	})
	e.pairings = pairing.New(pairingHost{e}, profile, &e.tasks, cfg.Log)
	e.transfers = transfers.New(transfers.Config{
		Host: transferHost{e}, Asks: e.peers.Asks(), Profile: profile, Tasks: &e.tasks, Ended: e.ended, Log: cfg.Log,
		MaxLanes: cfg.MaxLanes, TCP: !cfg.NoTCP && cfg.PacketConn == nil, LanePorts: cfg.PacketConn == nil,
	})
	e.peers.Attach(peerTransfers{e.transfers}, peerPairings{e.pairings})
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
		Check: e.peers.Check, OwnKey: e.peers.MetOwnKey,
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
	e.peers.Open(endpoint, lanes)
	e.transfers.Start(endpoint)
	var finding sync.WaitGroup
	finding.Go(func() { e.peers.Find(ctx) })
	e.peers.Start(lanes, e.cfg.Dial)
	<-ctx.Done()
	e.peers.SayGoodbye()
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

func (e *Engine) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	e.peers.Close()
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
