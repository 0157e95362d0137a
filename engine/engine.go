package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"multipeer/engine/internal/address"
	"multipeer/engine/internal/events"
	"multipeer/engine/internal/gateways"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/mdns"
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
	panics  *slog.Logger // for panics in the program's functions
	shared  *sharing
	profile *identity.Profile // of shared

	events *events.Hub[Event]
	tasks  tasks.Group // every goroutine of the engine belongs to it
	calls  tasks.Group // calls of the program's functions, which may wait for a person; Close does not wait for them

	peers     *peers.Manager
	pairings  *pairing.Manager
	transfers *transfers.Manager
	gateways  *gateways.Manager

	streams  streamHandlers
	requests requests

	invitations exclusive[*Invitation]
	offers      exclusive[*Offer]

	sending  *outstanding
	handlers sync.WaitGroup // calls of Handle that began before handlersAwaited

	mu      sync.Mutex
	started bool
	closed  bool
	stop    context.CancelCauseFunc // ends the run
	// handlersAwaited is set once Run waits for handlers: from then on, the WaitGroup must not grow from zero.
	handlersAwaited bool
	ended           chan struct{} // closed when the run has ended, or by Close if there was none
	failed          error         // the result of Run; set before ended is closed
}

// New checks cfg and opens the profile; it does not touch the network. Errors are ErrInvalid, ErrTooLarge for
// Config.Context, and for the profile ErrInUse, ErrPermissions and ErrCorrupt, with advice on what to do. Close an
// engine that is never started: it holds the profile.
func New(cfg Config) (*Engine, error) {
	if cfg.Service == "" {
		cfg.Service = DefaultService
	}
	if err := wire.ValidateServiceType(cfg.Service); err != nil {
		return nil, err
	}
	if cfg.Name != "" {
		if err := ValidateName(cfg.Name); err != nil {
			return nil, err
		}
	}
	if cfg.Port < 0 || cfg.Port > 65535 {
		return nil, fmt.Errorf("port %d: %w: must be between 0 and 65535", cfg.Port, ErrInvalid)
	}
	if err := wire.ValidateInfo(cfg.Info); err != nil {
		return nil, err
	}
	for _, target := range cfg.Dial {
		if _, _, err := address.ParseTarget(target); err != nil {
			return nil, fmt.Errorf("Dial: %w", err)
		}
	}
	if err := checkPolicies(cfg.Invite, cfg.Accept, cfg.Offers); err != nil {
		return nil, err
	}
	if cfg.Visible < VisibleToAll || cfg.Visible > VisibleToNobody {
		return nil, fmt.Errorf("%w: Visible is %v: it must be VisibleToAll, VisibleToKnown or VisibleToNobody", ErrInvalid, cfg.Visible)
	}
	if cfg.MaxPeers < 0 {
		return nil, fmt.Errorf("MaxPeers %d: %w: must be 0 or more", cfg.MaxPeers, ErrInvalid)
	}
	if cfg.MaxLanes < 0 || cfg.MaxLanes > wire.MaxLanes {
		return nil, fmt.Errorf("MaxLanes %d: %w: must be between 0 and %d", cfg.MaxLanes, ErrInvalid, wire.MaxLanes)
	}
	if cfg.MaxLanes == 0 {
		cfg.MaxLanes = wire.MaxLanes
	}
	initial, err := encodeContext(cfg.Context)
	if err != nil {
		return nil, err
	}
	panics := cfg.Log
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
		panics = slog.Default() // panics in the program's functions must not be silent
	}
	shared, err := openSharing(cfg)
	if err != nil {
		return nil, err
	}
	profile := shared.profile
	e := &Engine{
		cfg: cfg, log: cfg.Log, panics: panics, shared: shared, profile: profile, sending: newOutstanding(), ended: make(chan struct{}),
	}
	e.events = events.NewHub(traitsOf, abandon, e.retry)
	self := peers.Self{
		ID: profile.ID, Name: e.startName(), Service: cfg.Service, Advertising: !cfg.Hidden, Browsing: !cfg.Blind,
		Visible: cfg.Visible, Info: maps.Clone(cfg.Info),
	}
	if n := infoSize(cfg.Info); n > advisedInfo {
		e.log.Warn("discovery info is large; packets may be lost", "bytes", n, "advised", advisedInfo)
	}
	finder := cfg.Discovery
	if finder == nil {
		finder = mdns.New(mdns.Config{Interfaces: cfg.Interfaces, Known: profile.Knows, Log: cfg.Log})
	}
	e.peers = peers.New(peers.Config{
		Host: peersHost{e}, Finder: finder, Profile: profile, Tasks: &e.tasks, Ended: e.ended, Log: cfg.Log, Panics: panics,
		Self: self, Invite: cfg.Invite, Accept: cfg.Accept, MaxPeers: cfg.MaxPeers, Interfaces: cfg.Interfaces,
		Context: initial, AcceptIf: acceptIfFor(e), Verify: verifyFor(e),
	})
	e.gateways = newGateways(e, self)
	e.pairings = pairing.New(pairingHost{e}, profile, &e.tasks, cfg.Log)
	e.transfers = transfers.New(transfers.Config{
		Host: transferHost{e}, Asks: e.peers.Asks(), Profile: profile, Tasks: &e.tasks, Calls: &e.calls, Ended: e.ended, Log: cfg.Log,
		Service: cfg.Service, Spool: ownPath(cfg, "spool"), Copies: ownPath(cfg, "copies"), MaxLanes: cfg.MaxLanes, TCP: !cfg.NoTCP && cfg.PacketConn == nil,
		LanePorts: cfg.PacketConn == nil,
	})
	e.peers.Attach(peerTransfers{e.transfers}, peerPairings{e.pairings})
	if err := shared.join(e); err != nil {
		return nil, err
	}
	return e, nil
}

func checkPolicies(policies ...Audience) error {
	for _, a := range policies {
		if a < Nobody || a > Everyone {
			return fmt.Errorf("audience %d: %w: must be between Nobody and Everyone", a, ErrInvalid)
		}
	}
	return nil
}

func openProfile(dir string) (*identity.Profile, error) {
	if dir == "" {
		return identity.Ephemeral()
	}
	return identity.Open(context.Background(), dir) // Open has its own limit of one second
}

// ownPath returns the path of a file or folder of this engine's own below a folder of the profile, or "" without a
// profile. Engines that share a profile have one each.
func ownPath(cfg Config, folder string) string {
	service := cfg.Service
	for cfg.Share != nil {
		cfg = cfg.Share.cfg
	}
	if cfg.Profile == "" {
		return ""
	}
	return filepath.Join(cfg.Profile, folder, service)
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

// Run is Start, and waits until the engine and the calls of the program's functions have ended. It returns nil after
// the end of ctx, Close or Shutdown.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.Start(ctx); err != nil {
		return err
	}
	<-e.ended
	e.mu.Lock()
	e.handlersAwaited = true
	e.mu.Unlock()
	e.handlers.Wait()
	e.calls.Wait()
	return e.failed
}

// Start opens the socket, and then advertises, browses and serves until ctx ends or Close is called. ctx is the life of
// the engine, not a limit on Start: its end is Shutdown with a limit of one second. Start can be called once; ErrClosed
// means that it was started or closed before. It works without a network. After an error, that of the socket, the
// engine has ended.
func (e *Engine) Start(ctx context.Context) error {
	life := ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(life))
	e.mu.Lock()
	if e.started || e.closed {
		e.mu.Unlock()
		cancel(nil)
		return fmt.Errorf("%w: an engine can be started only once", ErrClosed)
	}
	e.started = true
	e.stop = cancel
	e.tasks.Begin(ctx)
	e.calls.Begin(ctx)
	e.mu.Unlock()

	endpoint, lanes, err := e.listen()
	if err != nil {
		cancel(nil)
		e.end(err)
		return err
	}
	e.peers.Open(endpoint, lanes)
	e.transfers.Start(endpoint)
	go func() { // Run and Close wait for it
		defer cancel(nil)
		var watching sync.WaitGroup
		watching.Go(func() {
			select {
			case <-life.Done():
				e.finishSending(ctx)
				cancel(context.Cause(life))
			case <-ctx.Done():
			}
		})
		err := e.serve(ctx, endpoint, lanes)
		watching.Wait()
		e.end(err)
	}()
	return nil
}

// lastMessages is how long the messages that wait for an answer delay the end of an engine whose context has ended.
const lastMessages = time.Second

// finishSending refuses further messages, and waits until those before have an outcome, at most lastMessages or until
// ctx ends.
func (e *Engine) finishSending(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastMessages)
	defer cancel()
	e.sending.close()
	select {
	case <-e.sending.none:
	case <-ctx.Done():
	}
}

// listen opens the sockets. lanes is nil if the program supplied the socket.
func (e *Engine) listen() (*transport.Endpoint, *transport.Lanes, error) {
	endpoint, err := transport.Listen(transport.Config{
		Identity: e.profile.Identity, Conn: e.cfg.PacketConn, Port: e.cfg.Port, Log: e.log,
		Check: e.peers.Check, OwnKey: e.peers.MetOwnKey, OwnConns: e.shared.ownConns,
	})
	if err != nil || e.cfg.PacketConn != nil {
		return endpoint, nil, err
	}
	lanes, err := endpoint.ListenLanes(!e.cfg.NoTCP)
	if err != nil {
		return nil, nil, errors.Join(err, endpoint.Close())
	}
	return endpoint, lanes, nil
}

// serve runs the engine until ctx ends.
func (e *Engine) serve(ctx context.Context, endpoint *transport.Endpoint, lanes *transport.Lanes) (err error) {
	var finding sync.WaitGroup
	finding.Go(func() { e.peers.Find(ctx) })
	finding.Go(func() { e.gateways.Run(ctx) })
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
		err = nil // the program handles the errors of a socket that it supplied
	}
	return err
}

// end releases everything; err is the result of Run.
func (e *Engine) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	e.sending.close()
	e.peers.Close()
	e.events.Close()
	if err := e.transfers.Close(); err != nil {
		e.log.Error("keeping transfers", "err", err)
	}
	if err := e.shared.leave(e); err != nil {
		e.log.Error("closing profile", "err", err)
	}
	e.failed = err
	close(e.ended)
}

// Done is closed when the engine has ended and the profile is released. Calls of the program's functions may still run.
func (e *Engine) Done() <-chan struct{} { return e.ended }

func hasEnded(e *Engine) bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// Close ends the engine at once, says goodbye to the peers, and waits for its goroutines, but not for calls of the
// program's functions. These may call Close, except the functions of Config: they can end the context of Start instead.
// Messages that wait for an answer fail. It is idempotent. Its error is Run's.
func (e *Engine) Close() error {
	e.mu.Lock()
	stop := e.stop
	e.mu.Unlock()
	if stop == nil {
		e.end(nil)
		return nil
	}
	stop(context.Canceled)
	<-e.ended
	return e.failed
}

// Shutdown is Close after the messages that wait for an answer, and the answers to requests that have arrived, have
// been delivered, at most until ctx ends, which is then its error. Meanwhile Send and Post return ErrClosed. What was
// written to a stream may not have arrived. Transfers do not delay it; those with Keep continue in the next run. A
// function of Answer that calls Shutdown waits for itself until ctx ends.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.sending.close()
	var err error
	select {
	case <-e.sending.none:
	case <-ctx.Done():
		err = wire.EndOf(ctx)
	case <-e.ended:
	}
	closed := e.Close()
	<-e.sending.none // Close has failed the messages
	return errors.Join(err, closed)
}

// open returns ErrClosed once the engine has ended.
func (e *Engine) open() error {
	select {
	case <-e.ended:
		return ErrClosed
	default:
		return nil
	}
}

// retry delivers messages for which a reader has made room.
func (e *Engine) retry() { e.peers.Retry() }
