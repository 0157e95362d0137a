package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"multipeer/engine"
)

const (
	tickTime  = 100 * time.Millisecond
	retryTime = 200 * time.Millisecond
	// countdown is how many ticks pass before the first move: the streams are opened in the meantime.
	countdown = 20
	// silence is how many ticks may pass without a frame from the leader; the engine notices a crash much earlier.
	silence = 150
	// goodbye is how many ticks a leader waits for the others to receive the last tick.
	goodbye = 30
	// linger is how many ticks the result stays before the lobby is shown again.
	linger = 40
	// maxTurns is how many turns of a rider may wait for their ticks; a human means no more than that.
	maxTurns = 3
	// flood is a number of turns per tick that no keyboard produces, even after a network pause.
	flood = 200
	// backlog is how many ticks are queued for a player that reads none. Beyond that, the player is dropped, so that no
	// one waits for it.
	backlog = 80
	// stall is how long one write or the hello may take.
	stall = 5 * time.Second
)

// round is one game. It belongs to the goroutine of Play.
type round struct {
	start  *start
	me     int
	board  *Board
	ctx    context.Context // ends with the round
	cancel context.CancelFunc
	wait   int // for the leader, ticks until it continues; for the others, ticks since they last heard from the leader

	// Fields of the leader, by rider.
	waiting [][]Turn
	heard   []int // turns in this tick
	gone    []bool
	has     []bool        // has the last tick
	feeds   []chan []byte // to the streams of ticks; nil if there is none
	history [][]byte      // every tick so far, for players whose stream broke

	// Fields of the others.
	turns  chan Turn
	ridden bool          // a stream of turns was opened before
	again  chan struct{} // the stream of ticks has ended before the game
	stream int           // counts the streams of both kinds; only the newest one is used
}

func newRound(ctx context.Context, s *start, me int) *round {
	n := len(s.Riders)
	r := &round{
		start: s, me: me, board: NewBoard(n), waiting: make([][]Turn, n), heard: make([]int, n), gone: make([]bool, n),
		has: make([]bool, n), feeds: make([]chan []byte, n), turns: make(chan Turn, maxTurns), again: make(chan struct{}, 1),
	}
	if r.leads() {
		r.wait = countdown
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

func (r *round) leads() bool           { return r.me == 0 }
func (r *round) leader() engine.PeerID { return r.start.Riders[0].ID }

// left handles a peer that no longer has a session. A rider is out at the next tick, and its trail stays: the others
// have steered around it. Without its leader, the round is over.
func (r *round) left(g *Game, id engine.PeerID) {
	seat := r.start.seat(id)
	switch {
	case seat < 0:
	case r.leads():
		r.gone[seat], r.has[seat] = true, true
		r.stopFeed(seat)
	case seat == 0:
		g.abort(r, "the leader, "+r.start.Riders[0].Name+", has left")
	}
}

// elsewhere handles a rider that had started another game, or was not ready, when our start arrived.
func (r *round) elsewhere(g *Game, id engine.PeerID, s state) {
	if r.leads() && s.Game != r.start.Game && (s.Game != "" || !s.Ready) {
		r.left(g, id)
	}
}

func (r *round) turned(rider int, t Turn) {
	if len(r.waiting[rider]) < maxTurns {
		r.waiting[rider] = append(r.waiting[rider], t)
	}
}

// tick is the clock of the game: only the leader's moves the board.
func (g *Game) tick() {
	r := g.round
	switch {
	case r == nil:
		g.linger = max(0, g.linger-1)
	case !r.leads():
		r.wait++
		if r.wait > silence {
			g.abort(r, "the leader, "+r.start.Riders[0].Name+", has stopped responding")
		}
	case r.board.Over():
		r.wait--
		if r.wait <= 0 || !slices.Contains(r.has[1:], false) {
			g.endRound()
		}
	case r.wait > 0:
		r.wait--
	default:
		g.lead(r)
	}
}

// lead makes one tick and streams it.
func (g *Game) lead(r *round) {
	moves := make([]Turn, len(r.board.Riders))
	for i := range moves {
		switch {
		case r.board.Riders[i].Out:
		case r.gone[i]:
			moves[i] = Leave
		case len(r.waiting[i]) > 0:
			moves[i], r.waiting[i] = r.waiting[i][0], r.waiting[i][1:]
		}
		r.heard[i] = 0
	}
	frame := tickFrame(r.board.Tick+1, moves)
	r.history = append(r.history, frame)
	g.step(r, moves)
	for i, feed := range r.feeds {
		if feed == nil {
			continue
		}
		select {
		case feed <- frame:
		default:
			r.stopFeed(i)
			g.drop(r.start.Riders[i].ID, breach("takes no ticks"))
		}
	}
	if r.board.Over() {
		r.wait = goodbye
		for i := range r.feeds {
			r.stopFeed(i)
		}
	}
}

// step advances the board and reports what has happened. The moves were checked.
func (g *Game) step(r *round, moves []Turn) {
	before := slices.Clone(r.board.Riders)
	_ = r.board.Step(moves)
	for i, now := range r.board.Riders {
		if now.Out && !before[i].Out {
			g.say("out: %s (tick %d)", r.start.Riders[i].Name, r.board.Tick)
		}
	}
	if winner, ok := r.board.Winner(); ok {
		e := r.start.Riders[winner]
		if e.ID == g.me.id {
			g.wins[g.me.token]++
		} else if p := g.players[e.ID]; p != nil {
			g.wins[p.token]++
		}
		g.say("winner: %s", e.Name)
	} else if r.board.Over() {
		g.say("draw")
	} else if g.opt.Robot {
		if t := pilot(r.board, r.me, g.opt.Dice); t != Straight {
			g.turn(t)
		}
	}
}

// stream runs on its own goroutine and handles a stream that another player has opened; Handle closes it at the end.
func (g *Game) stream(s *engine.Stream) {
	if game, ok := strings.CutPrefix(s.Name, turnsPrefix); ok {
		g.takeTurns(s, game)
	} else if game, ok := strings.CutPrefix(s.Name, boardPrefix); ok {
		g.takeBoard(s, game)
	} else {
		g.do(func() { g.drop(s.Peer, breach("an unknown stream")) })
	}
}

// takeTurns is the leader's end of a player's stream.
func (g *Game) takeTurns(s *engine.Stream, game string) {
	s.SetReadDeadline(time.Now().Add(stall))
	hello, err := s.ReadFrame(helloSize)
	if err != nil {
		g.judge(s.Peer, err)
		return
	}
	s.SetReadDeadline(time.Time{})
	var r *round
	seat := -1
	g.call(func() {
		if g.round == nil || !g.round.leads() || g.round.start.Game != game {
			return
		}
		if seat = g.round.start.seat(s.Peer); seat < 0 || g.round.gone[seat] {
			return
		}
		next, err := readHello(hello, len(g.round.history))
		if err != nil {
			g.drop(s.Peer, err)
			return
		}
		r = g.round
		g.feed(r, seat, next)
	})
	if r == nil {
		s.Reset(codeOver)
		return
	}
	defer context.AfterFunc(r.ctx, func() { s.Reset(codeOver) })()
	for {
		frame, err := s.ReadFrame(turnSize)
		if errors.Is(err, io.EOF) {
			g.do(func() { r.has[seat] = true }) // matters only when the game is over: it was closed after the last tick
			return
		}
		turn := Straight
		if err == nil {
			turn, err = readTurn(frame)
		}
		if err != nil {
			g.judge(s.Peer, err)
			return
		}
		g.do(func() {
			r.heard[seat]++
			if r.heard[seat] > flood {
				g.drop(s.Peer, breach("%d turns in a tick", r.heard[seat]))
			}
			r.turned(seat, turn)
		})
	}
}

// judge drops a peer for a violation, but not for a broken connection.
func (g *Game) judge(id engine.PeerID, err error) {
	if errors.Is(err, errBreach) || errors.Is(err, engine.ErrTooLarge) {
		g.do(func() { g.drop(id, err) })
	}
}

// feed streams the ticks to a player, starting with the one that it needs. An earlier stream to the player has broken.
func (g *Game) feed(r *round, seat, next int) {
	r.stopFeed(seat)
	id, old, feed := r.start.Riders[seat].ID, slices.Clone(r.history[next-1:]), make(chan []byte, backlog)
	r.feeds[seat], r.has[seat] = feed, false
	if r.board.Over() {
		r.stopFeed(seat)
	}
	g.work.Go(func() {
		s, err := g.e.OpenStream(r.ctx, id, boardPrefix+r.start.Game)
		if err != nil {
			return // the player opens another stream of turns, or is gone
		}
		defer s.Close()
		defer context.AfterFunc(r.ctx, func() { s.Reset(codeOver) })()
		write := func(frame []byte) bool {
			s.SetWriteDeadline(time.Now().Add(stall))
			return s.WriteFrame(frame) == nil
		}
		for _, frame := range old {
			if !write(frame) {
				return
			}
		}
		for frame := range feed {
			if !write(frame) {
				return
			}
		}
	})
}

func (r *round) stopFeed(seat int) {
	if r.feeds[seat] != nil {
		close(r.feeds[seat])
		r.feeds[seat] = nil
	}
}

// end ends all streams of the round.
func (r *round) end() {
	r.cancel()
	for i := range r.feeds {
		r.stopFeed(i)
	}
}

// takeBoard is a player's end of the leader's stream.
func (g *Game) takeBoard(s *engine.Stream, game string) {
	var r *round
	stream := 0
	g.call(func() {
		if g.round != nil && !g.round.leads() && g.round.leader() == s.Peer && g.round.start.Game == game {
			r = g.round
			r.stream++
			stream = r.stream
		}
	})
	if r == nil {
		s.Reset(codeOver)
		return
	}
	for {
		frame, err := s.ReadFrame(tickSize)
		if err != nil {
			g.judge(s.Peer, err)
			g.do(func() { r.replaceStreams(stream) })
			return
		}
		g.do(func() { g.follow(r, frame) })
	}
}

// replaceStreams requests new streams, unless the stream that ended was already replaced.
func (r *round) replaceStreams(stream int) {
	if stream != r.stream {
		return
	}
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// follow applies the leader's tick to our board.
func (g *Game) follow(r *round, frame []byte) {
	if g.round != r {
		return
	}
	moves, err := readTick(frame, r.board)
	switch {
	case err != nil:
		g.drop(r.leader(), err)
	case moves != nil:
		r.wait = 0
		g.step(r, moves)
		if r.board.Over() {
			g.endRound() // closes our stream, which shows the leader that we have everything
		}
	}
}

// ride keeps a stream of turns to the leader until the round ends. A stream does not outlive a broken connection, but
// the session may: then a new stream continues with the missing tick.
func (g *Game) ride(r *round) {
	for r.ctx.Err() == nil {
		err := g.rideOnce(r)
		if reset := (*engine.ResetError)(nil); errors.As(err, &reset) && reset.Code == codeOver {
			g.do(func() { g.abort(r, "the leader, "+r.start.Riders[0].Name+", is playing without us") })
			return
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(retryTime):
		}
	}
}

func (g *Game) rideOnce(r *round) error {
	next := 0
	if !g.call(func() {
		next = r.board.Tick + 1
		if r.ridden {
			g.say("again: the streams to the leader, from tick %d", next)
		}
		r.ridden = true
		r.stream++
		select {
		case <-r.again: // from an earlier stream
		default:
		}
	}) {
		return nil
	}
	s, err := g.e.OpenStream(r.ctx, r.leader(), turnsPrefix+r.start.Game)
	if err != nil {
		return err
	}
	defer s.Close()
	write := func(frame []byte) error {
		s.SetWriteDeadline(time.Now().Add(stall))
		return s.WriteFrame(frame)
	}
	if err := write(helloFrame(next)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	g.work.Go(func() { // the leader writes nothing here: a read only returns the end
		n, err := s.Read(make([]byte, 1))
		if n > 0 {
			g.judge(s.Peer, breach("writes to a stream of turns"))
		}
		ended <- err
	})
	for {
		select {
		case t := <-r.turns:
			if err := write([]byte{byte(t)}); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-r.again:
			return io.ErrUnexpectedEOF
		case <-r.ctx.Done():
			return nil
		}
	}
}
