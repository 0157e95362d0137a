package engine

import (
	"context"
	"maps"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// How fast one peer may be, in a second and at once. What comes faster over a stream is read later, which costs the
// peer its window and nobody else anything; datagrams that come faster are dropped. docs/security.md lists all limits.
const (
	strangerFrames = 50 // of the control stream, without a session
	strangerBurst  = 200
	frameRate      = 20_000
	frameBurst     = 20_000
	bodyRate       = 32 << 20 // bytes of messages; what is larger goes over streams and lanes
	bodyBurst      = 8 << 20
	infoRate       = 10 // new names and infos
	infoBurst      = 50
	peersRate      = 4 // frames that tell of others
	peersBurst     = 16
	strangerGrams  = 20 // datagrams
	gramRate       = 10_000
	strangerOpens  = 20 // streams
	openRate       = 2000
	openBurst      = 200
	echoRate       = 1 << 20 // bytes of echo streams
	// promptRate and promptBurst are how often a stranger may cause a question to a person.
	promptRate  = 0.5
	promptBurst = 20
	// toldEvery and maxTold are how often one peer may have us dial one more, and how many at once; so often it is told of them.
	toldEvery = 5 * time.Second
	// strangersPromptRate and strangersPromptBurst are for all of them together.
	strangersPromptRate  = 2
	strangersPromptBurst = 60
)

// Bounds on the conns of strangers that others have dialled and that have no session.
const (
	maxStrangerConns    = 128
	maxStrangersPerAddr = 64
)

// pace bounds what a peer does over one conn, more tightly without a session.
type pace struct {
	stranger, friend *rate.Limiter
}

func newPace(strangers rate.Limit, strangersBurst int, friends rate.Limit, friendsBurst int) pace {
	return pace{rate.NewLimiter(strangers, strangersBurst), rate.NewLimiter(friends, friendsBurst)}
}

func (p pace) of(joined bool) *rate.Limiter {
	if joined {
		return p.friend
	}
	return p.stranger
}

// wait holds a reader back until one more may be read.
func (p pace) wait(ctx context.Context, joined bool) error {
	if l := p.of(joined); !l.Allow() { // guard: frame-rate
		return l.Wait(ctx)
	}
	return nil
}

// reading is how fast what one conn says is read.
type reading struct {
	frames              pace
	bodies, info, peers *rate.Limiter
}

func newReading() reading {
	return reading{
		newPace(strangerFrames, strangerBurst, frameRate, frameBurst),
		rate.NewLimiter(bodyRate, bodyBurst), rate.NewLimiter(infoRate, infoBurst), rate.NewLimiter(peersRate, peersBurst),
	}
}

// wait holds the reader back until m may be handled.
func (r reading) wait(ctx context.Context, joined bool, m wire.Message) error {
	switch m := m.(type) {
	case wire.Text:
		if err := r.bodies.WaitN(ctx, len(m.Body)); err != nil {
			return err
		}
	case wire.Info:
		if err := r.info.Wait(ctx); err != nil {
			return err
		}
	case wire.Peers:
		if err := r.peers.Wait(ctx); err != nil {
			return err
		}
	}
	return r.frames.wait(ctx, joined)
}

// mayPrompt tells whether p may cause one more question to a person. Call with Engine.mu held.
func (e *Engine) mayPrompt(p *peer) bool {
	if e.profile.Peer(p.id).Trust != identity.Unknown {
		return true
	}
	if e.asks.strangers == nil {
		e.asks.strangers = rate.NewLimiter(strangersPromptRate, strangersPromptBurst)
	}
	return e.mayAsk(p.id) && e.asks.strangers.Allow()
}

// mayAsk is mayPrompt for what every peer is held to. Call with Engine.mu held.
func (e *Engine) mayAsk(id PeerID) bool {
	a := e.askerOf(id)
	if a.prompts == nil {
		a.prompts = rate.NewLimiter(promptRate, promptBurst)
	}
	return a.prompts.Allow()
}

// mayTell tells whether id may have us dial one more peer. Call with Engine.mu held.
func (e *Engine) mayTell(id PeerID) bool {
	a := e.askerOf(id)
	if a.told == nil {
		a.told = rate.NewLimiter(rate.Every(toldEvery), maxTold)
	}
	return e.asks.peers[id] == a && a.told.Allow() // one that is not kept counts nothing
}

// takes tells whether id may be told of one more peer: it would not dial more. Call with Engine.mu held.
func (e *Engine) takes(id PeerID) bool {
	a := e.askerOf(id)
	if a.tells == nil {
		a.tells = rate.NewLimiter(rate.Every(toldEvery), maxTold)
	}
	return a.tells.Allow()
}

// toldLately is when id was told of others, over whichever conn. Call with Engine.mu held.
func (e *Engine) toldLately(id PeerID) map[PeerID]time.Time {
	a := e.askerOf(id)
	if a.lately == nil {
		a.lately = map[PeerID]time.Time{}
	}
	if len(a.lately) > 2*maxTold { // takes keeps them few
		maps.DeleteFunc(a.lately, func(_ PeerID, at time.Time) bool { return now().Sub(at) >= time.Hour })
	}
	return a.lately
}

// forgive forgets what a peer has asked: somebody has said yes to it. Call with Engine.mu held.
func (e *Engine) forgive(id PeerID) {
	if a := e.asks.peers[id]; a != nil {
		*a = asker{told: a.told, tells: a.tells, lately: a.lately}
	}
}

// asks is what peers have asked a person. It outlives their conns, or they would only have to come again. It is guarded
// by Engine.mu.
type asks struct {
	peers     map[PeerID]*asker
	strangers *rate.Limiter // all of them together: keys are free
}

// asker is what one peer has asked, of how many others it has told, and of how many it was.
type asker struct {
	prompts  *rate.Limiter
	told     *rate.Limiter
	tells    *rate.Limiter
	lately   map[PeerID]time.Time
	declined int
	since    time.Time // of the newest no
}

// maxAskers bounds those that are remembered.
const maxAskers = 4096

// askerOf finds the record of a peer. Call with Engine.mu held.
func (e *Engine) askerOf(id PeerID) *asker {
	if e.asks.peers == nil {
		e.asks.peers = map[PeerID]*asker{}
	}
	a := e.asks.peers[id]
	if a == nil {
		for old, b := range e.asks.peers { // anyone: what all strangers cause is bounded too
			if len(e.asks.peers) < maxAskers {
				break
			}
			if b.declined == 0 || now().Sub(b.since) >= declinePause {
				delete(e.asks.peers, old)
			}
		}
		a = &asker{}
		if len(e.asks.peers) < maxAskers {
			e.asks.peers[id] = a
		}
	}
	return a
}

// crowded tells that strangers have as many conns as they may, in all or from the address of a newcomer. Call with
// Engine.mu held.
func (e *Engine) crowded(newcomer *peer, from string) bool {
	if e.profile.Peer(newcomer.id).Trust != identity.Unknown || newcomer.session != nil {
		return false
	}
	all, here := 0, 0
	for _, p := range e.peers {
		if p == newcomer || p.link == nil || p.session != nil || p.link.conn.Dialled || e.profile.Peer(p.id).Trust != identity.Unknown {
			continue
		}
		all++
		if p.link.conn.RemoteAddr().Addr().String() == from {
			here++
		}
	}
	return all >= maxStrangerConns || here >= maxStrangersPerAddr
}
