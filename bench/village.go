package main

import (
	"context"
	"net/netip"
	"sync"

	"multipeer/engine"
)

// village is a discovery of the program's own: all who live in it know each other's address.
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

// Run is engine.Discovery's.
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

// Update is engine.Discovery's.
func (d *door) Update(engine.Announcement) {}

// Forget is engine.Discovery's.
func (d *door) Forget(engine.PeerID) {}

// Recheck is engine.Discovery's.
func (d *door) Recheck(engine.PeerID) {}

// Link is engine.Discovery's: nobody needs to be told of others here.
func (d *door) Link(netip.Addr) string { return "" }
