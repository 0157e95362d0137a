package main

import (
	"context"
	"net/netip"
	"sync"

	"multipeer/engine"
)

// village is a discovery within this program: all members know each other's addresses.
type village struct {
	mu    sync.Mutex
	doors []*door
}

type door struct {
	village *village
	addr    netip.AddrPort
	to      engine.Sink
	self    engine.Announcement
}

func (v *village) door(addr netip.AddrPort) *door { return &door{village: v, addr: addr} }

func (d *door) hint() engine.Hint {
	return engine.Hint{ID: d.self.ID, Name: d.self.Name, Addrs: []netip.AddrPort{d.addr}, How: "village"}
}

// Run implements engine.Discovery.
func (d *door) Run(ctx context.Context, self engine.Announcement, to engine.Sink) error {
	d.village.mu.Lock()
	d.self, d.to = self, to
	others := append([]*door(nil), d.village.doors...)
	d.village.doors = append(d.village.doors, d)
	d.village.mu.Unlock()
	for _, o := range others {
		o.to.Found(d.hint())
		d.to.Found(o.hint())
	}
	<-ctx.Done()
	return nil
}

// Update implements engine.Discovery.
func (d *door) Update(engine.Announcement) {}

// Forget implements engine.Discovery.
func (d *door) Forget(engine.PeerID) {}

// Recheck implements engine.Discovery.
func (d *door) Recheck(engine.PeerID) {}

// Link implements engine.Discovery. It returns no link, since no peer here needs peer exchange to find the others.
func (d *door) Link(netip.Addr) string { return "" }
