// Command dropfolder is a folder that several devices share: a file that is put into it arrives on all of them.
//
// Only programs with the same service type take part: choose one that is hard to guess, or verify the devices first and
// use engine.Verified.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/transfer"
)

// pause is the interval at which the folder is scanned.
const pause = 500 * time.Millisecond

// folder is the shared folder on this device.
type folder struct {
	dir string
	e   *engine.Engine

	mu       sync.Mutex
	received map[string]bool
	sent     map[sending]bool
}

type sending struct {
	to   engine.PeerID
	name string
}

func main() {
	cfg := engine.Config{Service: "dropfolder", Invite: engine.Everyone, Accept: engine.Everyone}
	flag.StringVar(&cfg.Name, "name", "", "your name; if empty, the kind of device and its ID")
	flag.StringVar(&cfg.Service, "service", cfg.Service, "service type: only programs of the same type find each other")
	flag.Func("interface", "network interface to use (default all)", func(s string) error { cfg.Interfaces = append(cfg.Interfaces, s); return nil })
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, cfg engine.Config, dir string) error {
	if dir == "" {
		return errors.New("usage: dropfolder [-name NAME] FOLDER")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	e, err := engine.New(cfg)
	if err != nil {
		return err
	}
	f := &folder{dir: dir, e: e, received: map[string]bool{}, sent: map[sending]bool{}}
	e.HandleOffers(f.accept)
	if err := e.Start(ctx); err != nil {
		return err
	}
	defer e.Close()
	var sends sync.WaitGroup
	defer sends.Wait()
	before := map[string]int64{}
	for ctx.Err() == nil {
		now, err := f.files()
		if err != nil {
			return err
		}
		for name, size := range now {
			if was, seen := before[name]; !seen || was != size { // it may still grow
				continue
			}
			for _, p := range e.Peers() {
				if p.HasSession() && f.begin(sending{p.ID, name}) {
					sends.Go(func() { f.send(ctx, p, name) })
				}
			}
		}
		before = now
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// files lists the files of the folder with their sizes.
func (f *folder) files() (map[string]int64, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(info.Name(), ".") {
			sizes[info.Name()] = info.Size()
		}
	}
	return sizes, nil
}

// begin reports whether a file has to be sent to a peer.
func (f *folder) begin(s sending) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.received[s.name] || f.sent[s] {
		return false
	}
	f.sent[s] = true
	return true
}

func (f *folder) send(ctx context.Context, to engine.Peer, name string) {
	t, err := f.e.Offer(ctx, to.ID, filepath.Join(f.dir, name))
	if err == nil {
		t, err = f.e.Wait(ctx, t.ID)
	}
	if err != nil { // it is retried later
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sent, sending{to.ID, name})
		fmt.Printf("%s to %s: %v\n", name, to.Name, err)
		return
	}
	fmt.Printf("sent %s to %s\n", name, to.Name)
}

func (f *folder) accept(o *engine.Offer) {
	f.mu.Lock()
	for _, name := range o.Transfer.Names {
		f.received[name] = true
	}
	f.mu.Unlock()
	if err := o.Accept(engine.AcceptOptions{Dir: f.dir, Existing: transfer.SkipIdentical}); err != nil {
		fmt.Printf("%s: %v\n", strings.Join(o.Transfer.Names, ", "), err)
	}
}
