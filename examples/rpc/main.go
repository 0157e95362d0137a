// Command rpc calls functions of another device.
//
//	rpc -name Ben                     serves
//	rpc -name Anna Ben add 1 2.5      calls add on Ben's device, with JSON arguments
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"multipeer/engine"
)

// call is a request; its answer is what the function returns.
type call struct {
	Function string            `json:"function"`
	Args     []json.RawMessage `json:"args"`
}

// functions lists all functions that can be called, whatever a peer asks for.
var functions = map[string]func([]json.RawMessage) (any, error){
	"add": func(args []json.RawMessage) (any, error) {
		var sum float64
		for _, a := range args {
			var n float64
			if err := json.Unmarshal(a, &n); err != nil {
				return nil, err
			}
			sum += n
		}
		return sum, nil
	},
	"upper": func(args []json.RawMessage) (any, error) {
		var text string
		if len(args) != 1 || json.Unmarshal(args[0], &text) != nil {
			return nil, errors.New("upper takes one string")
		}
		return strings.ToUpper(text), nil
	},
	"system": func([]json.RawMessage) (any, error) { return runtime.GOOS, nil },
}

func answer(_ context.Context, m engine.Message) (any, error) {
	var c call
	if err := m.Decode(&c); err != nil {
		return nil, err
	}
	f := functions[c.Function]
	if f == nil {
		return nil, errors.New("no such function")
	}
	return f(c.Args)
}

func main() {
	cfg := engine.Config{Service: "rpc", Invite: engine.Everyone, Accept: engine.Everyone}
	flag.StringVar(&cfg.Name, "name", "", "your name; if empty, the kind of device and its ID")
	flag.StringVar(&cfg.Service, "service", cfg.Service, "service type: only programs of the same type find each other")
	flag.Func("interface", "network interface to use (default all)", func(s string) error { cfg.Interfaces = append(cfg.Interfaces, s); return nil })
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, cfg engine.Config, args []string) error {
	e, err := engine.New(cfg)
	if err != nil {
		return err
	}
	if err := e.Start(ctx); err != nil {
		return err
	}
	defer e.Close()
	rpc := e.Topic("rpc")
	if len(args) == 0 {
		rpc.Answer(answer)
		fmt.Println("serving as", e.Self().Name)
		<-e.Done()
		return nil
	}
	if len(args) < 2 {
		return errors.New("usage: rpc [-name NAME] [PEER FUNCTION ARGUMENT...]")
	}
	c := call{Function: args[1], Args: []json.RawMessage{}}
	for _, a := range args[2:] {
		c.Args = append(c.Args, json.RawMessage(a))
	}
	peer, err := find(ctx, e, args[0])
	if err != nil {
		return err
	}
	reply, err := rpc.Request(ctx, c, peer)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Function, err)
	}
	fmt.Println(string(reply.Body))
	return nil
}

// find waits for a connected peer with a name.
func find(ctx context.Context, e *engine.Engine, name string) (engine.PeerID, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for range e.WatchState(ctx) {
		if p, err := e.FindPeer(name); err == nil && p.HasSession() {
			return p.ID, nil
		}
	}
	return engine.PeerID{}, fmt.Errorf("%s was not found", name)
}
