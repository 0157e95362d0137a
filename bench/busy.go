package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine"
)

// measureBusy sends a file that saturates a 1 Gbit/s line, and messages at the same time.
func measureBusy(ctx context.Context, dir string, w *report) error {
	at, err := layGigabit(ctx)
	if errors.Is(err, errNoNamespaces) {
		fmt.Printf("\nmessages during a file transfer on 1 Gbit/s: skipped, %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer at.remove()
	path := filepath.Join(dir, "for-pings")
	const size = 1 << 30
	if err := writeRandom(path, size); err != nil {
		return err
	}
	all := contenders(at, job{name: "medium"})
	c := all[slices.IndexFunc(all, func(c contender) bool { return c.name == engineAlone })]
	c.send = func(at *line, j job, _ string) []string {
		return []string{self, "role", "mp-ping", at.to + ":" + port, j.path}
	}
	r, err := c.run(ctx, at, job{"file", "a file", path, 1, size, false}, filepath.Join(dir, "out"))
	if err != nil {
		return err
	}
	text := "Round trips of messages on a 1 Gbit/s line: " + r.note + "."
	fmt.Println("\n" + text)
	w.notes = append(w.notes, text)
	return nil
}

// pingOurs is the role that sends a file and measures round trips before and during the transfer.
func pingOurs(to, path string) error {
	e, stop, err := runEngine(engine.Config{Name: "sender"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	id, err := e.Dial(ctx, to)
	if err != nil {
		return err
	}
	if err := e.Invite(ctx, id); err != nil {
		return err
	}
	trips := func(n int, until <-chan struct{}) (out []time.Duration, err error) {
		for len(out) < n {
			select {
			case <-until:
				return out, nil
			case <-time.After(2 * time.Millisecond):
			}
			d, err := e.Ping(ctx, id, engine.PingReliable)
			if err != nil {
				return out, err
			}
			out = append(out, d)
		}
		return out, nil
	}
	idle, err := trips(1000, nil)
	if err != nil {
		return err
	}
	t, err := e.Offer(ctx, id, path)
	if err != nil {
		return err
	}
	moved := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(moved)
		t, err = e.Wait(ctx, t.ID)
	}()
	busy, pingErr := trips(1<<30, moved)
	if pingErr != nil {
		// The receiver exits after the receipt, so the last round trip may find no peer.
		select {
		case <-moved:
			pingErr = nil
		case <-time.After(time.Second):
		}
	}
	<-moved
	if err = errors.Join(err, pingErr, t.Err); err != nil {
		return err
	}
	fmt.Printf("p50 %v and p99 %v while idle; p50 %v and p99 %v during a file transfer at %.0f MB/s that fills the line (%d round trips)", at(idle, 0.5), at(idle, 0.99),
		at(busy, 0.5), at(busy, 0.99), float64(t.Bytes)/1e6/time.Since(began).Seconds(), len(busy))
	return stop()
}
