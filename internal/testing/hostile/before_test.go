//go:build linux

package hostile

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// greeting holds the attacks before Hello.
var greeting = []attack{
	{before, "10,000 packets of noise a second", "nothing is answered", func(a *attacker) error {
		c, err := net.DialUDP("udp4", nil, a.addr())
		if err != nil {
			return err
		}
		defer c.Close()
		packets(func() { _, _ = c.Write(random(1200)) })
		return nil
	}},
	{before, "10,000 Initial packets a second that go no further (half-open)", "bounded by address, then proof of the address", func(a *attacker) error {
		c, err := net.DialUDP("udp4", nil, a.addr())
		if err != nil {
			return err
		}
		defer c.Close()
		packets(func() {
			p := random(1200) // a long header of version 1 with connection IDs and noise
			p[0] = 0xc3
			binary.BigEndian.PutUint32(p[1:], 1)
			p[5], p[14] = 8, 8
			_, _ = c.Write(p)
		})
		return nil
	}},
	{before, "1,000 handshakes at once, each with a new key", "at most 128 at once and 32 a second from one address", func(a *attacker) error {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for end := time.Now().Add(floodTime); time.Now().Before(end); {
					b := a.v.attacker("flood")
					if b.dial() == nil {
						_ = b.say(b.hello())
					}
					b.close()
				}
			})
		}
		wg.Wait()
		return nil
	}},
	{before, "no certificate", "the handshake fails", nowhere(func(c *tls.Config) { c.Certificates = nil })},
	{before, "a certificate with another kind of key", "the handshake fails", nowhere(func(c *tls.Config) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		t := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, _ := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	})},
	{before, "a certificate of 8 KiB", "the handshake fails", nowhere(func(c *tls.Config) {
		c.Certificates = []tls.Certificate{certificate(func(t *x509.Certificate) { t.DNSNames = []string{strings.Repeat("a", 8000)} })}
	})},
	{before, "two certificates", "the handshake fails", nowhere(func(c *tls.Config) {
		x := certificate(nil)
		x.Certificate = append(x.Certificate, certificate(nil).Certificate[0])
		c.Certificates = []tls.Certificate{x}
	})},
	{before, "an unknown ALPN", "the handshake fails", nowhere(func(c *tls.Config) { c.NextProtos = []string{"h3"} })},
	{before, "no ALPN", "the handshake fails", nowhere(func(c *tls.Config) { c.NextProtos = nil })},
	{before, "TLS 1.2 and below", "the handshake fails", nowhere(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 })},
	{before, "100 silent conns", "16 per address wait for 5 s; others are refused as busy", func(a *attacker) error {
		var conns []*attacker
		defer func() {
			for _, b := range conns {
				b.close()
			}
		}()
		for range 100 {
			b := a.v.attacker("silent")
			conns = append(conns, b)
			_ = b.dial()
		}
		time.Sleep(300 * time.Millisecond)
		open := 0
		for _, b := range conns {
			if b.conn != nil && b.conn.Context().Err() == nil {
				open++
			}
		}
		if open > 16 {
			return fmt.Errorf("%d of 100 silent conns are open", open)
		}
		return nil
	}},
	{before, "a hello that arrives a byte at a time", "timeout after 5 s", func(a *attacker) error {
		if err := a.dial(); err != nil {
			return err
		}
		for _, c := range frame(a.hello()) {
			if _, err := a.ctl.Write([]byte{c}); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return wants(a.conn, timeout)
	}},
	{before, "a second stream before the hello", "protocol", func(a *attacker) error {
		if err := a.dial(); err != nil {
			return err
		}
		for _, b := range [][]byte{{0}, {0}} {
			s, err := a.conn.OpenStreamSync(a.conn.Context())
			if err != nil {
				return err
			}
			if _, err := s.Write(b); err != nil {
				return err
			}
		}
		return wants(a.conn, protocol)
	}},
	{before, "half a length", "timeout after 5 s", raw((*attacker).dial, timeout, []byte{0, 0})},
	{before, "a frame of length 0", "too-large", raw((*attacker).dial, tooLarge, []byte{0, 0, 0, 0})},
	{before, "a frame of 4 GiB", "too-large, and no memory taken", raw((*attacker).dial, tooLarge, []byte{0xff, 0xff, 0xff, 0xff})},
	{before, "a hello of 9 KiB", "too-large", foul((*attacker).dial, tooLarge, strings.Repeat(" ", 9<<10))},
	{before, "a hello with another's ID", "identity", func(a *attacker) error {
		if err := hellos(a, func(s string) string { return strings.Replace(s, a.id, a.v.id.String(), 1) }); err != nil {
			return err
		}
		return wants(a.conn, identity)
	}},
	{before, "another version", "version", badHello(version, `"v":1`, `"v":2`)},
	{before, "no version", "protocol", badHello(protocol, `"v":1,`, ``)},
	{before, "a hello that is not UTF-8", "protocol", badHello(protocol, `"name":"`, "\"name\":\"\xff")},
	{before, "a lone surrogate", "protocol", badHello(protocol, `"name":"`, `"name":"\ud800`)},
	{before, "a duplicate key", "protocol", badHello(protocol, `{`, `{"v":1,`)},
	{before, "a duplicate key in a different case", "protocol", badHello(protocol, `{`, `{"V":1,`)},
	{before, "a name of 5,000 bytes", "protocol", badHello(protocol, `"name":"`, `"name":"`+strings.Repeat("n", 5000))},
	{before, "discovery info against the rules", "protocol", badHello(protocol, `{`, `{"info":{"_x":"1"},`)},
	{before, "a service type against the rules", "protocol", badHello(protocol, `"service":"`, `"service":"a_b`)},
	{before, "ports out of range", "protocol", badHello(protocol, `{`, `{"tcp":65536,`)},
	{before, "a hello_ack instead of a hello", "protocol", badHello(protocol, `"hello"`, `"hello_ack"`)},
	{before, "a message before the hello", "protocol", foul((*attacker).dial, protocol, `{"type":"message","n":1,"body":1}`)},
	{before, "an invitation before the hello", "protocol", foul((*attacker).dial, protocol, `{"type":"invite","id":"00112233445566778899aabbccddeeff"}`)},
	{before, "an offer before the hello", "protocol", foul((*attacker).dial, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`)},
	{before, "text after the object", "protocol", foul((*attacker).dial, protocol, `{"type":"ping","n":1}{}`)},
	{before, "an array", "protocol", foul((*attacker).dial, protocol, `["hello"]`)},
	{before, "streams and datagrams before the hello", "none is served", func(a *attacker) error {
		if err := a.dial(); err != nil {
			return err
		}
		for range 60 {
			s, err := a.conn.OpenStream()
			if err != nil {
				break
			}
			_ = write(s, `{"type":"stream","name":"x"}`)
		}
		for range 1000 {
			_ = a.conn.SendDatagram([]byte("\x03{}"))
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if old.Streams != 0 {
			return errors.New("a stream of a stranger was handed over")
		}
		return wants(a.conn, protocol) // a stream opens before the hello
	}},
	{before, "a unidirectional stream", "cannot be opened", func(a *attacker) error {
		if err := a.dial(); err != nil {
			return err
		}
		if _, err := a.conn.OpenUniStream(); err == nil {
			return errors.New("it was opened")
		}
		return nil
	}},
	{before, "a lane that carries noise", "it is ended", func(a *attacker) error {
		c, err := a.dialAs(laneALPN)
		if err != nil {
			return err
		}
		s, err := c.OpenStream()
		if err != nil {
			return err
		}
		_, _ = s.Write(random(4000))
		_, err = closed(c, 8*time.Second)
		return err
	}},
	{before, "a lane for an unknown transfer", "unknown-offer", func(a *attacker) error {
		if err := a.greet(); err != nil {
			return err
		}
		if _, _, err := a.lane(hexID(), ""); err == nil {
			return errors.New("let in")
		}
		return nil
	}},
	{before, "an HTTP request and 200 half-open connections on the TCP port", "refused; 16 of an address wait", func(a *attacker) error {
		if err := a.greet(); err != nil {
			return err
		}
		at := fmt.Sprintf("127.0.0.1:%d", a.v.port)
		var conns []net.Conn
		for range 200 {
			c, err := net.DialTimeout("tcp4", at, time.Second)
			if err != nil {
				return fmt.Errorf("no lane over TCP: %w", err)
			}
			conns = append(conns, c)
		}
		_, _ = conns[0].Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		time.Sleep(300 * time.Millisecond)
		open := 0
		for _, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
			var b [1]byte
			if _, err := c.Read(b[:]); errors.Is(err, os.ErrDeadlineExceeded) {
				open++
			}
			defer c.Close()
		}
		if open > 16 {
			return fmt.Errorf("%d of 200 are open", open)
		}
		return nil
	}},

	{before, "mDNS: 20,000 forged peers", "64 of one sender are shown", func(a *attacker) error {
		m, err := newMulticast()
		if err != nil {
			return err
		}
		defer m.close()
		for i, end := 0, time.Now().Add(floodTime); i < 20_000 && time.Now().Before(end); i++ {
			x := certificateID()
			m.announce(x, "forged", 20000+uint16(i%1000), 120)
		}
		s, err := a.v.ask("")
		if err == nil && (s.Peers > 140 || s.Peers < 5) { // if there are too few, the packets have not even arrived
			err = fmt.Errorf("%d peers are shown", s.Peers)
		}
		return err
	}},
	{before, "mDNS: 10,000 packets of noise a second", "ignored", func(a *attacker) error {
		m, err := newMulticast()
		if err != nil {
			return err
		}
		defer m.close()
		packets(func() { m.send(random(600)) })
		return nil
	}},
	{before, "mDNS: another peer's ID at our address", "the device there has a different key, and gets no information", func(a *attacker) error {
		l, err := quic.ListenAddr("127.0.0.1:0", a.tls(sessionALPN), nil)
		if err != nil {
			return err
		}
		defer l.Close()
		m, err := newMulticast()
		if err != nil {
			return err
		}
		defer m.close()
		x := certificateID()
		for range 5 {
			m.announce(x, "friend", uint16(l.Addr().(*net.UDPAddr).Port), 120)
			time.Sleep(100 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for {
			c, err := l.Accept(ctx)
			if err != nil {
				return nil // no connection was established
			}
			if _, err := c.AcceptStream(ctx); err == nil {
				return errors.New("something was said to a device with another key")
			}
		}
	}},
	{before, "mDNS: a forged goodbye for a connected peer", "the session stays", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		m, err := newMulticast()
		if err != nil {
			return err
		}
		defer m.close()
		for range 20 {
			m.announce(a.id, "x", 20000, 0)
		}
		return a.alive()
	}},
}
