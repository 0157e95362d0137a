//go:build linux

package hostile

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine/enginetest"

	"github.com/quic-go/quic-go"
)

var sends = flag.Int("sends", 20, "how many transfers have to get through beside each flood")

// from makes the attacker a separate device: at another address of this machine.
func (a *attacker) from(host byte) (*attacker, error) {
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, host)})
	if err != nil {
		return nil, err
	}
	a.tr = &quic.Transport{Conn: s}
	a.open = append(a.open, func() { _ = a.tr.Close(); _ = s.Close() })
	return a, nil
}

// every starts do at an interval until ctx ends, each time on a goroutine that it waits for.
func every(ctx context.Context, pause time.Duration, do func(i int)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			wg.Go(func() { do(i) })
		case <-ctx.Done():
			return
		}
	}
}

// silent opens connections from six addresses, each with a new key, sends something or nothing on each, and keeps it
// open.
func silent(v *victim, alpn string, pause time.Duration, say func(*attacker) error) func(context.Context) {
	return func(ctx context.Context) {
		every(ctx, pause, func(i int) {
			a, err := v.attacker("stranger").from(byte(2 + i%6))
			if err != nil {
				return
			}
			defer a.close()
			if a.conn, err = a.dialAs(alpn); err != nil {
				return
			}
			defer context.AfterFunc(ctx, func() { _ = a.conn.CloseWithError(0, "") })()
			if say != nil && say(a) != nil {
				return
			}
			select {
			case <-a.conn.Context().Done():
			case <-ctx.Done():
			}
		})
	}
}

// control opens the control stream and greets.
func (a *attacker) control(texts ...string) error {
	var err error
	if a.ctl, err = a.conn.OpenStream(); err != nil {
		return err
	}
	if err := a.say(a.hello()); err != nil {
		return err
	}
	if _, err := a.hear("hello_ack"); err != nil {
		return err
	}
	return a.say(texts...)
}

// floods run while a verified peer comes and goes. Each is what one device, or another user of this machine, can do
// without effort.
var floods = []struct {
	name string
	run  func(v *victim) func(context.Context)
}{
	{"nothing", func(*victim) func(context.Context) { return func(ctx context.Context) { <-ctx.Done() } }},
	{"silent conns from six addresses", func(v *victim) func(context.Context) {
		return silent(v, sessionALPN, 60*time.Millisecond, nil)
	}},
	{"silent lanes from six addresses", func(v *victim) func(context.Context) {
		return silent(v, laneALPN, 60*time.Millisecond, nil)
	}},
	{"lanes that say a part of something from six addresses", func(v *victim) func(context.Context) {
		return silent(v, laneALPN, 60*time.Millisecond, func(a *attacker) error {
			s, err := a.conn.OpenStream()
			if err == nil {
				_, err = s.Write([]byte{0, 0})
			}
			return err
		})
	}},
	{"silent TCP connections from six addresses", func(v *victim) func(context.Context) {
		return func(ctx context.Context) {
			every(ctx, 25*time.Millisecond, func(i int) {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%6))}}
				c, err := d.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", v.port))
				if err != nil {
					return
				}
				defer c.Close()
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				var b [1]byte
				_, _ = c.Read(b[:])
			})
		}
	}},
	{"greeted conns that stay, from six addresses", func(v *victim) func(context.Context) {
		return silent(v, sessionALPN, 60*time.Millisecond, func(a *attacker) error { return a.control() })
	}},
	{"types of the future from six addresses", func(v *victim) func(context.Context) {
		large := fmt.Sprintf(`{"type":"something_newer","x":"%s"}`, strings.Repeat("x", 60_000))
		return silent(v, sessionALPN, 200*time.Millisecond, func(a *attacker) error {
			if err := a.control(); err != nil {
				return err
			}
			for a.say(large) == nil { // until the connection is gone, or not read for 5 s
			}
			return nil
		})
	}},
}

// TestVerifiedPeerGetsThrough: whatever strangers do before they are admitted, a verified peer that connects, sends a
// file and leaves succeeds every time, and the messages of a connected peer are not delayed.
func TestVerifiedPeerGetsThrough(t *testing.T) {
	service = enginetest.Service()
	v := startVictim(t, service)
	h := startHonest(t, v, service)
	s := startSender(t, v, service)
	pattern := regexp.MustCompile(*only)
	for i, f := range floods {
		if !pattern.MatchString(f.name) || testing.Short() && *only == "" && i > 1 { // each needs the machine to itself
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		var flooding sync.WaitGroup
		run := f.run(v)
		used, began := v.cpu(), time.Now()
		flooding.Go(func() { run(ctx) })
		through, slowest, failures := 0, time.Duration(0), []string{}
		p99, err := h.during(func() error {
			if f.name != "nothing" {
				time.Sleep(4 * time.Second) // all slots are taken by then
			}
			for range *sends {
				r, err := s.send()
				if err != nil {
					return err
				}
				slowest = max(slowest, r.Took)
				if r.Err == "" {
					through++
				} else {
					failures = append(failures, r.Err)
				}
			}
			return nil
		})
		cores := (v.cpu() - used).Seconds() / time.Since(began).Seconds()
		stop()
		flooding.Wait()
		t.Logf("| %s | %d of %d transfers, the slowest in %v | p99 %v, %.2f cores |", f.name, through, *sends, slowest.Round(time.Millisecond), p99.Round(100*time.Microsecond), cores)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		if through < *sends {
			t.Errorf("%s: %d of %d transfers get through: %q", f.name, through, *sends, failures)
		}
		if late(p99) {
			t.Errorf("%s: messages of another peer take %v", f.name, p99)
		}
	}
}

// doors holds attacks on the resources that the engine uses for strangers.
var doors = []attack{
	{session, "frames of unknown types of a stranger, 64 kB each", "read at the rate limit for strangers", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		text := fmt.Sprintf(`{"type":"something_newer","x":"%s"}`, strings.Repeat("x", 60_000))
		written := 0
		for end := time.Now().Add(2 * floodTime); time.Now().Before(end); written += len(text) {
			_ = a.ctl.SetWriteDeadline(end)
			if write(a.ctl, text) != nil {
				break
			}
		}
		if most := 1_300_000; written > most { // 256 KiB at once, 64 KiB per second, and what QUIC and the reader buffer
			return fmt.Errorf("%d bytes were read in %v, at most %d", written, 2*floodTime, most)
		}
		return nil
	}},
	{session, "frames of unknown types of a stranger, 360 small ones", "read at the rate limit for strangers", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		if err := a.say(many(360, `{"type":"something_newer"}`)...); err != nil {
			return err
		}
		began := time.Now()
		if err := a.alive(); err != nil {
			return err
		}
		if took := time.Since(began); took < 2500*time.Millisecond {
			return fmt.Errorf("360 frames are read in %v, and 50 a second are allowed", took)
		}
		return nil
	}},
	{before, "frames of unknown types before the hello", "protocol after 16", foul((*attacker).dial, protocol, many(17, `{"type":"something_newer"}`)...)},
	{before, "frames of unknown types on a lane", "it is ended after 16", func(a *attacker) error {
		c, err := a.dialAs(laneALPN)
		if err != nil {
			return err
		}
		s, err := c.OpenStream()
		if err != nil {
			return err
		}
		if err := write(s, many(17, `{"type":"something_newer"}`)...); err != nil {
			return err
		}
		began := time.Now()
		if _, err = closed(c, 8*time.Second); err == nil && time.Since(began) > 2*time.Second {
			err = errors.New("it was ended by its time alone")
		}
		return err
	}},
	{before, "the neutral point as a key", "the handshake fails", nowhere(func(c *tls.Config) {
		c.Certificates = []tls.Certificate{nobody()}
	})},
	{session, "pairing with eight keys of one device", "two of them wait to be picked", func(a *attacker) error {
		if _, err := a.v.ask("pair"); err != nil {
			return err
		}
		start := func(name string, host byte) (*attacker, error) {
			b, err := a.v.attacker(name).from(host)
			if err != nil {
				return nil, err
			}
			if b.conn, err = b.dialAs(sessionALPN); err != nil {
				return b, err
			}
			return b, b.control(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, hexID(), hexID()+hexID()))
		}
		defer func() { _, _ = a.v.ask("close") }()
		for i := range 8 {
			b, err := start("stranger", byte(2+i%6))
			if b != nil {
				defer b.close()
			}
			if err != nil {
				return err
			}
		}
		time.Sleep(300 * time.Millisecond)
		s, err := a.v.ask("")
		if err != nil {
			return err
		}
		if n := len(slices.DeleteFunc(s.Asked, func(name string) bool { return name != "stranger" })); n > 2 || n == 0 {
			return fmt.Errorf("one device waits with %d keys", n)
		}
		return nil
	}},
	{session, "sessions of 20 strangers that a function admits", "none becomes known", func(a *attacker) error {
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		for range 20 {
			b := a.v.attacker("friend")
			err := b.connect()
			b.close()
			if err != nil {
				return err
			}
		}
		s, err := a.v.ask("")
		if err == nil && s.Kept != old.Kept {
			err = fmt.Errorf("%d keys are kept", s.Kept-old.Kept)
		}
		return err
	}},
}

// nobody returns a certificate of the neutral point of Ed25519.
func nobody() tls.Certificate {
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	signer := neutral{}
	der, err := x509.CreateCertificate(rand.Reader, t, t, signer.Public(), signer)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}
}

// neutral signs for the neutral point, as anyone can: with R the neutral point and S = 0, the equation S·B = R + k·A
// holds for every message.
type neutral struct{}

func (neutral) Public() crypto.PublicKey {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	key[0] = 1
	return key
}

func (neutral) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1
	return sig, nil
}
