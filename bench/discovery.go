package main

import (
	"context"
	"net/netip"
	"sync"

	"multipeer/engine"
	"multipeer/engine/discovery"
)

// registry finds peers within this process: all members know each other's addresses.
type registry struct {
	mu      sync.Mutex
	members []*member
}

type member struct {
	registry *registry
	addr     netip.AddrPort
	to       discovery.Sink
	self     discovery.Announcement
}

func (v *registry) member(addr netip.AddrPort) *member { return &member{registry: v, addr: addr} }

func (d *member) hint() discovery.Hint {
	return discovery.Hint{ID: d.self.ID, Name: d.self.Name, Addrs: []netip.AddrPort{d.addr}, How: "registry"}
}

// Run implements discovery.Discovery.
func (d *member) Run(ctx context.Context, self discovery.Announcement, to discovery.Sink) error {
	d.registry.mu.Lock()
	d.self, d.to = self, to
	others := append([]*member(nil), d.registry.members...)
	d.registry.members = append(d.registry.members, d)
	d.registry.mu.Unlock()
	for _, o := range others {
		o.to.Found(d.hint())
		d.to.Found(o.hint())
	}
	<-ctx.Done()
	return nil
}

// Update implements discovery.Discovery.
func (d *member) Update(discovery.Announcement) {}

// Forget implements discovery.Discovery.
func (d *member) Forget(engine.PeerID) {}

// Recheck implements discovery.Discovery.
func (d *member) Recheck(engine.PeerID) {}

// Link implements discovery.Discovery. It returns no link: no peer in this process needs peer exchange to find the
// others.
func (d *member) Link(netip.Addr) string { return "" }
