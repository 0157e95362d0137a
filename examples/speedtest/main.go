// Command speedtest measures round trips to every nearby peer that also runs it, in the three ways of the Pythonista
// module's ping test: as a reliable message, as an unreliable one, and over a byte stream. The programs answer, not the
// engines, so the figures are those that a game would see.
//
// What it shows of the engine: unreliable messages and their loss, framed streams, Path, and a program that serves and
// asks at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"multipeer/engine"
)

func main() {
	cfg := engine.Config{Service: "speedtest", Invite: engine.Everyone, Accept: engine.Everyone}
	flag.StringVar(&cfg.Name, "name", "", "name of this device; if empty, its kind and ID")
	flag.StringVar(&cfg.Service, "service", cfg.Service, "service type: only programs of the same type find each other")
	flag.Func("interface", "network interface to use (default all)", func(s string) error {
		cfg.Interfaces = append(cfg.Interfaces, s)
		return nil
	})
	pings := flag.Int("n", 1000, "round trips in each way; 0 only answers")
	peers := flag.Int("peers", 0, "end when this many peers have been measured; 0 means never")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, *pings, *peers, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "speedtest:", err)
		os.Exit(1)
	}
}

// run serves and measures until ctx ends or enough peers have been measured.
func run(ctx context.Context, cfg engine.Config, pings, peers int, out io.Writer) error {
	e, err := engine.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	t := newTester(e, out)
	handled := e.Handle(ctx, t.handler(ctx)) // before Run, so that nothing is missed
	go func() { ended <- e.Run(ctx) }()
	go func() {
		defer stop()
		for n := 0; peers == 0 || n < peers; {
			select {
			case id := <-t.added:
				if pings == 0 {
					continue
				}
				if err := t.measure(ctx, id, pings); err != nil {
					fmt.Fprintf(out, "%v: %v\n", id.Short(), err)
					continue
				}
				n++
			case <-ctx.Done():
				return
			}
		}
	}()
	<-handled
	return <-ended
}
