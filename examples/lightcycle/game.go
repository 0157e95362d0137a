package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"multipeer/engine"
)

// Options define how a player plays.
type Options struct {
	Card   card // the value of Config.Context
	Robot  bool // plays by itself, and Play returns after one game
	Robots int  // number of players for which a robot waits before it commits
	Dice   *rand.Rand
	Say    func(line string) // called with each event; must not block
	Show   func(Picture)     // called with the current picture; must not block
}

// Game is one player's view of the game: the lobby, and the current round.
//
// Only the goroutine of Play uses it. Input from elsewhere (the engine's events, streams, keys) is passed to it by do
// as a function, so nothing here needs a lock and everything happens in one order.
type Game struct {
	e    *engine.Engine
	opt  Options
	acts chan func()
	done chan struct{}   // closed when acts are no longer executed
	ctx  context.Context // Play's context
	work sync.WaitGroup

	me      player
	players map[engine.PeerID]*player // all with a session; not me
	round   *round                    // nil in the lobby
	last    *round                    // the newest one, also after its end
	linger  int                       // number of ticks for which it is still shown
	wins    map[string]int            // by token
	notice  string
	over    bool // a robot has played its game
	failed  error
}

// player is what is known of a player in the lobby.
type player struct {
	id     engine.PeerID
	name   string
	colour int
	token  string
	state  state
}

// config returns the engine's configuration for a player. It connects to everyone who is found until the table is full.
func config(name, service string, interfaces []string, c card) engine.Config {
	return engine.Config{
		Name: name, Service: service, Interfaces: interfaces,
		Invite: engine.Everyone, Accept: engine.Everyone,
		MaxPeers: MaxRiders - 1,
		Context:  c,
		Info:     map[string]string{"at": "lobby"},
	}
}

// NewGame returns a player on an engine that has that config and runs, or soon will.
func NewGame(e *engine.Engine, opt Options) *Game {
	if opt.Say == nil {
		opt.Say = func(string) {}
	}
	if opt.Show == nil {
		opt.Show = func(Picture) {}
	}
	if opt.Dice == nil {
		opt.Dice = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	self := e.Self()
	return &Game{
		e: e, opt: opt, acts: make(chan func()), done: make(chan struct{}),
		me: player{
			id: self.ID, name: label(self.Name),
			colour: max(0, slices.Index(colours[:], opt.Card.Colour)), token: opt.Card.Token,
		},
		players: map[engine.PeerID]*player{}, wins: map[string]int{},
	}
}

// Play plays until ctx or the engine ends, or, for a robot, until its game is over. The error is the reason why a
// robot's game had no result. It can be called once.
func (g *Game) Play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	g.ctx = ctx
	defer g.work.Wait()
	defer close(g.done)
	defer cancel()
	handled := g.e.Handle(ctx, engine.Handler{
		PeerAdded:     func(p engine.Peer) { g.do(func() { g.added(p) }) },
		PeerRemoved:   func(p engine.Peer, err error) { g.do(func() { g.removed(p, err) }) },
		PeerChanged:   func(p engine.Peer) { g.do(func() { g.renamed(p) }) },
		Receive:       func(m engine.Message) { g.do(func() { g.receive(m) }) },
		StreamReceive: g.stream,
		Problem:       func(err error) { g.do(func() { g.problem(err) }) },
	})
	g.work.Go(func() {
		defer cancel() // it returns early if the engine does
		<-handled
	})
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for !g.over {
		g.opt.Show(g.picture())
		select {
		case <-ctx.Done():
			g.endRound()
			return nil
		case act := <-g.acts:
			act()
		case <-tick.C:
			g.tick()
		}
		if g.opt.Robot && !g.over && g.inLobby() >= g.opt.Robots {
			g.commit()
		}
		g.startIfAllCommitted()
	}
	g.opt.Show(g.picture())
	return g.failed
}

// do runs f on the goroutine of Play.
func (g *Game) do(f func()) {
	select {
	case g.acts <- f:
	case <-g.done:
	}
}

// call is like do, but waits; it returns false if f did not run.
func (g *Game) call(f func()) bool {
	ran := make(chan struct{})
	g.do(func() { f(); close(ran) })
	select {
	case <-ran:
		return true
	case <-g.done:
		return false
	}
}

func (g *Game) say(format string, args ...any) {
	g.notice = fmt.Sprintf(format, args...)
	g.opt.Say(g.notice)
}

func (g *Game) added(p engine.Peer) {
	colour, token := readCard(p.Context, p.ID)
	for _, o := range g.players {
		if o.token == token { // a copied token must not count another player's wins twice
			token = p.ID.String()
		}
	}
	if token == g.me.token {
		token = p.ID.String()
	}
	g.players[p.ID] = &player{id: p.ID, name: label(p.Name), colour: colour, token: token}
	g.say("added: %s (%s)", label(p.Name), colours[colour])
	g.announce(p.ID) // it may have arrived after we committed, and only we announce our state
}

func (g *Game) removed(p engine.Peer, err error) {
	delete(g.players, p.ID)
	g.say("removed: %s (%v)", label(p.Name), err)
	if g.round != nil {
		g.round.left(g, p.ID)
	}
}

// renamed follows a name that changes while the peer is visible (Engine.SetName).
func (g *Game) renamed(p engine.Peer) {
	if o := g.players[p.ID]; o != nil {
		o.name = label(p.Name)
	}
}

func (g *Game) problem(err error) {
	if err != nil {
		g.say("problem: %s", engine.CleanLine(err.Error()))
	}
}

func (g *Game) receive(m engine.Message) {
	p := g.players[m.From]
	if p == nil {
		return // it has just been dropped
	}
	msg, err := readMessage(m)
	switch {
	case err != nil:
		g.drop(m.From, err)
	case msg.Start != nil:
		g.started(m.From, msg.Start)
	default:
		if msg.State.Ready && !p.state.Ready {
			g.say("ready: %s", p.name)
		}
		p.state = *msg.State
		if g.round != nil {
			g.round.elsewhere(g, m.From, p.state)
		}
	}
}

// Commit reports that this player is ready; it cannot be undone before the end of the game.
func (g *Game) Commit() { g.do(g.commit) }

func (g *Game) commit() {
	if g.round != nil || g.me.state.Ready {
		return
	}
	g.me.state.Ready = true
	g.say("ready: %s", g.me.name)
	g.tellAll()
}

func (g *Game) tellAll() {
	for id := range g.players {
		g.announce(id)
	}
}

// announce posts our state to one peer. Post keeps the order of the calls and does not wait; a peer that does not
// accept the message (its program has just started and does not read yet) gets the state of that time later.
func (g *Game) announce(to engine.PeerID) {
	state := g.me.state
	g.post(message{State: &state}, to, func(err error) {
		time.AfterFunc(retryTime, func() {
			g.do(func() {
				if g.players[to] != nil {
					g.announce(to)
				}
			})
		})
	})
}

// post sends a message to one peer; failed runs on the goroutine of Play if it was not delivered.
func (g *Game) post(m message, to engine.PeerID, failed func(error)) {
	// No context is needed: the engine ends the delivery itself when the session ends or the engine stops.
	d, err := g.e.Post(context.Background(), m, to)
	if err != nil { // the engine has ended
		return
	}
	g.work.Go(func() {
		select {
		case <-d.Done():
			if err := d.Results()[0].Err; err != nil {
				g.do(func() { failed(err) })
			}
		case <-g.done:
		}
	})
}

// drop ends the session with a peer that breaks the rules. PeerRemoved follows, and no policy reconnects the peer.
func (g *Game) drop(id engine.PeerID, err error) {
	name := "a peer"
	if p := g.players[id]; p != nil {
		name = p.name
	}
	g.say("dropped: %s (%s)", name, engine.CleanLine(err.Error()))
	g.e.Disconnect(id)
}

// inLobby counts those who may play next, including us.
func (g *Game) inLobby() int {
	n := 1
	for _, p := range g.players {
		if p.state.Game == "" {
			n++
		}
	}
	return n
}

// startIfAllCommitted starts a game if this player has the lowest ID of those in the lobby. Only its view counts: the
// others wait for its start, so different views of the lobby cannot start different games with the same players.
func (g *Game) startIfAllCommitted() {
	if g.round != nil || !g.me.state.Ready {
		return
	}
	riders := []player{g.me}
	for _, p := range g.players {
		if p.state.Game != "" {
			continue // plays elsewhere
		}
		if !p.state.Ready || p.id.Less(g.me.id) {
			return
		}
		riders = append(riders, *p)
	}
	if len(riders) < MinRiders {
		return
	}
	slices.SortFunc(riders, func(a, b player) int {
		if a.id.Less(b.id) {
			return -1
		}
		return 1
	})
	s := &start{Game: newGameID()}
	taken := map[int]bool{}
	for _, p := range riders {
		for taken[p.colour] { // if two have the same colour, the lower ID keeps it
			p.colour = (p.colour + 1) % len(colours)
		}
		taken[p.colour] = true
		s.Riders = append(s.Riders, entry{p.id, p.name, p.colour})
	}
	s.numberSame()
	r := g.begin(s, 0)
	for _, e := range s.Riders[1:] {
		g.post(message{Start: s}, e.ID, func(error) { r.left(g, e.ID) })
	}
	g.tellAll()
}

// numberSame numbers riders with the same name: "X wins" must be unambiguous.
func (s *start) numberSame() {
	count := map[string]int{}
	for i := range s.Riders {
		name := s.Riders[i].Name
		count[name]++
		if count[name] > 1 {
			s.Riders[i].Name = fmt.Sprintf("%s #%d", name, count[name])
		}
	}
}

// started handles a leader's start.
func (g *Game) started(from engine.PeerID, s *start) {
	seat := s.seat(g.me.id)
	switch {
	case seat < 0:
		g.drop(from, breach("a start without us"))
	case g.round != nil || !g.me.state.Ready:
		g.announce(from) // the leader did not know, and will now remove us
	default:
		g.begin(s, seat)
		g.tellAll()
	}
}

// begin closes the lobby: no one can find us now, and the sessions stay.
func (g *Game) begin(s *start, seat int) *round {
	r := newRound(g.ctx, s, seat)
	g.round, g.last = r, r
	g.me.state = state{Ready: true, Game: s.Game}
	g.e.SetLooking(false, false)
	_ = g.e.SetInfo(map[string]string{"at": "playing"}) // the info is valid
	var names []string
	for _, e := range s.Riders {
		names = append(names, e.Name)
	}
	g.say("start: %s; leader %s", strings.Join(names, ", "), names[0])
	if !r.leads() {
		g.work.Go(func() { g.ride(r) })
	}
	return r
}

// endRound reopens the lobby.
func (g *Game) endRound() {
	if g.round == nil {
		return
	}
	g.round.end()
	g.round, g.linger = nil, linger
	g.over = g.opt.Robot
	g.me.state = state{}
	_ = g.e.SetInfo(map[string]string{"at": "lobby"})
	g.e.SetLooking(true, true)
	g.tellAll()
}

// abort ends a game without a result.
func (g *Game) abort(r *round, why string) {
	if g.round != r {
		return
	}
	g.say("no winner: %s", why)
	g.failed = errors.New(why)
	g.endRound()
}

// Turn turns our cycle.
func (g *Game) Turn(t Turn) { g.do(func() { g.turn(t) }) }

func (g *Game) turn(t Turn) {
	r := g.round
	switch {
	case r == nil || r.board.Riders[r.me].Out:
	case r.leads():
		r.turned(r.me, t)
	default:
		select {
		case r.turns <- t:
		default: // faster than the leader accepts them
		}
	}
}

// Picture is a copy of what is to be shown.
type Picture struct {
	Notice string
	Ready  bool
	Lobby  []Seat // by name, we are first
	Board  *Board // the current round, or the last one; nil before the first
	Riders []entry
	Me     int  // our rider
	Live   bool // the round is running
	Linger bool // it has just ended
}

// Seat is one player in the lobby.
type Seat struct {
	Name, At string
	Colour   int
	Wins     int
}

func (g *Game) picture() Picture {
	p := Picture{Notice: g.notice, Ready: g.me.state.Ready, Live: g.round != nil, Lobby: []Seat{g.seat(g.me)}}
	for _, o := range slices.SortedFunc(maps.Values(g.players), func(a, b *player) int {
		return strings.Compare(a.name+a.id.String(), b.name+b.id.String())
	}) {
		p.Lobby = append(p.Lobby, g.seat(*o))
	}
	if r := g.last; r != nil {
		p.Board, p.Riders, p.Me = r.board.Clone(), r.start.Riders, r.me
		p.Linger = g.linger > 0
	}
	return p
}

func (g *Game) seat(p player) Seat {
	s := Seat{Name: p.name, Colour: p.colour, Wins: g.wins[p.token], At: "chooses"}
	switch {
	case p.state.Game != "":
		s.At = "plays"
	case p.state.Ready:
		s.At = "ready"
	}
	return s
}
