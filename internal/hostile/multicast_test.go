//go:build linux

package hostile

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// multicast forges mDNS packets on the loopback interface.
type multicast struct {
	c  *net.UDPConn
	to *net.UDPAddr
}

func newMulticast() (*multicast, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	// What does not come from port 5353 is ignored (RFC 6762 section 6), so it does, beside others that hold the port.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		})
		return err
	}}
	p, err := lc.ListenPacket(context.Background(), "udp4", "127.0.0.1:5353")
	if err != nil {
		return nil, err
	}
	c := p.(*net.UDPConn)
	if err := ipv4.NewPacketConn(c).SetMulticastInterface(lo); err != nil {
		_ = c.Close()
		return nil, err
	}
	return &multicast{c, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}}, nil
}

func (m *multicast) close() { _ = m.c.Close() }

func (m *multicast) send(b []byte) { _, _ = m.c.WriteTo(b, m.to) }

// service is that of the victim; set by the test.
var service string

// announce tells a peer; a ttl of 0 is a goodbye.
func (m *multicast) announce(id, name string, port uint16, ttl uint32) {
	kind := "_" + service + "._udp.local."
	instance := strings.ReplaceAll(id, "-", "")[:16] + "." + kind
	host := "forged.local."
	p := &dns.Msg{}
	p.Response, p.Authoritative = true, true
	head := func(name string, t uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
	}
	p.Answer = []dns.RR{
		&dns.PTR{Hdr: head(kind, dns.TypePTR), Ptr: instance},
		&dns.SRV{Hdr: head(instance, dns.TypeSRV), Port: port, Target: host},
		&dns.TXT{Hdr: head(instance, dns.TypeTXT), Txt: []string{"_v=1", "_id=" + id, "_n=" + name}},
		&dns.A{Hdr: head(host, dns.TypeA), A: net.IPv4(127, 0, 0, 1)},
	}
	if b, err := p.Pack(); err == nil {
		m.send(b)
	}
}

// certificateID is the ID of a key that nobody has.
func certificateID() string { return idText(certificate(nil)) }
