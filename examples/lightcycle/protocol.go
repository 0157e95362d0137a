package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"multipeer/engine"
)

// colours lists the colours that a player may have, in the terminal's order.
var colours = [MaxRiders]string{"red", "green", "yellow", "blue", "magenta", "cyan", "white", "orange"}

// errBreach reports input that no honest player sends. Its sender is dropped.
var errBreach = errors.New("breaks the rules of the game")

func breach(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errBreach}, args...)...)
}

// card is the initial data: what another player knows before this one appears in its lobby (Config.Context).
type card struct {
	Colour string `json:"colour"`
	Token  string `json:"token"` // random; wins are counted by it
}

func newCard(colour int) card {
	var token [8]byte
	rand.Read(token[:])
	return card{Colour: colours[colour], Token: hex.EncodeToString(token[:])}
}

// readCard reads a peer's card. Peer.Context is any JSON, or nil: missing or invalid values are derived from the peer's
// ID, which is proven. A bad card is not a reason to exclude a player.
func readCard(raw json.RawMessage, id engine.PeerID) (colour int, token string) {
	var c card
	_ = json.Unmarshal(raw, &c) // use what could be read
	colour = slices.Index(colours[:], c.Colour)
	if colour < 0 {
		colour = int(id[0]) % len(colours)
	}
	if b, err := hex.DecodeString(c.Token); err != nil || len(b) != 8 {
		c.Token = id.String()
	}
	return colour, c.Token
}

// message is what Post sends: one of the two.
type message struct {
	State *state `json:"state,omitempty"`
	Start *start `json:"start,omitempty"`
}

// state is what a player announces about itself: to all when it changes, and to each peer that is added.
type state struct {
	Ready bool   `json:"ready"`          // has committed
	Game  string `json:"game,omitempty"` // the game that it plays; empty in the lobby
}

// start is sent by the leader: the list of riders, in the order of their IDs, with the leader first.
type start struct {
	Game   string  `json:"game"`
	Riders []entry `json:"riders"`
}

// entry is one rider. It gives the rider the same name and colour for all players, even if two chose the same colour or
// have not met yet.
type entry struct {
	ID     engine.PeerID `json:"id"`
	Name   string        `json:"name"`
	Colour int           `json:"colour"`
}

// readMessage parses a peer's message. The names in it are made safe to display.
func readMessage(m engine.Message) (message, error) {
	var msg message
	if err := json.Unmarshal(m.Body, &msg); err != nil {
		return msg, breach("%v", err)
	}
	switch {
	case m.Unreliable || (msg.State == nil) == (msg.Start == nil):
		return msg, breach("neither a state nor a start")
	case msg.State != nil && msg.State.Game != "" && !validGame(msg.State.Game):
		return msg, breach("a game without an ID")
	case msg.Start != nil:
		return msg, msg.Start.check(m.From)
	}
	return msg, nil
}

func (s *start) check(from engine.PeerID) error {
	switch n := len(s.Riders); {
	case !validGame(s.Game):
		return breach("a game without an ID")
	case n < MinRiders || n > MaxRiders:
		return breach("a game of %d", n)
	case s.Riders[0].ID != from:
		return breach("a leader without the lowest ID")
	}
	for i := range s.Riders {
		r := &s.Riders[i]
		if i > 0 && !s.Riders[i-1].ID.Less(r.ID) {
			return breach("riders out of order")
		}
		if r.Colour < 0 || r.Colour >= len(colours) {
			return breach("colour %d", r.Colour)
		}
		r.Name = label(r.Name)
	}
	return nil
}

// seat returns which rider a peer is; -1 is none.
func (s *start) seat(id engine.PeerID) int {
	return slices.IndexFunc(s.Riders, func(e entry) bool { return e.ID == id })
}

const gameBytes = 8

func newGameID() string {
	var id [gameBytes]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

func validGame(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == gameBytes
}

// maxLabel is how many characters of a name are shown.
const maxLabel = 20

// label makes a name fit for one line of a terminal.
func label(name string) string {
	r := []rune(strings.TrimSpace(engine.CleanLine(name)))
	if len(r) > maxLabel {
		r = append(r[:maxLabel-1], '…')
	}
	if len(r) == 0 {
		return "player"
	}
	return string(r)
}

// The streams. Their names contain the ID of the game, so that a late stream is not mistaken for one of the next game.
const (
	turnsPrefix = "turns " // from each player to the leader: a hello, then one frame for each turn
	boardPrefix = "board " // from the leader to each player: one frame for each tick
	// codeOver resets a stream of a game that is over, or in which the peer does not take part.
	codeOver uint16 = 1
	// helloSize, turnSize and tickSize limit the frames.
	helloSize = 4
	turnSize  = 1
	tickSize  = 4 + MaxRiders
)

// helloFrame opens a stream of turns: it names the tick that the player needs next, so that a player whose connection
// broke receives what it has missed.
func helloFrame(next int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(next)) }

func readHello(b []byte, last int) (next int, err error) {
	if len(b) != helloSize {
		return 0, breach("a hello of %d bytes", len(b))
	}
	n := binary.BigEndian.Uint32(b)
	if n < 1 || int64(n) > int64(last)+1 {
		return 0, breach("tick %d of %d", n, last)
	}
	return int(n), nil
}

func readTurn(b []byte) (Turn, error) {
	if len(b) != turnSize || Turn(b[0]) != Left && Turn(b[0]) != Right {
		return Straight, breach("turn % x", b)
	}
	return Turn(b[0]), nil
}

// tickFrame encodes the number of a tick, from 1, and each rider's move in it.
func tickFrame(tick int, moves []Turn) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(tick))
	for _, m := range moves {
		b = append(b, byte(m))
	}
	return b
}

// readTick parses a tick for a board; it returns nil for moves that the board already has.
func readTick(raw []byte, board *Board) ([]Turn, error) {
	if len(raw) != 4+len(board.Riders) {
		return nil, breach("a tick of %d bytes", len(raw))
	}
	switch tick := binary.BigEndian.Uint32(raw); {
	case tick == 0 || tick == math.MaxUint32 || int64(tick) > int64(board.Tick)+1:
		return nil, breach("tick %d after %d", tick, board.Tick)
	case int64(tick) <= int64(board.Tick):
		return nil, nil // an earlier stream delivered it
	}
	moves := make([]Turn, len(board.Riders))
	for i, b := range bytes.Clone(raw[4:]) {
		moves[i] = Turn(b)
	}
	if err := board.Check(moves); err != nil {
		return nil, breach("%v", err)
	}
	return moves, nil
}
