//go:build linux

package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

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
	// Packets from ports other than 5353 are ignored (RFC 6762 section 6), so we share that port with its other
	// users.
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

// announce announces a peer; a ttl of 0 is a goodbye.
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

// certificateID returns the ID of a key that no one has.
func certificateID() string { return idText(certificate(nil)) }

// questions builds a query that asks n times for everything that an engine announces.
func questions(id string, n int) []byte {
	kind := "_" + service + "._udp.local."
	instance := strings.ReplaceAll(id, "-", "")[:16]
	m := &dns.Msg{Compress: true}
	for i := range n {
		q := []dns.Question{
			{Name: kind, Qtype: dns.TypePTR, Qclass: dns.ClassINET},
			{Name: instance + "." + kind, Qtype: dns.TypeSRV, Qclass: dns.ClassINET},
			{Name: "_services._dns-sd._udp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET},
		}[i%3]
		m.Question = append(m.Question, q)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// answersOf counts what an engine sends by multicast while do runs and for two seconds after it.
func answersOf(id string, do func() error) (packets, bytes int, err error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return 0, 0, err
	}
	c, err := net.ListenMulticastUDP("udp4", lo, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		return 0, 0, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		instance := []byte(strings.ReplaceAll(id, "-", "")[:16])
		b := make([]byte, 1<<16)
		for {
			n, _, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			if n > 12 && b[2]&0x80 != 0 && (strings.Contains(string(b[:n]), string(instance)) || strings.Contains(string(b[:n]), service)) && !strings.Contains(string(b[:n]), "forged") {
				packets++
				bytes += n
			}
		}
	}()
	err = do()
	time.Sleep(2 * time.Second)
	_ = c.Close()
	<-done
	return packets, bytes, err
}

// amplified checks the answers to queries: the victim and the honest engine each send at most one packet per second,
// in addition to their announcements.
func amplified(id string, within time.Duration, do func(*multicast) error) error {
	m, err := newMulticast()
	if err != nil {
		return err
	}
	defer m.close()
	time.Sleep(time.Second) // earlier queries are answered by then
	packets, bytes, err := answersOf(id, func() error { return do(m) })
	if most := 2 * int(within/time.Second+3); err == nil && (packets > most || bytes > most*1000) {
		err = fmt.Errorf("answered with %d packets, %d bytes; %d packets are the most", packets, bytes, most)
	}
	if err == nil && packets == 0 && within > 0 {
		err = errors.New("nothing was answered at all")
	}
	return err
}

// asked sends a plain DNS query, and reports whether the victim has answered.
func asked(id string) bool {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 8)})
	if err != nil {
		return false
	}
	defer c.Close()
	lo, err := net.InterfaceByName("lo")
	if err != nil || ipv4.NewPacketConn(c).SetMulticastInterface(lo) != nil {
		return false
	}
	instance := strings.ReplaceAll(id, "-", "")[:16]
	q := &dns.Msg{}
	q.SetQuestion(instance+"._"+service+"._udp.local.", dns.TypeSRV)
	raw, err := q.Pack()
	if err != nil {
		return false
	}
	if _, err := c.WriteTo(raw, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	b := make([]byte, 9000)
	for {
		n, _, err := c.ReadFromUDP(b)
		if err != nil {
			return false
		}
		if strings.Contains(string(b[:n]), instance) {
			return true
		}
	}
}

// queries holds attacks that query an engine for its announcements.
var queries = []attack{
	{before, "mDNS: one packet with 238 questions", "one packet answers it", func(a *attacker) error {
		id := a.v.id.String()
		return amplified(id, time.Second, func(m *multicast) error {
			m.send(questions(id, 238))
			time.Sleep(time.Second)
			return nil
		})
	}},
	{before, "mDNS: one datagram of 65 kB with 10,000 questions", "not parsed", func(a *attacker) error {
		id := a.v.id.String()
		return amplified(id, 0, func(m *multicast) error {
			m.send(questions(id, 10_000))
			return nil
		})
	}},
	{before, "mDNS: 100 packets of 238 questions a second", "one packet a second answers them, and others are still answered", func(a *attacker) error {
		id := a.v.id.String()
		flood := questions(id, 238)
		return amplified(id, floodTime, func(m *multicast) error {
			var missed, tries int
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			began, next := time.Now(), time.Now()
			results := make(chan bool, 100)
			for time.Since(began) < floodTime {
				<-tick.C
				m.send(flood)
				if time.Now().After(next) {
					next = next.Add(1100 * time.Millisecond)
					tries++
					go func() { results <- asked(id) }()
				}
			}
			for range tries {
				if !<-results {
					missed++
				}
			}
			if missed > 0 {
				return fmt.Errorf("%d of %d honest queries were not answered", missed, tries)
			}
			return nil
		})
	}},
	{before, "mDNS: 10,000 queries a second", "others are still answered", func(a *attacker) error {
		id := a.v.id.String()
		flood := questions(id, 1)
		return amplified(id, 2*floodTime, func(m *multicast) error {
			for range 2 {
				answered := make(chan bool, 1)
				go func() {
					time.Sleep(floodTime / 2)
					answered <- asked(id)
				}()
				packets(func() { m.send(flood) })
				if !<-answered {
					return errors.New("an honest query was not answered")
				}
			}
			return nil
		})
	}},
	{before, "mDNS: plain queries of one address, 1,000 a second", "one answer a second", func(a *attacker) error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)})
		if err != nil {
			return err
		}
		defer c.Close()
		lo, err := net.InterfaceByName("lo")
		if err != nil {
			return err
		}
		if err := ipv4.NewPacketConn(c).SetMulticastInterface(lo); err != nil {
			return err
		}
		instance := strings.ReplaceAll(a.v.id.String(), "-", "")[:16]
		q := &dns.Msg{}
		q.SetQuestion(instance+"._"+service+"._udp.local.", dns.TypeSRV)
		raw, err := q.Pack()
		if err != nil {
			return err
		}
		answered := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			b := make([]byte, 9000)
			for {
				n, _, err := c.ReadFromUDP(b)
				if err != nil {
					return
				}
				if strings.Contains(string(b[:n]), instance) {
					answered++
				}
			}
		}()
		began := time.Now()
		for time.Since(began) < 3*time.Second {
			_, _ = c.WriteTo(raw, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
			time.Sleep(time.Millisecond)
		}
		_ = c.Close()
		<-done
		if answered == 0 || answered > 4 {
			return fmt.Errorf("%d answers in 3 s", answered)
		}
		return nil
	}},
}
