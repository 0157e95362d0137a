package peers

import (
	"context"
	"net/netip"
	"slices"

	"multipeer/engine/internal/mdns"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Search probes every address of this machine's networks for an engine on its default port, connects to those that
// answer, and returns them. The error says why not every address was probed.
func (m *Manager) Search(ctx context.Context) ([]PeerID, error) {
	if m.dialer.open() == nil {
		return nil, wire.ErrClosed
	}
	sweeping, cancel := ctx, func() {}
	if end, ok := ctx.Deadline(); ok { // leave time to dial the peers that answer
		sweeping, cancel = context.WithDeadline(ctx, end.Add(-probeTime))
	}
	addrs, err := mdns.Sweep(sweeping, m.cfg.Interfaces, transport.DefaultPort)
	cancel()
	m.mu.Lock()
	known := map[netip.Addr]bool{}
	for _, p := range m.peers {
		if p.link != nil {
			known[p.link.conn.RemoteAddr().Addr()] = true
		}
	}
	m.mu.Unlock()
	addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return known[a.Addr()] })
	found := m.dialer.dialAll(ctx, addrs, "search")
	if ctx.Err() != nil {
		err = wire.EndOf(ctx)
	}
	return found, err
}
