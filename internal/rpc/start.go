package rpc

import (
	"context"
	"encoding/json"

	"multipeer/engine"
)

// startParams configure the engine; see engine.Config. A missing value is taken from the command line, or is the
// default.
type startParams struct {
	Name       string            `json:"name"`
	Service    string            `json:"service"`
	Port       int               `json:"port"`
	Visible    visibility        `json:"visible"`
	Invite     audience          `json:"invite"`
	Accept     audience          `json:"accept"`
	Offers     audience          `json:"offers"`
	Context    json.RawMessage   `json:"context"`
	Info       map[string]string `json:"info"`
	Dial       []string          `json:"dial"`
	Interfaces []string          `json:"interfaces"`
	MaxPeers   int               `json:"max_peers"`
	Hidden     bool              `json:"hidden"`
	Blind      bool              `json:"blind"`
	// Window is how many messages are passed on before the program calls credit; 0 means no limit.
	Window int `json:"window"`
}

type startResult struct {
	Self   selfJSON `json:"self"`
	Hosted bool     `json:"hosted"` // the engine belongs to a program that already uses the profile
}

// start opens the engine, responds, and begins to report events. Meanwhile no request is read, so the next one finds
// the engine started.
func start(s *session, params json.RawMessage, r *responder) {
	p, err := decode[startParams](params)
	if err != nil {
		r.soon(nil, err)
		return
	}
	result, events, err := s.start(p)
	r.done(result, err)
	if err == nil {
		s.wg.Go(events)
	}
}

// start returns the function that reports the events until the session ends.
func (s *session) start(p startParams) (r startResult, events func(), err error) {
	if p.Window < 0 {
		return r, nil, badParams("window: must be 0 or more")
	}
	if err := s.claimStart(); err != nil {
		return r, nil, err
	}
	cfg := engine.Config{
		Name: p.Name, Service: p.Service, Port: p.Port, Visible: engine.Visibility(p.Visible), Invite: engine.Audience(p.Invite),
		Accept: engine.Audience(p.Accept), Offers: engine.Audience(p.Offers), Info: p.Info, Dial: p.Dial, Interfaces: p.Interfaces, MaxPeers: p.MaxPeers,
		Hidden: p.Hidden, Blind: p.Blind,
	}
	if p.Context != nil {
		cfg.Context = p.Context
	}
	e, hosted, err := s.open(cfg)
	if err != nil {
		s.freeStart()
		return r, nil, err
	}
	if p.Window > 0 {
		s.credit.limit(p.Window)
	}
	answered := make(chan struct{})
	handled := e.Handle(s.ctx, s.handler(answered))
	events = func() {
		close(answered)
		<-handled
	}
	if !hosted {
		if err := e.Start(context.WithoutCancel(s.ctx)); err != nil { // if it starts, end closes it
			close(answered)
			s.freeStart()
			return r, nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e, s.hosted = e, hosted
	return startResult{selfOf(e.Self()), hosted}, events, nil
}

func (s *session) claimStart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.ended {
		return errStarted
	}
	s.started = true
	return nil
}

func (s *session) freeStart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = false
}

// end ends the session; its response is the last line.
func end(s *session, params json.RawMessage, r *responder) {
	if _, err := decode[none](params); err != nil {
		r.soon(nil, err)
		return
	}
	s.wg.Go(func() {
		s.end() // which ends the other requests
		s.awaitLast()
		r.soon(nil, nil) // after the responses that are queued
		s.cancel(errEnd)
	})
}

type creditParams struct {
	Messages int `json:"messages"`
}

func (s *session) addCredit(p creditParams) error {
	if p.Messages < 1 {
		return badParams("messages: must be 1 or more")
	}
	s.credit.add(p.Messages)
	return nil
}

// handler reports the events of the engine as notifications, in order, once begin is closed.
func (s *session) handler(begin <-chan struct{}) engine.Handler {
	notify := func(method string, params any) {
		<-begin
		s.notify(method, params)
	}
	peer := func(p engine.Peer) { notify("peer", peerEvent{Peer: peerOf(p)}) }
	return engine.Handler{
		PeerFound:   peer,
		PeerChanged: peer,
		PeerLost:    func(p engine.Peer) { notify("peer_lost", peerEvent{Peer: peerOf(p)}) },
		PeerAdded:   func(p engine.Peer) { notify("peer_added", peerEvent{Peer: peerOf(p)}) },
		PeerRemoved: func(p engine.Peer, err error) { notify("peer_removed", peerEvent{peerOf(p), errorOf(err)}) },
		Receive: func(m engine.Message) {
			<-begin
			s.passOn(m)
		},
		Transfer: func(t engine.Transfer) { notify("transfer", transferEvent{transferOf(t)}) },
		Pairing:  func(p engine.Pairing) { notify("pairing", pairingOf(p)) },
		Conflict: func(c engine.Conflict) { notify("conflict", conflictOf(c)) },
		Problem:  func(err error) { notify("problem", problemEvent{errorOf(err)}) },
	}
}

// passOn passes on a message once there is credit for it.
func (s *session) passOn(m engine.Message) {
	s.credit.take(s.ctx)
	s.notify("message", messageOf(m))
}
