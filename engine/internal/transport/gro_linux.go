package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// coalescing is a UDP socket for bulk data. The system delivers up to 64 KiB of packets from one sender at once
// (UDP_GRO), and the socket is read no faster than its connections process the packets: quic-go drops what its queues
// cannot hold, and takes that for loss on the path.
type coalescing struct {
	*net.UDPConn
	raw syscall.RawConn

	// Owned by the reader.
	buf, oob  []byte
	n, at     int    // bytes filled, bytes handed out
	segment   int    // size of a packet in buf
	rest      []byte // control messages other than the segment size
	addr      *net.UDPAddr
	from      netip.AddrPort
	current   *credit
	impatient *time.Timer

	mu    sync.Mutex
	peers map[netip.AddrPort]*credit
}

// credit estimates how many packets of one sender have been handed over but not processed yet. Each packet that goes
// back to the sender counts as an acknowledgement of perAnswer of them.
type credit struct {
	out  atomic.Int32
	wake chan struct{}
}

const (
	maxOutstanding = 160 // packets handed over without a sign of progress
	perAnswer      = 32
	patience       = 400 * time.Microsecond // without progress for this long, the estimate was wrong
	maxCredits     = 1024
)

// coalesce wraps a socket, or returns it unchanged if the system has no UDP_GRO.
func coalesce(c *net.UDPConn) net.PacketConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) }); err != nil || optErr != nil {
		return c
	}
	s := &coalescing{UDPConn: c, raw: raw, buf: make([]byte, 64<<10), oob: make([]byte, 256), peers: map[netip.AddrPort]*credit{}, impatient: time.NewTimer(time.Hour)}
	s.impatient.Stop()
	return s
}

func (s *coalescing) creditOf(a netip.AddrPort) *credit {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.peers[a]
	if c == nil {
		if len(s.peers) >= maxCredits {
			clear(s.peers) // only estimates; they build up again
		}
		c = &credit{wake: make(chan struct{}, 1)}
		s.peers[a] = c
	}
	return c
}

func unmapped(a *net.UDPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// WriteMsgUDP writes like net.UDPConn, and counts the packet as a sign of progress.
func (s *coalescing) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = s.UDPConn.WriteMsgUDP(b, oob, addr)
	c := s.creditOf(unmapped(addr))
	for v := c.out.Load(); v > 0; v = c.out.Load() {
		if c.out.CompareAndSwap(v, max(0, v-perAnswer)) {
			select {
			case c.wake <- struct{}{}:
			default:
			}
			break
		}
	}
	return n, oobn, err
}

// ReadBatch is the method with which quic-go reads, from one goroutine.
func (s *coalescing) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	if s.at >= s.n {
		if err := s.fill(); err != nil || s.n == 0 {
			return 0, err
		}
	}
	s.holdBack()
	k := 0
	for ; k < len(ms) && s.at < s.n; k++ {
		end := min(s.at+s.segment, s.n)
		m := &ms[k]
		m.N = copy(m.Buffers[0], s.buf[s.at:end])
		m.NN = copy(m.OOB, s.rest)
		m.Addr = s.addr
		m.Flags = 0
		s.at = end
	}
	s.current.out.Add(int32(k))
	return k, nil
}

// fill reads what the system has collected.
func (s *coalescing) fill() error {
	var n, oobn int
	var from unix.Sockaddr
	var err error
	readErr := s.raw.Read(func(fd uintptr) bool {
		n, oobn, _, from, err = unix.RecvmsgBuffers(int(fd), [][]byte{s.buf}, s.oob, 0)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if readErr != nil {
		return readErr
	}
	if err != nil {
		return err
	}
	a, ok := addrPort(from)
	if !ok {
		s.n = 0
		return nil
	}
	if a != s.from || s.addr == nil {
		s.from, s.addr = a, net.UDPAddrFromAddrPort(a)
		s.current = s.creditOf(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	s.n = n
	s.at = 0
	s.segment = n
	s.rest = s.rest[:0]
	for data := s.oob[:oobn]; len(data) > 0; {
		head, body, rest, err := unix.ParseOneSocketControlMessage(data)
		if err != nil {
			break
		}
		if head.Level == unix.SOL_UDP && head.Type == unix.UDP_GRO && len(body) >= 2 {
			s.segment = max(1, int(binary.NativeEndian.Uint16(body)))
		} else {
			s.rest = append(s.rest, data[:len(data)-len(rest)]...)
		}
		data = rest
	}
	return nil
}

func addrPort(sa unix.Sockaddr) (netip.AddrPort, bool) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), true
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a = a.WithZone(i.Name)
			}
		}
		return netip.AddrPortFrom(a, uint16(sa.Port)), true
	}
	return netip.AddrPort{}, false
}

// holdBack waits briefly while the connection has too many packets to process.
func (s *coalescing) holdBack() {
	c := s.current
	if c.out.Load() < maxOutstanding {
		return
	}
	select {
	case <-c.wake:
	default:
	}
	s.impatient.Reset(patience)
	defer s.impatient.Stop()
	for c.out.Load() >= maxOutstanding {
		select {
		case <-c.wake:
		case <-s.impatient.C:
			c.out.Store(maxOutstanding / 2)
			return
		}
	}
}
