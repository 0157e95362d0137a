package main

import (
	"context"
	"time"

	"multipeer/internal/testing/linkemu"
)

// layWiFi creates a line that loses packets at random, which loss-based congestion control mistakes for congestion.
func layWiFi(ctx context.Context) (*line, error) {
	l, err := layHosts("wifi")
	if err != nil {
		return nil, err
	}
	l.from, l.to = linkemu.AddrA, linkemu.AddrB
	stop, err := linkemu.Start(ctx, l.a, l.b, linkemu.Line{Rate: 300_000_000, Delay: 2500 * time.Microsecond, Loss: 0.005, Queue: 512 << 10, Seed: 1})
	if err != nil {
		l.remove()
		return nil, err
	}
	l.undo = append(l.undo, stop)
	return l, nil
}
