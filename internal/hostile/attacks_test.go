//go:build linux

package hostile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/zeebo/xxh3"
)

// The states in which an attack happens.
const (
	before  = "before Hello"
	session = "connected"
	moving  = "in a transfer"
)

// attack is one bad thing.
type attack struct {
	state string
	name  string
	want  string // what the engine is expected to do
	run   func(a *attacker) error
}

// floodTime is how long floods last.
const floodTime = 1500 * time.Millisecond

// packets sends as many as fill a line of 100 Mbit/s.
func packets(send func()) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(floodTime); time.Now().Before(end); <-tick.C {
		for range 10 {
			send()
		}
	}
}

// The codes that a conn is closed with.
const (
	protocol = 2
	version  = 3
	identity = 4
	busy     = 8
	timeout  = 11
	tooLarge = 12
)

// wants turns an expected code into an error if it did not come.
func wants(c *quic.Conn, code int) error {
	got, err := closed(c, 12*time.Second)
	if err == nil && got != code {
		err = fmt.Errorf("closed with %d, want %d", got, code)
	}
	return err
}

// alive makes sure that the conn still serves.
func (a *attacker) alive() error {
	if err := a.say(`{"type":"ping","n":77}`); err != nil {
		return err
	}
	_, err := a.hear("pong")
	return err
}

type prepare = func(*attacker) error

// foul sends a frame that costs the conn.
func foul(p prepare, code int, frames ...string) func(*attacker) error {
	return func(a *attacker) error {
		if err := p(a); err != nil {
			return err
		}
		if err := a.say(frames...); err != nil {
			return err
		}
		return wants(a.conn, code)
	}
}

// ignored sends frames that are to have no effect.
func ignored(p prepare, frames ...string) func(*attacker) error {
	return func(a *attacker) error {
		if err := p(a); err != nil {
			return err
		}
		if err := a.say(frames...); err != nil {
			return err
		}
		return a.alive()
	}
}

// raw writes bytes to the control stream that cost the conn.
func raw(p prepare, code int, b []byte) func(*attacker) error {
	return func(a *attacker) error {
		if err := p(a); err != nil {
			return err
		}
		if _, err := a.ctl.Write(b); err != nil {
			return err
		}
		return wants(a.conn, code)
	}
}

// flood does something as often as it can; the conn may be closed for it.
func flood(p prepare, do func(a *attacker, i int) error) func(*attacker) error {
	return func(a *attacker) error {
		if err := p(a); err != nil {
			return err
		}
		for i, end := 0, time.Now().Add(floodTime); time.Now().Before(end); i++ {
			if do(a, i) != nil {
				break
			}
		}
		return nil
	}
}

// nowhere is a dialler that the handshake has to refuse.
func nowhere(change func(*tls.Config)) func(*attacker) error {
	return func(a *attacker) error {
		s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		defer s.Close()
		cfg := a.tls(sessionALPN)
		change(cfg)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := quic.Dial(ctx, s, a.addr(), cfg, nil)
		if err != nil {
			return nil
		}
		select { // the other side judges a certificate after ours is done
		case <-c.Context().Done():
			return nil
		case <-time.After(3 * time.Second):
			return errors.New("let in")
		}
	}
}

// prompts runs f and makes sure that a person was asked at most n times meanwhile, and once more in 2 s.
func (a *attacker) prompts(n int64, f func() error) error {
	old, err := a.v.ask("")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := f(); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond)
	s, err := a.v.ask("")
	if n > 2 {
		n += int64(time.Since(began) / (2 * time.Second))
	}
	if asked := s.Invitations + s.Offers + s.Pairings - old.Invitations - old.Offers - old.Pairings; err == nil && asked > n {
		err = fmt.Errorf("%d questions to a person, at most %d", asked, n)
	}
	return err
}

// spoiled is a transfer whose records the receiver has to refuse.
func spoiled(names []string, files, folders, size int64, blocks ...[]byte) func(*attacker) error {
	return func(a *attacker) error {
		_, lane, err := a.transfer(names, files, folders, size)
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if _, err := lane.Write(b); err != nil {
				break
			}
		}
		kind, err := result(lane)
		if err != nil { // the lane was ended at once, which is a refusal too
			return nil
		}
		if kind != 'A' {
			return fmt.Errorf("answered by %q", kind)
		}
		return nil
	}
}

func one(records ...[]byte) [][]byte { return [][]byte{block(0, records...)} }

func chunk(off uint64, data string) []byte {
	h := xxh3.Hash128([]byte(data)).Bytes()
	return record('C', varint(off), h[:], []byte(data))
}

func data(file, off uint64) []byte { return record('D', varint(file), varint(off)) }

func end(files, folders, links, size uint64) []byte {
	return record('Z', varint(files), varint(folders), varint(links), varint(size))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// badPath is a transfer of one entry with a path that has to be refused.
func badPath(path string) func(*attacker) error {
	return spoiled([]string{"d"}, 1, 1, 10, one(entry(1, "d", 0, ""), entry(0, path, 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 1, 0, 7))...)
}

var okHello = (*attacker).greet

func hellos(a *attacker, change func(string) string) error {
	if err := a.dial(); err != nil {
		return err
	}
	return a.say(change(a.hello()))
}

// badHello is a greeting that costs the conn.
func badHello(code int, old, replaced string) func(*attacker) error {
	return func(a *attacker) error {
		if err := hellos(a, func(s string) string { return strings.Replace(s, old, replaced, 1) }); err != nil {
			return err
		}
		return wants(a.conn, code)
	}
}

var attacks = append(leading, []attack{
	// Before Hello.
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
	{before, "100 conns that say nothing", "16 of an address wait, 5 s long; others are refused as busy", func(a *attacker) error {
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
	{before, "a hello that comes a byte at a time", "timeout after 5 s", func(a *attacker) error {
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
	{before, "a key that stands twice", "protocol", badHello(protocol, `{`, `{"v":1,`)},
	{before, "a key that stands twice but for its case", "protocol", badHello(protocol, `{`, `{"V":1,`)},
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
		return wants(a.conn, timeout) // the first of the streams says nothing
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
	{before, "a lane that says noise", "it is ended", func(a *attacker) error {
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
	{before, "a lane for a transfer that nobody made", "unknown-offer", func(a *attacker) error {
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

	{before, "mDNS: 20,000 forged peers", "16 of one sender are shown", func(a *attacker) error {
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
		if err == nil && (s.Peers > 40 || s.Peers < 5) { // too few, and the packets have not even arrived
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
	{before, "mDNS: another peer's ID at our address", "what answers there has another key, and is told nothing", func(a *attacker) error {
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
				return nil // nobody came as far as a conn
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

	// Greeted, or with a session.
	{session, "a second hello", "protocol", func(a *attacker) error { return foul(okHello, protocol, a.hello())(a) }},
	{session, "types of the future, 2,000 of them", "skipped", ignored((*attacker).connect, many(2000, `{"type":"something_newer","x":[1]}`)...)},
	{session, "invalid JSON", "protocol", foul((*attacker).connect, protocol, `{"type":"ping","n":`)},
	{session, "a frame over the limit", "too-large", raw((*attacker).connect, tooLarge, []byte{0x7f, 0, 0, 0})},
	{session, "a control frame of 100 KB", "too-large", foul((*attacker).connect, tooLarge, `{"type":"info","name":"x","y":"`+strings.Repeat("y", 100_000)+`"}`)},
	{session, "nesting 10,000 deep", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`)},
	{session, "half a million tokens", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":[`+strings.Repeat("1,", 400_000)+`1]}`)},
	{session, "10,000 keys twice", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":{`+keys(10_000)+keys(1)+`"z":1}}`)},
	{session, "a number out of range", "protocol", foul((*attacker).connect, protocol, `{"type":"ping","n":1e400}`)},
	{session, "a message without a number", "protocol", foul((*attacker).connect, protocol, `{"type":"message","body":1}`)},
	{session, "a message twice", "handed over once", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(func(*attacker) error { return nil }, many(50, `{"type":"message","n":5,"body":"again"}`)...)(a); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages-old.Messages != 1 {
			err = fmt.Errorf("handed over %d times", s.Messages-old.Messages)
		}
		return err
	}},
	{session, "a number 2^63 ahead, and back", "served", ignored((*attacker).connect, `{"type":"message","n":9223372036854775808,"body":1}`, `{"type":"message","n":2,"body":1}`)},
	{session, "answers to what was never asked", "ignored", ignored((*attacker).connect,
		`{"type":"message_ack","n":99}`, `{"type":"pong","n":99}`, `{"type":"invite_answer","id":"00112233445566778899aabbccddeeff","accept":true}`,
		`{"type":"offer_answer","id":"00112233445566778899aabbccddeeff","accept":true,"attempt":1}`, `{"type":"offer_cancel","id":"00112233445566778899aabbccddeeff"}`,
		`{"type":"offer_pause","id":"00112233445566778899aabbccddeeff"}`, `{"type":"lanes","id":"00112233445566778899aabbccddeeff","attempt":1,"quic":8}`,
		`{"type":"offer_update","id":"00112233445566778899aabbccddeeff","files":1,"folders":1,"bytes":1}`)},
	{session, "a yes that nobody asked for, from a stranger", "no session", func(a *attacker) error {
		a.name = "stranger"
		if err := ignored(okHello, `{"type":"invite_answer","id":"00112233445566778899aabbccddeeff","accept":true}`)(a); err != nil {
			return err
		}
		return a.noSession()
	}},
	{session, "a hello that claims a session", "no session", func(a *attacker) error {
		a.name = "stranger"
		if err := a.dial(); err != nil {
			return err
		}
		if err := a.say(strings.Replace(a.hello(), `{`, `{"session":true,`, 1)); err != nil {
			return err
		}
		if _, err := a.hear("hello_ack"); err != nil {
			return err
		}
		return a.noSession()
	}},
	{session, "messages, datagrams and streams of a stranger", "none is handed over", func(a *attacker) error {
		a.name = "stranger"
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(okHello, `{"type":"message","n":1,"body":"hi"}`)(a); err != nil {
			return err
		}
		_ = a.conn.SendDatagram([]byte("\x03{}"))
		if s, err := a.conn.OpenStream(); err == nil {
			_ = write(s, `{"type":"stream","name":"x"}`)
		}
		time.Sleep(300 * time.Millisecond)
		s, err := a.v.ask("")
		if err == nil && (s.Messages != old.Messages || s.Streams != old.Streams) {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "a flood of invitations of a stranger", "one question", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(1, func() error {
			return flood(okHello, func(a *attacker, _ int) error { return a.say(fmt.Sprintf(`{"type":"invite","id":%q}`, hexID())) })(a)
		})
	}},
	{session, "invitations and withdrawals of a stranger in turn", "20 questions, and one in 2 s", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(21, func() error {
			return flood(okHello, func(a *attacker, _ int) error {
				id := hexID()
				return a.say(fmt.Sprintf(`{"type":"invite","id":%q}`, id), fmt.Sprintf(`{"type":"invite_cancel","id":%q}`, id))
			})(a)
		})
	}},
	{session, "a context of 60 KB", "too-large", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		if err := a.say(`{"type":"invite","id":"00112233445566778899aabbccddeeff","context":"` + strings.Repeat("c", 60_000) + `"}`); err != nil {
			return err
		}
		m, err := a.hear("invite_answer")
		if err == nil && m["code"] != "too-large" {
			err = fmt.Errorf("answered %v", m)
		}
		return err
	}},
	{session, "1,000 offers of a stranger", "two questions", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(2, func() error {
			if err := a.greet(); err != nil {
				return err
			}
			for range 1000 {
				if a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`, hexID())) != nil {
					break
				}
			}
			return nil
		})
	}},
	{session, "an offer without names", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":[],"items":0,"files":0,"folders":0,"bytes":0,"attempt":1}`)},
	{session, "an offer of less than nothing", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["x"],"items":1,"files":-1,"folders":0,"bytes":-1,"attempt":1}`)},
	{session, "an offer with a name of 2,000 bytes", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["`+strings.Repeat("x", 2000)+`"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`)},
	{session, "a flood of pings", "read at its pace", flood((*attacker).connect, func(a *attacker, i int) error { return a.say(many(100, `{"type":"ping","n":1}`)...) })},
	{session, "a flood of pings of a stranger", "50 a second are read, 200 at once", func(a *attacker) error {
		if err := a.greet(); err != nil {
			return err
		}
		pongs := make(chan int)
		go func() {
			n := 0
			for {
				if _, err := readFrame(a.ctl, 300*time.Millisecond); err != nil {
					pongs <- n
					return
				}
				n++
			}
		}()
		began := time.Now()
		var err error
		for time.Since(began) < floodTime && err == nil { // so many that their answers could be read
			_ = a.ctl.SetWriteDeadline(time.Now().Add(floodTime))
			err = write(a.ctl, many(10, `{"type":"ping","n":1}`)...)
			time.Sleep(5 * time.Millisecond)
		}
		_ = a.conn.CloseWithError(0, "")
		if n := <-pongs; n > 200+int(time.Since(began)/time.Second+1)*50 {
			return fmt.Errorf("%d were answered", n)
		}
		return nil
	}},
	{session, "a flood of messages whose answers are not read", "the conn ends", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"message","n":%d,"body":"%s"}`, i+1, strings.Repeat("m", 1000)))
	})},
	{session, "a flood of messages of 1 MB", "read at its pace", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"message","n":%d,"body":"%s"}`, i+1, strings.Repeat("m", 1<<20-100)))
	})},
	{session, "a flood of names", "the newest counts", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"info","name":"friend %d"}`, i))
	})},
	{session, "a name that turns the reading direction", "shown escaped", func(a *attacker) error {
		a.name = "friend \u202Efdp.exe"
		if err := a.connect(); err != nil {
			return err
		}
		s, err := a.v.ask("")
		for _, n := range s.Names {
			if strings.ContainsAny(n, "\u202e\n\x1b") {
				err = fmt.Errorf("shown as %q", n)
			}
		}
		return err
	}},
	{session, "a name of escape sequences and line breaks", "shown escaped", func(a *attacker) error {
		a.name = "friend \x1b[2J\n\u2028"
		if err := a.dial(); err != nil {
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"hello","v":1,"id":%q,"name":"friend \u001b[2J\n\u2028","boot":"0123456789"}`, a.id)); err != nil {
			return err
		}
		if _, err := a.hear("hello_ack"); err != nil {
			return err
		}
		s, err := a.v.ask("")
		for _, n := range s.Names {
			if strings.ContainsAny(n, "\u2028\n\x1b") {
				err = fmt.Errorf("shown as %q", n)
			}
		}
		return err
	}},
	{session, "a flood of datagrams", "dropped above the pace", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.conn.SendDatagram([]byte("\x03{\"x\":1}"))
	})},
	{session, "malformed datagrams", "dropped", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		for _, d := range [][]byte{{}, {0}, {3}, []byte("\x03{"), []byte("\x03{\"a\":1,\"A\":1}"), []byte("\x03\xff"), append([]byte{3}, bytes.Repeat([]byte("["), 1000)...), {1, 2}, {9, 9, 9}} {
			_ = a.conn.SendDatagram(d)
		}
		if err := a.alive(); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages != old.Messages {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "streams that are opened and dropped without end", "served at their pace", flood((*attacker).connect, func(a *attacker, i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		s, err := a.conn.OpenStreamSync(ctx)
		if err != nil {
			return nil
		}
		_ = write(s, `{"type":"stream","name":"x"}`)
		s.CancelRead(70000)
		s.CancelWrite(70000)
		return nil
	})},
	{session, "40 streams that never say what they are", "reset after 5 s; messages pass", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 60 {
			if s, err := a.conn.OpenStream(); err == nil {
				_, _ = s.Write([]byte{0})
			}
		}
		return a.alive()
	}},
	{session, "credit exhaustion: echoes that nobody reads", "what the peer does not read blocks itself; others are served", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 6 {
			s, err := a.conn.OpenStream()
			if err != nil {
				return err
			}
			_ = write(s, `{"type":"echo"}`)
			_ = s.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = s.Write(make([]byte, 8<<20))
		}
		return nil
	}},
	{session, "a stream with a name of 5,000 bytes", "reset", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		s, err := a.conn.OpenStream()
		if err != nil {
			return err
		}
		_ = write(s, `{"type":"stream","name":"`+strings.Repeat("x", 5000)+`"}`)
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("not reset: %v", err)
		}
		return a.alive()
	}},
	{session, "a message after leave", "not handed over, not answered", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(func(*attacker) error { return nil }, `{"type":"leave"}`, `{"type":"message","n":1,"body":1}`)(a); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages != old.Messages {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "the control stream is reset", "the conn ends", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		a.ctl.CancelWrite(1)
		_, err := closed(a.conn, 8*time.Second)
		return err
	}},
	{session, "a half frame, and no more", "others are served; the session waits", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		_, err := a.ctl.Write([]byte{0, 0, 1, 0, '{'})
		return err
	}},
	{session, "pairing while the window is closed, 200 times", "no question", func(a *attacker) error {
		return a.prompts(0, func() error {
			if err := a.connect(); err != nil {
				return err
			}
			for range 200 {
				if err := a.say(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, hexID(), hexID()+hexID())); err != nil {
					return err
				}
			}
			return a.alive()
		})
	}},
	{session, "pairing out of order: confirm, reveal and nonce without a start", "ignored", ignored((*attacker).connect,
		fmt.Sprintf(`{"type":"pair_confirm","id":%q,"proof":%q}`, hexID(), hexID()+hexID()), fmt.Sprintf(`{"type":"pair_reveal","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()),
		fmt.Sprintf(`{"type":"pair_nonce","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()))},
	{session, "a nonce of 33 bytes", "protocol", foul((*attacker).connect, protocol, fmt.Sprintf(`{"type":"pair_nonce","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()+"00"))},
	{session, "guesses at a link's secret while the window is open", "each is refused, and the window stays", func(a *attacker) error {
		if _, err := a.v.ask("pair"); err != nil {
			return err
		}
		if err := a.connect(); err != nil {
			return err
		}
		codes := map[any]int{}
		for range 10 {
			if err := a.say(fmt.Sprintf(`{"type":"pair_link","id":%q,"proof":%q}`, hexID(), hexID()+hexID())); err != nil {
				return err
			}
			m, err := a.hear("pair_cancel")
			if err != nil {
				return err
			}
			codes[m["code"]]++
		}
		if codes["declined"] != 10 {
			return fmt.Errorf("answers: %v", codes)
		}
		_, err := a.v.ask("close")
		return err
	}},
	{session, "150 greeted conns of strangers that stay", "64 of one address", func(a *attacker) error {
		var all []*attacker
		defer func() {
			for _, b := range all {
				b.close()
			}
		}()
		for range 150 {
			b := a.v.attacker("stranger")
			all = append(all, b)
			_ = b.greet()
		}
		time.Sleep(500 * time.Millisecond)
		open := 0
		for _, b := range all {
			if b.conn != nil && b.conn.Context().Err() == nil {
				open++
			}
		}
		if open > 64 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	}},
	{session, "offers and withdrawals of a stranger in turn", "at most 22 questions", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(22, func() error {
			if err := a.greet(); err != nil {
				return err
			}
			for range 60 {
				id := hexID()
				if err := a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`, id), fmt.Sprintf(`{"type":"offer_cancel","id":%q}`, id)); err != nil {
					return err
				}
			}
			return a.alive()
		})
	}},
	{session, "pairing and withdrawals of a stranger in turn, while the window is open", "at most 22 questions", func(a *attacker) error {
		if _, err := a.v.ask("pair"); err != nil {
			return err
		}
		a.name = "stranger"
		err := a.prompts(2*22, func() error { // each is told when it comes and when it ends
			if err := a.greet(); err != nil {
				return err
			}
			for range 60 {
				id := hexID()
				if err := a.say(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, id, hexID()+hexID()), fmt.Sprintf(`{"type":"pair_cancel","id":%q}`, id)); err != nil {
					return err
				}
			}
			return a.alive()
		})
		_, closeErr := a.v.ask("close")
		return errors.Join(err, closeErr)
	}},
	{session, "datagram pings of a stranger", "20 a second are answered", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), floodTime)
		defer cancel()
		answers := make(chan int, 1)
		go func() {
			n := 0
			for {
				if _, err := a.conn.ReceiveDatagram(ctx); err != nil {
					answers <- n
					return
				}
				n++
			}
		}()
		for range 500 {
			_ = a.conn.SendDatagram([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1})
			time.Sleep(time.Millisecond)
		}
		if n := <-answers; n > 80 {
			return fmt.Errorf("%d of 500 were answered", n)
		}
		return nil
	}},
	{session, "20 streams of a stranger that say nothing", "8 wait, others are refused as busy", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		refused := 0
		var streams []*quic.Stream
		for range 20 {
			s, err := a.conn.OpenStream()
			if err != nil {
				return err
			}
			_, _ = s.Write([]byte{0})
			streams = append(streams, s)
		}
		for _, s := range streams {
			_ = s.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			var reset *quic.StreamError
			if _, err := s.Read(make([]byte, 1)); errors.As(err, &reset) && reset.ErrorCode == busy {
				refused++
			}
		}
		if refused < 8 {
			return fmt.Errorf("%d of 20 were refused", refused)
		}
		return nil
	}},
	{session, "a pairing that reveals another nonce than it has committed to", "protocol; nobody is verified", func(a *attacker) error {
		_, err := a.pairing(random(32))
		if err != nil {
			return err
		}
		return wants(a.conn, protocol)
	}},
	{session, "a pairing whose confirmation is forged", "protocol; nobody is verified", func(a *attacker) error {
		id, err := a.pairing(nil)
		if err != nil {
			return err
		}
		if _, err := a.v.ask("yes " + a.code); err != nil { // the person on the other side is taken in
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"pair_confirm","id":%q,"proof":%q}`, id, hexID()+hexID())); err != nil {
			return err
		}
		if err := wants(a.conn, protocol); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		s, err := a.v.ask("close")
		if err == nil && len(s.Verified) > 0 {
			err = fmt.Errorf("%v is verified", s.Verified)
		}
		return err
	}},
	{session, "a second conn with another key and the same claimed ID", "identity; the first stays", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		b := a.v.attacker("friend")
		defer b.close()
		b.id = a.id
		if err := b.dial(); err != nil {
			return err
		}
		if err := b.say(b.hello()); err != nil {
			return err
		}
		if err := wants(b.conn, identity); err != nil {
			return err
		}
		return a.alive()
	}},
	{session, "20 conns with one key", "one remains", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		open := 0
		var all []*quic.Conn
		for range 20 {
			c, err := a.dialAs(sessionALPN)
			if err != nil {
				continue
			}
			if s, err := c.OpenStream(); err == nil {
				_ = write(s, a.hello())
			}
			all = append(all, c)
		}
		time.Sleep(3 * time.Second)
		for _, c := range append(all, a.conn) {
			if c.Context().Err() == nil {
				open++
			}
		}
		if open > 1 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	}},

	// In a transfer.
	{moving, "bytes for an offer that nobody has accepted", "no lane; nothing is stored", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		id := hexID()
		if err := a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":7,"attempt":1}`, id)); err != nil {
			return err
		}
		if _, _, err := a.lane(id, ""); err == nil {
			return errors.New("let in")
		}
		return a.nothingStored()
	}},
	{moving, "a lane with the right ID and another token", "no lane", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		if _, _, err := a.lane(id, hexID()+hexID()); err == nil {
			return errors.New("let in")
		}
		return nil
	}},
	{moving, "a lane of another key for a transfer that moves", "no lane", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		b := a.v.attacker("friend of a friend")
		defer b.close()
		if err := b.connect(); err != nil {
			return err
		}
		state := a.conn.ConnectionState().TLS
		token, err := state.ExportKeyingMaterial("EXPORTER-multipeer-lane", []byte(id), 32)
		if err != nil {
			return err
		}
		if _, _, err := b.lane(id, fmt.Sprintf("%x", token)); err == nil {
			return errors.New("let in with the token of another conn")
		}
		return nil
	}},
	{moving, "an offer with the ID of another's transfer", "refused, the transfer stays", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		b := a.v.attacker("friend of a friend")
		defer b.close()
		if err := b.connect(); err != nil {
			return err
		}
		if err := b.offer(id, []string{"x"}, 1, 0, 7); err == nil {
			return errors.New("accepted")
		}
		return a.alive()
	}},
	{moving, "20 lanes", "10 at the most", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		n := 1
		for range 20 {
			if _, _, err := a.lane(id, ""); err == nil {
				n++
			}
		}
		if n > 10 {
			return fmt.Errorf("%d lanes", n)
		}
		return nil
	}},
	{moving, "a path that climbs", "refused", badPath("d/../../victim.txt")},
	{moving, "an absolute path", "refused", badPath("/etc/passwd")},
	{moving, "a path with a NUL", "refused", badPath("d/a\x00b")},
	{moving, "a path with a backslash", "refused", badPath(`d\..\..\x`)},
	{moving, "a drive", "refused", badPath("C:/x")},
	{moving, "an empty component", "refused", badPath("d//x")},
	{moving, "a path of 2,000 bytes", "refused", badPath("d/" + strings.Repeat("x", 2000))},
	{moving, "a path 40 deep", "refused", badPath("d/" + strings.Repeat("x/", 40) + "x")},
	{moving, "another top-level name than was offered", "refused", badPath("e")},
	{moving, "a file in a folder that was not announced", "refused", badPath("d/e/x")},
	{moving, "a path that is no UTF-8, absolute", "refused", badPath("/\xff")},
	{moving, "an entry twice", "refused", spoiled([]string{"d"}, 2, 1, 14, one(entry(1, "d", 0, ""), entry(0, "d/a", 7, ""), entry(0, "d/a", 7, ""))...)},
	{moving, "a file used as a folder", "refused", spoiled([]string{"d"}, 2, 1, 14, one(entry(1, "d", 0, ""), entry(0, "d/a", 7, ""), entry(0, "d/a/b", 7, ""))...)},
	{moving, "a link that leads out", "not made", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"l"}, 0, 0, 0)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(2, "l", 0, "../../victim.txt"), end(0, 0, 1, 0)))
		_, _ = result(lane)
		if _, err := os.Lstat(filepath.Join(a.v.dir, "inbox", "l")); err == nil {
			return errors.New("made")
		}
		return nil
	}},
	{moving, "more bytes than were offered", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 1<<30, ""))...)},
	{moving, "a file of 2^63 bytes", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 1<<63, ""))...)},
	{moving, "more files than were offered", "refused", func(a *attacker) error {
		var records [][]byte
		records = append(records, entry(1, "d", 0, ""))
		for i := range 5000 {
			records = append(records, entry(0, fmt.Sprintf("d/%d", i), 0, ""))
		}
		return spoiled([]string{"d"}, 1, 1, 7, one(records[:1000]...)[0], block(1, records[1000:2500]...), block(2, records[2500:]...))(a)
	}},
	{moving, "a digest that lies", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(0, 0), record('C', varint(0), make([]byte, 16), []byte("payload")), record('F'), end(1, 0, 0, 7))...)},
	{moving, "a chunk beyond the end of its file", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 3, ""), data(0, 0), chunk(0, "payload"))...)},
	{moving, "a chunk with a gap before it", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(7, "payload"))...)},
	{moving, "a chunk twice", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(0, "payload"), chunk(0, "payload"))...)},
	{moving, "a missing chunk", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 14))...)},
	{moving, "a hole of 2^62 bytes", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), record('H', varint(1<<62)))...)},
	{moving, "content of a file that was not announced", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(9, 0), chunk(0, "payload"))...)},
	{moving, "a chunk before any file", "refused", spoiled([]string{"x"}, 1, 0, 7, one(chunk(0, "payload"))...)},
	{moving, "an end whose counts lie", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(9, 9, 9, 9))...)},
	{moving, "an end before the content", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), end(1, 0, 0, 7), end(1, 0, 0, 7))...)},
	{moving, "a receipt from the sender", "refused", spoiled([]string{"x"}, 1, 0, 7, one(record('R', varint(0), varint(1), varint(0), varint(0), varint(7)))...)},
	{moving, "a record of an unknown type", "refused", spoiled([]string{"x"}, 1, 0, 7, one(record('?', []byte("x")))...)},
	{moving, "a record that is longer than its block", "refused", spoiled([]string{"x"}, 1, 0, 7, one([]byte{'E', 0xff, 0x01, 1})...)},
	{moving, "a varint without end", "refused", spoiled([]string{"x"}, 1, 0, 7, one(append([]byte{'E'}, bytes.Repeat([]byte{0xff}, 30)...))...)},
	{moving, "a block of 4 GiB", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, append([]byte{'B', 0, 0, 0, 0, 0, 0, 0, 0}, 0xff, 0xff, 0xff, 0xff))},
	{moving, "a block far ahead", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, block(1<<40, entry(0, "x", 7, "")))},
	{moving, "a block twice", "taken once", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"twice.txt"}, 1, 0, 7)
		if err != nil {
			return err
		}
		first := block(0, entry(0, "twice.txt", 7, ""))
		_, _ = lane.Write(append(append(first, first...), block(1, data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7))...))
		kind, err := result(lane)
		if err == nil && kind != 'R' {
			err = fmt.Errorf("answered by %q", kind)
		}
		return err
	}},
	{moving, "taken for what was never sent", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, binary.BigEndian.AppendUint64([]byte{'K'}, 1<<50))},
	{moving, "noise on the lane", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, random(10_000))},
	{moving, "a manifest of 300,000 entries where one was offered", "refused early", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"d"}, 1, 1, 7)
		if err != nil {
			return err
		}
		n := 0
		for b := range 300 {
			var records [][]byte
			if b == 0 {
				records = append(records, entry(1, "d", 0, ""))
			}
			for range 1000 {
				records = append(records, entry(0, fmt.Sprintf("d/%d", n), 0, ""))
				n++
			}
			_ = lane.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if _, err := lane.Write(block(uint64(b), records...)); err != nil {
				break
			}
		}
		if kind, err := result(lane); err == nil && kind != 'A' {
			return fmt.Errorf("answered by %q", kind)
		}
		return nil
	}},
	{moving, "a lane on which a byte comes each 100 ms", "others are served", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		for _, c := range block(0, entry(0, "x", 7, ""))[:15] {
			if _, err := lane.Write([]byte{c}); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return a.nothingStored()
	}},
	{moving, "a lane that says nothing", "given up after 6 s", func(a *attacker) error {
		id := hexID()
		if err := a.connect(); err != nil {
			return err
		}
		if err := a.offer(id, []string{"x"}, 1, 0, 7); err != nil {
			return err
		}
		c, _, err := a.lane(id, "")
		if err != nil {
			return err
		}
		_, err = closed(c, 15*time.Second)
		return err
	}},
	{moving, "bytes after the transfer was cancelled", "nothing is stored", func(a *attacker) error {
		id, lane, err := a.transfer([]string{"late"}, 1, 0, 7)
		if err != nil {
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"offer_cancel","id":%q}`, id)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
		_, _ = lane.Write(block(0, entry(0, "late", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		_, _ = io.Copy(io.Discard, lane)
		return a.nothingStored()
	}},
	{moving, "a file over one that is there", "numbered, and the old one stays", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"victim.txt"}, 1, 0, 7)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(0, "victim.txt", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		kind, err := result(lane)
		if err == nil && kind != 'R' {
			err = fmt.Errorf("answered by %q", kind)
		}
		return err
	}},
	{moving, "a file that acts by being listed", "stored inert", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"x.desktop"}, 1, 0, 7)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(0, "x.desktop", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		if _, err := result(lane); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(a.v.dir, "inbox", "x.desktop.inert")); err != nil {
			return err
		}
		return nil
	}},
	{moving, "an executable", "stored without its bit", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"run.sh"}, 1, 0, 7)
		if err != nil {
			return err
		}
		e := entry(0, "run.sh", 7, "")
		e[3] = 1 // flags, after the type, the length and the kind
		_, _ = lane.Write(block(0, e, data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		if _, err := result(lane); err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(a.v.dir, "inbox", "run.sh"))
		if err == nil && info.Mode()&0o111 != 0 {
			err = fmt.Errorf("mode %v", info.Mode())
		}
		return err
	}},
}...)

// mayStore names what attacks may leave in the folder, for what they send is honest in itself.
var mayStore = map[string]bool{"victim.txt": true, "victim (2).txt": true, "victim (3).txt": true, "twice.txt": true, "x.desktop.inert": true, "run.sh": true}

func many(n int, s string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return b.String()
}

// noSession makes sure that the victim counts us as no session.
func (a *attacker) noSession() error {
	s, err := a.v.ask("")
	if err == nil && slices.Contains(s.Connected, a.name) {
		err = errors.New("it has a session")
	}
	return err
}

// nothingStored makes sure that the folder holds what it may.
func (a *attacker) nothingStored() error {
	for _, f := range a.v.files() {
		if !mayStore[f] {
			return fmt.Errorf("%s was stored", f)
		}
	}
	if out := a.v.outside(); len(out) > 0 {
		return fmt.Errorf("%v lies outside the folder", out)
	}
	return nil
}
