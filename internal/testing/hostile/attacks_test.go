//go:build linux

package hostile

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
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

// attack is one attack.
type attack struct {
	state string
	name  string
	want  string // what the engine is expected to do
	run   func(a *attacker) error
}

// floodTime is how long floods last.
const floodTime = 1500 * time.Millisecond

// packets sends as many packets as fill a 100 Mbit/s link.
func packets(send func()) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(floodTime); time.Now().Before(end); <-tick.C {
		for range 10 {
			send()
		}
	}
}

// The codes with which a connection is closed.
const (
	protocol = 2
	version  = 3
	identity = 4
	busy     = 8
	timeout  = 11
	tooLarge = 12
)

// wants returns an error unless the connection is closed with the expected code.
func wants(c *quic.Conn, code int) error {
	got, err := closed(c, 12*time.Second)
	if err == nil && got != code {
		err = fmt.Errorf("closed with %d, want %d", got, code)
	}
	return err
}

// alive checks that the connection still works.
func (a *attacker) alive() error {
	if err := a.say(`{"type":"ping","n":77}`); err != nil {
		return err
	}
	_, err := a.hear("pong")
	return err
}

type prepare = func(*attacker) error

// foul sends frames that must end the connection.
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

// ignored sends frames that must have no effect.
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

// raw writes bytes to the control stream that must end the connection.
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

// flood repeats an action as often as it can; the connection may be closed for it.
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

// nowhere dials in a way that the handshake must refuse.
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
		select { // the other side checks our certificate after our handshake is complete
		case <-c.Context().Done():
			return nil
		case <-time.After(3 * time.Second):
			return errors.New("let in")
		}
	}
}

// prompts runs f and checks that the user is prompted at most n times meanwhile. If n is above 2, every 2 s allow one
// more prompt.
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

// spoiled runs a transfer whose records the receiver must reject.
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
		began := time.Now()
		kind, err := result(lane)
		if err != nil && time.Since(began) > 5*time.Second { // it waited for more, and gave up
			return fmt.Errorf("not refused: %w", err)
		}
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

// badPath runs a transfer of one entry with a path that must be rejected.
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

// badHello sends a hello that must end the connection.
func badHello(code int, old, replaced string) func(*attacker) error {
	return func(a *attacker) error {
		if err := hellos(a, func(s string) string { return strings.Replace(s, old, replaced, 1) }); err != nil {
			return err
		}
		return wants(a.conn, code)
	}
}

// attacks lists the attacks of all states.
var attacks = slices.Concat(greeting, queries, leading, talking, doors, transferring)

// mayStore lists what attacks may leave in the folder, because what they send is valid in itself.
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

// noSession checks that the victim has no session with us.
func (a *attacker) noSession() error {
	s, err := a.v.ask("")
	if err == nil && slices.Contains(s.Connected, a.name) {
		err = errors.New("it has a session")
	}
	return err
}

// nothingStored checks that the folder holds only what it may.
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
