// Command whiteboard shares a board of notes with everyone, including those who join late. Each line of input is a
// note.
//
// The board is a set of notes, so neither the order nor repetitions matter: a peer that is added gets the whole board,
// and the boards become equal.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"

	"multipeer/engine"
)

// chunk is how many notes go into one message.
const chunk = 500

type note struct {
	Author engine.PeerID `json:"author"`
	Number int           `json:"number"`
	Text   string        `json:"text"`
}

type key struct {
	author engine.PeerID
	number int
}

type board struct {
	mu    sync.Mutex
	notes map[key]note
}

// add adds notes and prints the board's size and digest if any is new.
func (b *board) add(notes []note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.notes)
	for _, n := range notes {
		k := key{n.Author, n.Number}
		if _, known := b.notes[k]; !known {
			b.notes[k] = n
		}
	}
	if len(b.notes) > before {
		encoded, err := json.Marshal(b.allLocked())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %.6x\n", len(b.notes), sha256.Sum256(encoded))
	}
}

func (b *board) all() []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.allLocked()
}

func (b *board) allLocked() []note {
	var all []note
	for _, n := range b.notes {
		all = append(all, n)
	}
	slices.SortFunc(all, func(x, y note) int { return cmp.Or(x.Author.Compare(y.Author), x.Number-y.Number) })
	return all
}

func main() {
	cfg := engine.Config{Service: "whiteboard", Invite: engine.Everyone, Accept: engine.Everyone}
	flag.StringVar(&cfg.Name, "name", "", "your name; if empty, the kind of device and its ID")
	flag.StringVar(&cfg.Service, "service", cfg.Service, "service type: only programs of the same type find each other")
	flag.Func("interface", "network interface to use (default all)", func(s string) error { cfg.Interfaces = append(cfg.Interfaces, s); return nil })
	flag.Parse()
	if err := run(context.Background(), cfg); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, cfg engine.Config) error {
	e, err := engine.New(cfg)
	if err != nil {
		return err
	}
	topic, b := e.Topic("board"), &board{notes: map[key]note{}}
	messages := topic.Messages(ctx)
	handled := e.Handle(ctx, engine.Handler{PeerAdded: func(p engine.Peer) { // p gets all notes, however late it joins
		for part := range slices.Chunk(b.all(), chunk) {
			if _, err := topic.Post(ctx, part, p.ID); err != nil {
				return
			}
		}
	}})
	if err := e.Start(ctx); err != nil {
		return err
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for m := range messages {
			var notes []note
			if m.Decode(&notes) == nil {
				b.add(notes)
			}
		}
	})
	in := bufio.NewScanner(os.Stdin)
	for number := 1; in.Scan(); number++ {
		n := []note{{e.Self().ID, number, in.Text()}}
		b.add(n)
		_, _ = topic.Post(ctx, n, engine.Broadcast) // if no one is connected, newcomers get it later
	}
	err = e.Shutdown(ctx)
	reading.Wait()
	<-handled
	return err
}
