// Lightcycle is a game for 2 to 8 players in terminals on one network: every cycle leaves a trail behind it, a rider
// who hits a wall or a trail is out, and the last one wins. It is an example of a program built on multipeer/engine,
// the one that shows low latency: many small ordered writes, ten times a second.
//
// Start it in two terminals and press space in both:
//
//	go run ./examples/lightcycle -name Left -interface lo
//	go run ./examples/lightcycle -name Right -interface lo
//
// Robots need no terminal: -robot -players 3 plays one game among three and prints what happens.
//
// # What it shows of the engine
//
// Initial data. Config.Context is a player's colour and token; Peer.Context holds those of the others before anything
// else is known about them. A peer may send anything there: readCard in protocol.go keeps only the valid parts.
//
// A lobby. PeerAdded and PeerRemoved report who is there (game.go). Each player announces only its own state, by Post:
// to all when it changes, and to each peer that is added. So a latecomer knows who is ready, and a player who leaves
// takes its state with it and blocks no one.
//
// A start without a common clock. The player with the lowest PeerID in the lobby leads. It alone decides that everyone
// is ready, and sends a Start with the list of the riders; the others wait for it, and no one compares times.
// Engine.SetLooking(false, false) then closes the lobby: sessions stay, and no one new finds us. SetLooking(true, true) reopens it
// after the game.
//
// Framed streams. Every player opens a stream to the leader for its turns, and the leader opens one to every player for
// the ticks (round.go). A stream has no boundaries, hence WriteFrame and ReadFrame. A stream does not outlive a broken
// connection, but the session does, for 3 s: the first frame of a stream of turns states which tick is needed next.
//
// Hostile peers. Everything received is checked for length, value and order (protocol.go, and Board.Check); a peer that
// breaks a rule is dropped by Engine.Disconnect. Positions need no check, because none are sent: all make the same
// moves on their own board (board.go). A peer that reads no ticks is dropped too, and blocks no one in the meantime.
//
// Leaving. A player whose session ends is out and its trail stays. Without its leader, a game ends for everyone, with a
// message.
//
// Everything runs on one goroutine. The callbacks of Engine.Handle, the streams and the keys pass functions to it
// (Game.do), so the rules of the game need no lock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"multipeer/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "lightcycle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("lightcycle", flag.ContinueOnError)
	name := flags.String("name", "", "name that others see (default: the kind of this device)")
	interfaces := flags.String("interface", "", "find players on these network interfaces only (comma separated)")
	service := flags.String("service", "lightcycle", "service type: only players of the same type find each other")
	robot := flags.Bool("robot", false, "play one game without a terminal, and print what happens")
	players := flags.Int("players", MinRiders, "how many players a robot waits for")
	seed := flags.Uint64("seed", 0, "seed of the robot's dice and of the colour (default: any)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *players < MinRiders || *players > MaxRiders {
		return fmt.Errorf("the game is for %d to %d players, not %d", MinRiders, MaxRiders, *players)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	dice := rand.New(rand.NewPCG(*seed, 0))
	opt := Options{Card: newCard(dice.IntN(len(colours))), Robot: *robot, Robots: *players, Dice: dice}
	log.SetOutput(io.Discard) // the engine's multicast DNS library would log into our picture
	e, err := engine.New(config(*name, *service, split(*interfaces), opt.Card))
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g *Game
	if *robot {
		opt.Say = func(line string) { fmt.Println(line) }
		g = NewGame(e, opt)
	} else {
		screen, err := OpenScreen(os.Stdin, os.Stdout)
		if err != nil {
			return errors.Join(err, e.Close())
		}
		defer screen.Close()
		opt.Show = screen.Show
		g = NewGame(e, opt)
		go screen.Keys(func(k Key) {
			switch k {
			case KeyLeft:
				g.Turn(Left)
			case KeyRight:
				g.Turn(Right)
			case KeyReady:
				g.Commit()
			case KeyQuit:
				cancel()
			}
		})
	}

	// The engine has its own context: it ends after the game, and says goodbye to all players.
	running, end := context.WithCancel(context.Background())
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(running) }()
	played := g.Play(ctx)
	end()
	return errors.Join(played, <-ended)
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
