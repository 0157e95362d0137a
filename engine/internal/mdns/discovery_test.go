package mdns

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"github.com/libp2p/zeroconf/v2"
	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"
)

func newID(t testing.TB) identity.PeerID {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id.ID
}

func testLink() iface {
	return iface{Interface: net.Interface{Index: 7, Name: "eth7", Flags: net.FlagUp | net.FlagMulticast}, prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
}

// answer builds a response as the responder sends it.
func answer(t testing.TB, id identity.PeerID, instance string, port uint16, ttl uint32, addrs ...string) []byte {
	t.Helper()
	name := func(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }
	service, inst, host := "_multipeer._udp.local.", instance+"._multipeer._udp.local.", instance+".local."
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	b.EnableCompression()
	_ = b.StartAnswers()
	h := func(n string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name(n), Class: dnsmessage.ClassINET, TTL: ttl}
	}
	_ = b.PTRResource(h(service), dnsmessage.PTRResource{PTR: name(inst)})
	_ = b.SRVResource(h(inst), dnsmessage.SRVResource{Port: port, Target: name(host)})
	_ = b.TXTResource(h(inst), dnsmessage.TXTResource{TXT: text(discovery.Announcement{ID: id, Name: "Anna"})})
	for _, a := range addrs {
		_ = b.AResource(h(host), dnsmessage.AResource{A: netip.MustParseAddr(a).As4()})
	}
	raw, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParse(t *testing.T) {
	id, other := newID(t), newID(t)
	good := answer(t, id, id.Instance(), 17717, 120, "192.0.2.9")
	got := parse(good, "multipeer", testLink())
	if len(got) != 1 || got[0].id != id || got[0].name != "Anna" || got[0].ttl != 120*time.Second ||
		len(got[0].addrs) != 1 || got[0].addrs[0].String() != "192.0.2.9:17717" {
		t.Fatalf("%+v", got)
	}
	for name, raw := range map[string][]byte{
		"another service's":    nil,
		"ID of another":        answer(t, other, id.Instance(), 17717, 120, "192.0.2.9"),
		"address off the link": answer(t, id, id.Instance(), 17717, 120, "198.51.100.1"),
		"loopback address":     answer(t, id, id.Instance(), 17717, 120, "127.0.0.1"),
		"low port":             answer(t, id, id.Instance(), 53, 120, "192.0.2.9"),
		"no address":           answer(t, id, id.Instance(), 17717, 120),
		"cut":                  good[:len(good)/2],
		"a query":              append([]byte{0, 0, 0, 0}, good[4:]...),
	} {
		if raw == nil {
			if s := parse(good, "chat", testLink()); len(s) != 0 {
				t.Errorf("%s: %+v", name, s)
			}
			continue
		}
		if s := parse(raw, "multipeer", testLink()); len(s) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s := parse(answer(t, id, id.Instance(), 17717, 0), "multipeer", testLink()); len(s) != 1 || s[0].ttl != 0 {
		t.Errorf("goodbye: %+v", s)
	}
	if s := parse(answer(t, id, id.Instance(), 17717, 1<<31, "192.0.2.9"), "multipeer", testLink()); s[0].ttl != recordTTL {
		t.Errorf("a life of 68 years: %v", s[0].ttl)
	}
}

func TestQuery_CarriesKnownAnswers(t *testing.T) {
	known := map[identity.PeerID]time.Duration{}
	for range 100 {
		known[newID(t)] = time.Minute
	}
	raw, err := buildQuery("multipeer", known, false)
	if err != nil || len(raw) > 1400 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil || h.Response || h.ID != 0 {
		t.Fatalf("%+v %v", h, err)
	}
	_ = p.SkipAllQuestions()
	answers, err := p.AllAnswers()
	if err != nil || len(answers) != maxKnownAnswers {
		t.Errorf("%d known answers, %v", len(answers), err)
	}
}

func sight(id identity.PeerID, addr string) sighting {
	return sighting{id: id, name: "x", ttl: recordTTL, addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}}
}

// TestInfo_ArrivesUnchanged: discovery info within the rules arrives unchanged, through our own parser and the
// library's.
func TestInfo_ArrivesUnchanged(t *testing.T) {
	id := newID(t)
	big := strings.Repeat("\u00e9", 126)
	want := map[string]string{"room": "kitchen", "empty": "", "odd": "a=b;\\ \"x\" \n\x00 \\065", "k": big, "A b!": "\U0001F600"}
	if err := wire.ValidateInfo(want); err != nil {
		t.Fatal(err)
	}
	name := "Anna's \\ \u65e5"
	self := discovery.Announcement{ID: id, Name: name, Service: "multipeer", Port: 17717, Info: want, Advertise: true}
	n, err := namesOf(self)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := own{n, self, []netip.Addr{netip.MustParseAddr("192.0.2.9")}}.answer(pointerRecord)
	if err != nil {
		t.Fatal(err)
	}
	got := parse(raw, "multipeer", testLink())
	if len(got) != 1 || got[0].name != name || !maps.Equal(got[0].info, want) {
		t.Errorf("%+v", got)
	}
	m := &dns.Msg{}
	if err := m.Unpack(raw); err != nil {
		t.Fatal(err)
	}
	e := &zeroconf.ServiceEntry{Port: 17717, AddrIPv4: []net.IP{net.IPv4(192, 0, 2, 9), net.IPv4(198, 51, 100, 1)}, Expiry: time.Now().Add(100 * time.Second)}
	e.Instance = id.Instance()
	var txt *dns.TXT
	for _, r := range m.Extra {
		if r, ok := r.(*dns.TXT); ok {
			txt = r
			e.Text = r.Txt
		}
	}
	heard, ok := sightingOn(e, "multipeer", testLink(), time.Now())
	if !ok || heard.id != id || heard.name != name || !maps.Equal(heard.info, want) || len(heard.addrs) != 1 || heard.ttl < 90*time.Second {
		t.Errorf("by the library: %+v, %v", heard, ok)
	}
	tb, at := newTable(), time.Unix(1e9, 0)
	tb.see(got[0], netip.MustParseAddr("192.0.2.9"), at, false)
	changed := got[0]
	changed.info = map[string]string{"room": "garden"}
	if h, news := tb.see(changed, netip.MustParseAddr("192.0.2.9"), at.Add(time.Second), false); !news || h.Info["room"] != "garden" {
		t.Errorf("changed info: %+v, %v", h, news)
	}
	txt.Txt = append(txt.Txt, "ROOM=twice") // info that breaks the rules is not shown, but does not hide the peer
	if raw, err = m.Pack(); err != nil {
		t.Fatal(err)
	}
	if got = parse(raw, "multipeer", testLink()); len(got) != 1 || got[0].info != nil {
		t.Errorf("%+v", got)
	}
}

// TestTable_DoubtedPeerIsDroppedUnlessHeardAgain: a peer that does not answer is dropped unless it is announced again.
func TestTable_DoubtedPeerIsDroppedUnlessHeardAgain(t *testing.T) {
	tb, gone, there, at := newTable(), newID(t), newID(t), time.Unix(1e9, 0)
	from := netip.MustParseAddr("192.0.2.9")
	for _, id := range []identity.PeerID{gone, there} {
		s := sight(id, "192.0.2.9:2000")
		s.multicast = true
		tb.see(s, from, at, false)
	}
	if known := tb.fresh(at); len(known) != 2 {
		t.Errorf("before the doubt, known: %v", known)
	}
	for _, id := range []identity.PeerID{gone, there} {
		tb.doubt(id, at)
	}
	if known := tb.fresh(at); len(known) != 0 {
		t.Errorf("a query that asks for them gives them as known: %v", known)
	}
	tb.see(sight(there, "192.0.2.9:2000"), from, at.Add(time.Second), false)
	if lost := tb.sweep(at.Add(2*doubtful + time.Millisecond)); len(lost) != 1 || lost[0] != gone {
		t.Errorf("lost %v", lost)
	}
}

func TestTable_SightingsExpiryAndGoodbye(t *testing.T) {
	tb, id, at := newTable(), newID(t), time.Unix(1e9, 0)
	from := netip.MustParseAddr("192.0.2.9")
	if h, news := tb.see(sight(id, "192.0.2.9:2000"), from, at, false); !news || len(h.Addrs) != 1 {
		t.Fatal("the first sighting is news")
	}
	if _, news := tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(time.Minute), false); news {
		t.Error("the same again is none")
	}
	if h, news := tb.see(sight(id, "192.0.2.10:2000"), from, at.Add(time.Minute), false); !news || len(h.Addrs) != 2 {
		t.Errorf("another address: %+v", h)
	}
	if h, news := tb.see(sight(id, "192.0.2.9:3000"), from, at.Add(time.Minute), false); !news || len(h.Addrs) != 1 {
		t.Errorf("another port means a restart: %+v", h)
	}
	if lost := tb.sweep(at.Add(2 * time.Minute)); len(lost) != 0 {
		t.Error("lost before its time")
	}
	if lost := tb.sweep(at.Add(3*time.Minute + time.Second)); len(lost) != 1 {
		t.Error("not lost after its time")
	}

	// A goodbye counts after the grace period; a new announcement within it cancels it, an answer in flight does not.
	at = at.Add(time.Hour)
	tb.see(sight(id, "192.0.2.9:2000"), from, at, false)
	bye := sighting{id: id}
	tb.see(bye, from, at, false)
	tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(stale/2), false)
	if lost := tb.sweep(at.Add(grace)); len(lost) != 1 {
		t.Error("an answer that was under way revived a peer that has gone")
	}
	tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(time.Minute), false)
	tb.see(bye, from, at.Add(time.Minute), false)
	if _, news := tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(time.Minute+grace/2), false); !news {
		t.Error("a re-registration is news")
	}
	if lost := tb.sweep(at.Add(2 * time.Minute)); len(lost) != 0 {
		t.Error("a re-registration was taken for a goodbye")
	}

	tb.forget(id, at)
	if _, news := tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(tombstone/2), false); news {
		t.Error("a forgotten peer came back from an old packet")
	}
	if _, news := tb.see(sight(id, "192.0.2.9:2000"), from, at.Add(tombstone), false); !news {
		t.Error("a forgotten peer cannot come back")
	}
}

func TestTable_ForgedFloodIsCapped(t *testing.T) {
	tb, at := newTable(), time.Unix(1e9, 0)
	live := newID(t)
	liveFrom := netip.MustParseAddr("192.0.2.9")
	tb.see(sight(live, "192.0.2.9:2000"), liveFrom, at, false)
	for i := range 20_000 {
		var id identity.PeerID
		copy(id[:], fmt.Sprintf("%032d", i))
		from := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		tb.see(sight(id, "192.0.2.9:2000"), from, at, false)
	}
	if len(tb.entries) > maxEntries {
		t.Errorf("%d entries", len(tb.entries))
	}
	if tb.entries[live] == nil {
		t.Error("a live peer was pushed out")
	}
	for i := range 3 {
		if _, ok := tb.see(sight(newID(t), "192.0.2.9:3000"), netip.MustParseAddr("192.0.2.10"), at, i > 0); ok != (i > 0) {
			t.Errorf("one more is accepted: %v", ok)
		}
	}
	tb = newTable()
	for i := range 1000 {
		var id identity.PeerID
		copy(id[:], fmt.Sprintf("%032d", i))
		tb.see(sight(id, "192.0.2.9:2000"), liveFrom, at, false)
	}
	if len(tb.entries) > maxPerSource {
		t.Errorf("%d entries from one source", len(tb.entries))
	}
}

// TestTable_KnownPeersTakeNoPlace: known peers do not use up the entries of unknown ones from the same sender.
func TestTable_KnownPeersTakeNoPlace(t *testing.T) {
	tb, at, from := newTable(), time.Unix(1e9, 0), netip.MustParseAddr("192.0.2.9")
	for range maxPerSource {
		tb.see(sight(newID(t), "192.0.2.9:2000"), from, at, true)
	}
	if _, ok := tb.see(sight(newID(t), "192.0.2.9:3000"), from, at, false); !ok {
		t.Error("there is no room")
	}
}

// TestTable_FirstMulticastIsReported: the first multicast of a peer that has answered only us so far is reported. Until
// then, no query lists the peer as a known answer, which would suppress its multicast.
func TestTable_FirstMulticastIsReported(t *testing.T) {
	tb, id, at, from := newTable(), newID(t), time.Unix(1e9, 0), netip.MustParseAddr("192.0.2.9")
	s := sight(id, "192.0.2.9:2000")
	if h, news := tb.see(s, from, at, false); !news || h.Multicast {
		t.Errorf("%+v, %v", h, news)
	}
	if known := tb.fresh(at); len(known) != 0 {
		t.Errorf("known before a multicast arrived: %v", known)
	}
	s.multicast = true
	if h, news := tb.see(s, from, at, false); !news || !h.Multicast {
		t.Errorf("%+v, %v", h, news)
	}
	if known := tb.fresh(at); len(known) != 1 {
		t.Errorf("known after a multicast arrived: %v", known)
	}
	s.multicast = false
	if h, news := tb.see(s, from, at, false); news || !h.Multicast {
		t.Errorf("%+v, %v", h, news)
	}
}

// collect is a sink that records its calls.
type collect struct {
	mu    sync.Mutex
	found map[identity.PeerID]discovery.Hint
	lost  map[identity.PeerID]bool
	news  chan struct{}
}

func newCollect() *collect {
	return &collect{found: map[identity.PeerID]discovery.Hint{}, lost: map[identity.PeerID]bool{}, news: make(chan struct{}, 1000)}
}

func (c *collect) Found(h discovery.Hint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[h.ID] = h
	c.news <- struct{}{}
}

func (c *collect) Lost(id identity.PeerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[id] = true
	c.news <- struct{}{}
}

func (c *collect) hasFound(id identity.PeerID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, found := c.found[id]
	return found
}

func (c *collect) hasLost(id identity.PeerID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost[id]
}

func (c *collect) NetworkChanged() {}
func (c *collect) Problem(error)   {}

func (c *collect) until(t *testing.T, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began, timeout := time.Now(), time.After(limit)
	for {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return time.Since(began)
		}
		select {
		case <-c.news:
		case <-timeout:
			t.Fatalf("nothing within %v", limit)
		}
	}
}

// TestDiscovery_TwoInstancesOnLoopback runs two instances for real, on the loopback interface only.
func TestDiscovery_TwoInstancesOnLoopback(t *testing.T) {
	var lo string
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			lo = i.Name
		}
	}
	if lo == "" {
		t.Skip("no loopback interface is up")
	}
	cfg := Config{Interfaces: []string{lo}, Log: slog.New(slog.DiscardHandler)}
	service := fmt.Sprintf("t%d", time.Now().UnixNano()%1e9)
	a, b := New(cfg), New(cfg)
	selfA := discovery.Announcement{ID: newID(t), Name: "Zoë's \\ \"Mac\".local", Service: service, Port: 20001, Advertise: true, Browse: true}
	selfB := discovery.Announcement{ID: newID(t), Name: "Ben", Service: service, Port: 20002, Advertise: true, Browse: true}
	sinkA, sinkB := newCollect(), newCollect()
	ctx, cancel := context.WithCancel(t.Context())
	ctxB, cancelB := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = a.Run(ctx, selfA, sinkA) })
	time.Sleep(50 * time.Millisecond)
	wg.Go(func() { _ = b.Run(ctxB, selfB, sinkB) })
	took := sinkA.until(t, 3*time.Second, func() bool { return sinkA.found[selfB.ID].Name == "Ben" })
	took2 := sinkB.until(t, 3*time.Second, func() bool { return sinkB.found[selfA.ID].Name == selfA.Name })
	t.Logf("found after %v and %v", took.Round(time.Millisecond), took2.Round(time.Millisecond))
	if sinkA.hasFound(selfA.ID) {
		t.Error("found itself")
	}
	selfB.Name = "Benjamin"
	b.Update(selfB)
	took = sinkA.until(t, 5*time.Second, func() bool { return sinkA.found[selfB.ID].Name == "Benjamin" })
	t.Logf("renamed after %v", took.Round(time.Millisecond))
	if sinkA.hasLost(selfB.ID) {
		t.Error("a rename looked like a goodbye")
	}
	cancelB()
	took = sinkA.until(t, 5*time.Second, func() bool { return sinkA.lost[selfB.ID] })
	t.Logf("goodbye after %v", took.Round(time.Millisecond))
}

func FuzzParse(f *testing.F) {
	id := newID(f)
	f.Add(answer(f, id, id.Instance(), 17717, 120, "192.0.2.9"))
	f.Add(answer(f, id, id.Instance(), 17717, 0))
	link := testLink()
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, s := range parse(raw, "multipeer", link) {
			if s.id.IsZero() || s.ttl > recordTTL {
				t.Errorf("%+v", s)
			}
			for _, a := range s.addrs {
				if !link.onLink(a.Addr()) || a.Port() < 1024 {
					t.Errorf("address %v", a)
				}
			}
		}
	})
}

// TestPacket_OnlyTheFirstRecordsAreRead: only the first records of a packet with very many records are read.
func TestPacket_OnlyTheFirstRecordsAreRead(t *testing.T) {
	service := dnsmessage.MustNewName("_multipeer._udp.local.")
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	_ = b.StartAnswers()
	h := dnsmessage.ResourceHeader{Name: service, Class: dnsmessage.ClassINET, TTL: 120}
	for range 4 * maxRecords {
		_ = b.PTRResource(h, dnsmessage.PTRResource{PTR: service})
	}
	id := newID(t)
	inst := dnsmessage.MustNewName(id.Instance() + "._multipeer._udp.local.")
	host := dnsmessage.MustNewName("h.local.")
	_ = b.SRVResource(dnsmessage.ResourceHeader{Name: inst, Class: dnsmessage.ClassINET, TTL: 120}, dnsmessage.SRVResource{Port: 17717, Target: host})
	_ = b.TXTResource(dnsmessage.ResourceHeader{Name: inst, Class: dnsmessage.ClassINET, TTL: 120}, dnsmessage.TXTResource{TXT: text(discovery.Announcement{ID: id, Name: "Anna"})})
	_ = b.AResource(dnsmessage.ResourceHeader{Name: host, Class: dnsmessage.ClassINET, TTL: 120}, dnsmessage.AResource{A: [4]byte{192, 0, 2, 9}})
	raw, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if s := parse(raw, "multipeer", testLink()); len(s) != 0 {
		t.Errorf("record %d was read: %+v", 4*maxRecords, s)
	}
}

// TestPacket_RateIsLimited: only a limited number of packets in a flood is parsed.
func TestPacket_RateIsLimited(t *testing.T) {
	sent, taken := 0, 0
	read := func([]byte) (arrival, error) {
		if sent++; sent > 5*packetBurst {
			return arrival{}, net.ErrClosed
		}
		return arrival{n: 1, ifIndex: 1, from: &net.UDPAddr{IP: net.IPv4(192, 0, 2, byte(sent%200)), Port: mdnsPort}}, nil
	}
	(&listener{}).loop(t.Context(), func(packet) { taken++ }, read)
	if taken < packetBurst || taken > packetBurst+packetRate {
		t.Errorf("%d of %d packets were parsed", taken, 5*packetBurst)
	}
}

// TestPacket_RateOfOneSenderIsLimited: one sender cannot starve the others, and very many forged senders cannot starve
// those that were heard before.
func TestPacket_RateOfOneSenderIsLimited(t *testing.T) {
	for name, flood := range map[string]func(i int) net.IP{
		"one":  func(int) net.IP { return net.IPv4(192, 0, 2, 66) },
		"many": func(i int) net.IP { return net.IPv4(198, 51, byte(i>>8), byte(i)) },
	} {
		sent, taken := 0, map[netip.Addr]int{}
		read := func([]byte) (arrival, error) {
			if sent++; sent > 3*packetBurst {
				return arrival{}, net.ErrClosed
			}
			from := net.IPv4(192, 0, 2, 9)
			if sent%200 != 1 {
				from = flood(sent)
			}
			return arrival{n: 1, ifIndex: 1, from: &net.UDPAddr{IP: from, Port: mdnsPort}}, nil
		}
		(&listener{}).loop(t.Context(), func(p packet) { taken[p.from.Addr()]++ }, read)
		if honest := taken[netip.MustParseAddr("192.0.2.9")]; honest < 3*packetBurst/200 {
			t.Errorf("%s: %d of %d packets of another were parsed", name, honest, 3*packetBurst/200)
		}
		if n := taken[netip.MustParseAddr("192.0.2.66")]; n > 3*sourceRate || len(taken) > maxSources+sourceRate+1 {
			t.Errorf("%s: %d packets of %d senders were parsed", name, n, len(taken))
		}
	}
}

func TestPacket_TooLargeIsIgnored(t *testing.T) {
	sizes, taken := []int{maxPacket, maxPacket + 1, maxPacket + 1}, 0
	read := func(b []byte) (arrival, error) {
		if len(sizes) == 0 {
			return arrival{}, net.ErrClosed
		}
		n := min(sizes[0], len(b))
		sizes = sizes[1:]
		return arrival{n: n, from: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: mdnsPort}}, nil
	}
	(&listener{}).loop(t.Context(), func(packet) { taken++ }, read)
	if taken != 1 {
		t.Errorf("%d packets were parsed", taken)
	}
}

// TestPacket_MustComeFromTheLink: a packet to the group is from the link, whatever its source; a unicast packet must
// have a source on the link, and answers must come from the mDNS port.
func TestPacket_MustComeFromTheLink(t *testing.T) {
	id := newID(t)
	raw := answer(t, id, id.Instance(), 17717, 120, "198.51.100.7", "192.0.2.9")
	near, far := netip.MustParseAddrPort("192.0.2.9:5353"), netip.MustParseAddrPort("198.51.100.7:5353")
	for name, c := range map[string]struct {
		p    packet
		want bool
	}{
		"group, on the link":                    {packet{from: near, ifIndex: 7, group: true}, true},
		"group, of another network":             {packet{from: far, ifIndex: 7, group: true}, true},
		"one address, on the link":              {packet{from: near, ifIndex: 7, direct: true}, true},
		"one address, of another network":       {packet{from: far, ifIndex: 7, direct: true}, false},
		"nothing is known, on the link":         {packet{from: near}, true},
		"nothing is known, of another network":  {packet{from: far}, false},
		"another interface":                     {packet{from: near, ifIndex: 8, group: true}, false},
		"another port":                          {packet{from: netip.MustParseAddrPort("192.0.2.9:40000"), ifIndex: 7, group: true}, false},
		"IPv6, nothing is known but the zone":   {packet{from: netip.MustParseAddrPort("[fe80::9%eth7]:5353")}, true},
		"IPv6, nothing is known but a bad zone": {packet{from: netip.MustParseAddrPort("[fe80::9%eth8]:5353")}, false},
	} {
		m, sink := New(Config{}), newCollect()
		m.ifs, m.self = []iface{testLink()}, discovery.Announcement{Service: "multipeer", Browse: true}
		c.p.data = raw
		m.receive(c.p, sink)
		h, ok := sink.found[id]
		if ok != c.want {
			t.Errorf("%s: found is %v", name, ok)
		}
		if ok && (len(h.Addrs) != 1 || h.Addrs[0].Addr() != near.Addr() || h.Multicast == c.p.direct) {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// TestTable_OthersCannotRemoveAnAddress: a sender that announces a peer with another port adds that address, but
// removes none that the peer itself, or another sender, has announced. The peer's own restart removes its old
// addresses, on all of its networks.
func TestTable_OthersCannotRemoveAnAddress(t *testing.T) {
	tb, at, id := newTable(), time.Unix(1e9, 0), newID(t)
	see := func(from string, addrs ...string) []string {
		at = at.Add(time.Second)
		s := sight(id, addrs[0])
		for _, a := range addrs[1:] {
			s.addrs = append(s.addrs, netip.MustParseAddrPort(a))
		}
		h, _ := tb.see(s, netip.MustParseAddr(from), at, true)
		var out []string
		for _, a := range h.Addrs {
			out = append(out, a.String())
		}
		slices.Sort(out)
		return out
	}
	for _, step := range []struct {
		name  string
		from  string
		addrs []string
		want  []string
	}{
		{"the peer", "192.0.2.9", []string{"192.0.2.9:2000", "198.51.100.9:2000"}, []string{"192.0.2.9:2000", "198.51.100.9:2000"}},
		{"its other network", "198.51.100.9", []string{"192.0.2.9:2000", "198.51.100.9:2000"}, []string{"192.0.2.9:2000", "198.51.100.9:2000"}},
		{"another sender", "192.0.2.66", []string{"192.0.2.66:3000"}, []string{"192.0.2.66:3000", "192.0.2.9:2000", "198.51.100.9:2000"}},
		{"another one, with the peer's address", "192.0.2.66", []string{"192.0.2.9:2000"}, []string{"192.0.2.9:2000", "198.51.100.9:2000"}},
		{"another one, which then takes it back", "192.0.2.66", []string{"192.0.2.9:4000"}, []string{"192.0.2.9:2000", "192.0.2.9:4000", "198.51.100.9:2000"}},
		{"the peer, restarted", "192.0.2.9", []string{"192.0.2.9:5000", "198.51.100.9:5000"}, []string{"192.0.2.9:5000", "198.51.100.9:2000", "198.51.100.9:5000"}},
		{"its other network, restarted", "198.51.100.9", []string{"192.0.2.9:5000", "198.51.100.9:5000"}, []string{"192.0.2.9:5000", "198.51.100.9:5000"}},
	} {
		if got := see(step.from, step.addrs...); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v", step.name, got)
		}
	}
	var many []string
	for i := range 2 * maxAddrs {
		many = append(many, fmt.Sprintf("192.0.2.%d:6000", 100+i))
	}
	if got := see("192.0.2.66", many...); !slices.Contains(got, "192.0.2.9:5000") || len(got) != maxAddrs {
		t.Errorf("after many addresses of another sender: %v", got)
	}
}

// TestTable_AddressesOfAPeerAreLimited: only a few of many addresses are stored, always the same ones, so that nothing
// seems to change.
func TestTable_AddressesOfAPeerAreLimited(t *testing.T) {
	tb, at := newTable(), time.Unix(1e9, 0)
	s := sight(newID(t), "192.0.2.9:2000")
	for i := range 246 {
		s.addrs = append(s.addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}), 2000))
	}
	from := netip.MustParseAddr("192.0.2.9")
	h, changed := tb.see(s, from, at, false)
	if !changed || len(h.Addrs) != maxAddrs {
		t.Errorf("%v, %d addresses", changed, len(h.Addrs))
	}
	for i := range 10 {
		slices.Reverse(s.addrs)
		if again, changed := tb.see(s, from, at.Add(time.Duration(i)*time.Second), false); changed {
			t.Errorf("the same again: %v and %v", h.Addrs, again.Addrs)
		}
	}
}
