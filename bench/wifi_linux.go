package main

import (
	"context"
	"time"

	"multipeer/internal/testing/linkemu"
)

// layWiFi returns a function that creates a line. The line drops packets at random, which loss-based congestion control
// mistakes for congestion, or delivers some of them late.
func layWiFi(name string, loss, late float64) func(context.Context) (*line, error) {
	return func(ctx context.Context) (*line, error) { return wifi(ctx, name, loss, late) }
}

func wifi(ctx context.Context, name string, loss, late float64) (*line, error) {
	l, err := layHosts(name)
	if err != nil {
		return nil, err
	}
	l.from, l.to = linkemu.AddrA, linkemu.AddrB
	stop, err := linkemu.Start(ctx, l.a, l.b, linkemu.Line{Rate: 300_000_000, Delay: 2500 * time.Microsecond, Loss: loss, Late: late, Queue: 512 << 10, Seed: 1})
	if err != nil {
		l.remove()
		return nil, err
	}
	l.undo = append(l.undo, stop)
	return l, nil
}
