package engine

import (
	"net/netip"

	"multipeer/engine/internal/wire"
)

// peerLink is a link as transfers and pairings see it.
type peerLink struct {
	e *Engine
	l *link
}

func (p peerLink) Addrs() []netip.AddrPort {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	return p.l.peer.all()
}

func (p peerLink) Send(m wire.Message)               { p.l.send(m) }
func (p peerLink) LanePorts() (udp, tcp int)         { return p.l.udp, p.l.tcp }
func (p peerLink) Token(name string) (string, error) { return p.l.conn.Token(name) }
func (p peerLink) Binding() ([]byte, error)          { return p.l.conn.Binding() }
func (p peerLink) Dialled() bool                     { return p.l.conn.Dialled }
func (p peerLink) RemoteAddr() netip.AddrPort        { return p.l.conn.RemoteAddr() }
func (p peerLink) Done() <-chan struct{}             { return p.l.conn.Done() }
func (p peerLink) Err() error                        { return p.l.conn.Err() }
