// Command chat talks with everyone nearby who also runs it: the Pythonista module's minimal chat. It shows the four
// calls that most programs need: New, Run, Handle and Send. Typed lines are sent to all; Ctrl-D ends it.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"

	"multipeer/engine"
)

func main() {
	cfg := engine.Config{Service: "chat", Invite: engine.Everyone, Accept: engine.Everyone, Context: runtime.GOOS}
	flag.StringVar(&cfg.Name, "name", "", "your name; if empty, the kind of device and its ID")
	flag.StringVar(&cfg.Service, "service", cfg.Service, "service type: only programs of the same type find each other")
	flag.Func("interface", "network interface to use (default all)", func(s string) error { cfg.Interfaces = append(cfg.Interfaces, s); return nil })
	flag.Parse()
	e, err := engine.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if _, err := e.Send(ctx, in.Text(), engine.Broadcast); err != nil {
				fmt.Println("Not delivered:", err)
			}
		}
		stop()
	}()
	e.Handle(ctx, engine.Handler{
		PeerAdded:   func(p engine.Peer) { fmt.Println("Added:", p.Name, "on", engine.CleanLine(string(p.Context))) },
		PeerRemoved: func(p engine.Peer, err error) { fmt.Println("Removed:", p.Name) },
		Receive:     func(m engine.Message) { fmt.Printf("%s: %s\n", m.Name, engine.CleanLine(string(m.Body))) },
	})
	if err := e.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
