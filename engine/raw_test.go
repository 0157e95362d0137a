package engine_test

import (
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// raw is a peer that speaks the protocol without an engine.
type raw struct {
	*transport.Endpoint
	id   *identity.Identity
	addr netip.AddrPort
}

func newRaw(t *testing.T, n *enginetest.Net) *raw {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return rawOf(t, n, id)
}

// rawOf is newRaw with a given key; several raw peers may share one key.
func rawOf(t *testing.T, n *enginetest.Net, id *identity.Identity) *raw {
	t.Helper()
	conn, closeConn := n.Socket()
	e, err := transport.Listen(transport.Config{Identity: id, Conn: conn, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(); closeConn() })
	return &raw{e, id, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func (r *raw) dial(t *testing.T, to *enginetest.Node) *transport.Conn {
	t.Helper()
	c, err := r.Dial(t.Context(), to.Addr, transport.KeyOf(to.Self().ID), transport.Session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(wire.Bye) })
	return c
}

func (r *raw) greet(t *testing.T, c *transport.Conn) (*transport.Stream, error) {
	t.Helper()
	s, _, err := c.Greet(t.Context(), r.hello(), transport.HelloTimeout)
	return s, err
}

func (r *raw) hello() wire.Hello {
	return wire.Hello{Version: 1, ID: r.id.ID.String(), Name: "raw", Boot: "12345678"}
}

// join returns a connection with a session; a policy of to accepts it.
func (r *raw) join(t *testing.T, to *enginetest.Node) (*transport.Conn, *transport.Stream) {
	t.Helper()
	c := r.dial(t, to)
	h := r.hello()
	h.Service = engine.DefaultService
	s, _, err := c.Greet(t.Context(), h, transport.HelloTimeout)
	if err != nil {
		t.Fatal(err)
	}
	rejoin(t, s)
	return c, s
}

// rejoin asks for a session and waits until it is accepted.
func rejoin(t *testing.T, s *transport.Stream) {
	t.Helper()
	if err := s.WriteMessage(wire.Invite{ID: wire.NewID()}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.ReadMessage(wire.MaxFrame)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := m.(wire.InviteAnswer); ok && a.Accept {
			return
		}
	}
}

// drain reads what comes and answers nothing.
func drain(s *transport.Stream) {
	for {
		if _, err := s.ReadMessage(wire.MaxFrame); err != nil {
			return
		}
	}
}

// rawFrame is a frame that is written unchanged, even if its JSON is invalid.
func rawFrame(json string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(json))), json...)
}
