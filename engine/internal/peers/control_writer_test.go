package peers

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
)

// deafSocket receives nothing while it is deaf.
type deafSocket struct {
	net.PacketConn
	deaf atomic.Bool
}

func (s *deafSocket) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		if n, from, err = s.PacketConn.ReadFrom(b); err != nil || !s.deaf.Load() {
			return n, from, err
		}
	}
}

// openEndpoint opens an endpoint on the loopback interface.
func openEndpoint(t *testing.T) (*transport.Endpoint, *deafSocket, identity.PeerID) {
	t.Helper()
	profile, err := identity.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	socket := &deafSocket{PacketConn: c}
	e, err := transport.Listen(transport.Config{Identity: profile.Identity, Conn: socket, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(e.Close(), c.Close()) })
	return e, socket, profile.ID
}

// TestControlWriter_KeepsLittleForASilentPeer checks that the frames for a peer that grants a large window, and then
// acknowledges nothing, are limited as if it granted none.
func TestControlWriter_KeepsLittleForASilentPeer(t *testing.T) {
	client, socket, _ := openEndpoint(t)
	server, _, id := openEndpoint(t)
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(server.Port()))
	conn, err := client.Dial(t.Context(), at, transport.KeyOf(id), transport.Session)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := server.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	grow := make([]byte, 4<<20)
	wrote := make(chan error, 1)
	go func() {
		_, err := stream.Write(grow)
		wrote <- err
	}()
	far, err := accepted.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, far, int64(len(grow))); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}

	socket.deaf.Store(true)
	w := newControlWriter(stream)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(t.Context(), conn)
	}()
	defer func() { conn.Close(0); <-ended }()
	for !w.isRunning() {
		time.Sleep(time.Millisecond)
	}
	frame := make([]byte, 32)
	before := conn.Stats().BytesSent
	held := 0
	for n := 0; w.queue(frame) && n < 100_000; n++ {
		held = (n+1)*len(frame) - int(conn.Stats().BytesSent-before)
	}
	if most := maxDirect + (maxOut+2)*len(frame); held > most {
		t.Errorf("%d bytes were queued and not sent, want at most %d", held, most)
	}
}

func (w *controlWriter) isRunning() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}
