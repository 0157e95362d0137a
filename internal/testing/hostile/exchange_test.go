//go:build linux

package hostile

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// decoy is an address to which an attacker directs the victim. It counts the incoming handshakes, and answers each
// with the attacker's key, which is not the one that the victim expects.
func (a *attacker) decoy() (addr string, dialled *atomic.Int64, err error) {
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", nil, err
	}
	dialled = &atomic.Int64{}
	cfg := a.tls(sessionALPN)
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { dialled.Add(1); return nil, nil }
	l, err := (&quic.Transport{Conn: s}).Listen(cfg, nil)
	if err != nil {
		_ = s.Close()
		return "", nil, err
	}
	a.open = append(a.open, func() { _ = l.Close(); _ = s.Close() })
	return s.LocalAddr().String(), dialled, nil
}

// peers returns a frame that announces n peers at an address, each with an ID that no one has.
func peers(n int, addr string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"id":%q,"addr":%q}`, idText(certificate(nil)), addr)
	}
	return `{"type":"peers","peers":[` + strings.Join(list, ",") + `]}`
}

// leads announces 20 peers at a time, and checks that the victim dials between least and most of them.
func leads(p prepare, times, least, most int64) func(*attacker) error {
	return func(a *attacker) error {
		if err := p(a); err != nil {
			return err
		}
		addr, dialled, err := a.decoy()
		if err != nil {
			return err
		}
		for range times {
			if err := a.say(peers(20, addr)); err != nil {
				return err
			}
			time.Sleep(400 * time.Millisecond)
		}
		for last := int64(-1); dialled.Load() > last; time.Sleep(2 * time.Second) {
			last = dialled.Load()
		}
		if n := dialled.Load(); n < least || n > most {
			return fmt.Errorf("%d of %d peers were dialled, expected %d to %d", n, 20*times, least, most)
		}
		return a.alive()
	}
}

// leading holds attacks that announce other peers to a connected one.
var leading = []attack{
	{session, "33 peers in a frame", "protocol", foul((*attacker).connect, protocol, peers(33, "127.0.0.1:20000"))},
	{session, "a peer at a multicast address", "protocol", foul((*attacker).connect, protocol, peers(1, "224.0.0.251:20000"))},
	{session, "a peer at no address", "protocol", foul((*attacker).connect, protocol, peers(1, "0.0.0.0:20000"))},
	{session, "a peer with a zone", "protocol", foul((*attacker).connect, protocol, peers(1, "[fe80::1%lo]:20000"))},
	{session, "a peer whose ID is none", "protocol", foul((*attacker).connect, protocol, `{"type":"peers","peers":[{"id":"x","addr":"127.0.0.1:20000"}]}`)},
	{session, "the victim itself, as a peer elsewhere", "ignored", func(a *attacker) error {
		return ignored((*attacker).connect, fmt.Sprintf(`{"type":"peers","peers":[{"id":%q,"addr":"127.0.0.1:20000"}]}`, a.v.id))(a)
	}},
	{session, "peers announced by a stranger", "no one is dialled", leads((*attacker).greet, 1, 0, 0)},
	{session, "200 peers that do not exist", "64 are dialled, and one in 5 s", leads((*attacker).connect, 10, 20, 66)},
	{session, "a flood of peers", "read at the rate limit, and few are dialled", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(many(100, peersFrame)...)
	})},
}

var peersFrame = peers(32, "127.0.0.1:20001")
