package mdns

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"

	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"
)

const (
	typesName   = "_services._dns-sd._udp.local."
	serviceText = "_multipeer._udp.local."
)

// testResponder is a responder on one link, past its start.
type testResponder struct {
	*responder
	t   *testing.T
	id  identity.PeerID
	now time.Time
}

func newTestResponder(t *testing.T, prefixes ...string) *testResponder {
	t.Helper()
	link := testLink()
	for _, p := range prefixes {
		link.prefixes = append(link.prefixes, netip.MustParsePrefix(p))
	}
	r := &testResponder{newResponder(slog.New(slog.DiscardHandler)), t, newID(t), time.Unix(1e9, 0)}
	if _, err := r.reconcile(r.announcement(), []iface{link}, r.now); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, again := r.due(r.now)
		if again.IsZero() {
			break
		}
		r.now = again
	}
	r.now = r.now.Add(time.Minute)
	return r
}

func (r *testResponder) announcement() discovery.Announcement {
	return discovery.Announcement{ID: r.id, Name: "Anna", Service: "multipeer", Port: 17717, Advertise: true}
}

func (r *testResponder) instance() string { return r.id.Instance() + "." + serviceText }

// hears delivers a packet and returns what is sent at once.
func (r *testResponder) hears(p packet) []outgoing {
	p.ifIndex = 7
	r.ask(p, r.now)
	out, _ := r.due(r.now)
	return out
}

func question(t testing.TB, questions ...dnsmessage.Question) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 77})
	b.EnableCompression()
	_ = b.StartQuestions()
	for _, q := range questions {
		if q.Class == 0 {
			q.Class = dnsmessage.ClassINET
		}
		if err := b.Question(q); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func ask(name string, kind dnsmessage.Type) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: kind}
}

func unpack(t *testing.T, raw []byte) *dns.Msg {
	t.Helper()
	m := &dns.Msg{}
	if err := m.Unpack(raw); err != nil {
		t.Fatal(err)
	}
	return m
}

func multicast(data []byte, from string) packet {
	return packet{data: data, from: netip.MustParseAddrPort(from), group: true}
}

func TestResponder_AnswersQuestionsAboutUs(t *testing.T) {
	r := newTestResponder(t, "fe80::1/64")
	for name, c := range map[string]struct {
		q             dnsmessage.Question
		answers, more string
	}{
		"the list of services": {ask(typesName, dnsmessage.TypePTR), "PTR", ""},
		"our service":          {ask(serviceText, dnsmessage.TypePTR), "PTR", "SRV TXT A AAAA"},
		"in other letters":     {ask("_MultiPeer._UDP.Local.", dnsmessage.TypePTR), "PTR", "SRV TXT A AAAA"},
		"anything of it":       {ask(serviceText, dnsmessage.TypeALL), "PTR", "SRV TXT A AAAA"},
		"our instance":         {ask(r.instance(), dnsmessage.TypeSRV), "SRV TXT", "A AAAA"},
		"its text":             {ask(r.instance(), dnsmessage.TypeTXT), "SRV TXT", "A AAAA"},
		"our host":             {ask(r.id.Instance()+".local.", dnsmessage.TypeA), "A AAAA", ""},
		"another type":         {ask(serviceText, dnsmessage.TypeMX), "", ""},
		"another service":      {ask("_ipp._tcp.local.", dnsmessage.TypePTR), "", ""},
		"another instance":     {ask("0"+r.instance()[1:], dnsmessage.TypeSRV), "", ""},
		"another class":        {dnsmessage.Question{Name: dnsmessage.MustNewName(serviceText), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassCHAOS}, "", ""},
	} {
		r.now = r.now.Add(time.Minute)
		out := r.hears(multicast(question(t, c.q), "192.0.2.9:5353"))
		if c.answers == "" {
			if len(out) != 0 {
				t.Errorf("%s: %d packets", name, len(out))
			}
			continue
		}
		if len(out) != 1 || out[0].to.IsValid() || out[0].six {
			t.Errorf("%s: %+v", name, out)
			continue
		}
		m := unpack(t, out[0].data)
		if !m.Response || !m.Authoritative || m.Id != 0 || len(m.Question) != 0 || kinds(m.Answer) != c.answers || kinds(m.Extra) != c.more {
			t.Errorf("%s: %v", name, m)
		}
	}
	if s := parse(r.hears(multicast(question(t, ask(serviceText, dnsmessage.TypePTR)), "[fe80::9%eth7]:5353"))[0].data, "multipeer", testLink()); len(s) != 1 || s[0].id != r.id || s[0].name != "Anna" {
		t.Errorf("%+v", s)
	}
}

func kinds(rrs []dns.RR) (out string) {
	for i, r := range rrs {
		if i > 0 {
			out += " "
		}
		out += dns.TypeToString[r.Header().Rrtype]
	}
	return out
}

// TestResponder_OneMulticastPerSecond: whatever is queried, and how often, at most one packet per second is sent to the
// link, and it answers everyone who has asked in the meantime.
func TestResponder_OneMulticastPerSecond(t *testing.T) {
	r := newTestResponder(t)
	var many []dnsmessage.Question
	for range 59 {
		many = append(many, ask(serviceText, dnsmessage.TypePTR), ask(typesName, dnsmessage.TypePTR), ask(r.instance(), dnsmessage.TypeSRV), ask(r.id.Instance()+".local.", dnsmessage.TypeA))
	}
	flood := question(t, many...)
	sent, bytes, began := 0, 0, r.now
	for i := range 1000 { // 100 per second
		r.now = began.Add(time.Duration(i) * 10 * time.Millisecond)
		for _, o := range r.hears(multicast(flood, "192.0.2.66:5353")) {
			sent++
			bytes += len(o.data)
		}
	}
	if sent != 10 || bytes > 10*1000 {
		t.Errorf("%d packets, %d bytes in 10 s", sent, bytes)
	}
	// Another device queries within that second, and is answered at its end.
	r.now = r.now.Add(time.Minute)
	r.hears(multicast(question(t, ask(typesName, dnsmessage.TypePTR)), "192.0.2.66:5353"))
	asked := r.now
	r.now = r.now.Add(300 * time.Millisecond)
	if out := r.hears(multicast(question(t, ask(serviceText, dnsmessage.TypePTR)), "192.0.2.9:5353")); len(out) != 0 {
		t.Errorf("%d packets within a second", len(out))
	}
	_, again := r.due(r.now)
	if again != asked.Add(answerPause) {
		t.Errorf("the answer is due %v after the last", again.Sub(asked))
	}
	out, _ := r.due(again)
	if len(out) != 1 || kinds(unpack(t, out[0].data).Answer) != "PTR" {
		t.Errorf("%+v", out)
	}
}

// TestResponder_UnicastStaysOnTheLink: unicast answers go only to addresses on the link, and to each at most once per
// second.
func TestResponder_UnicastStaysOnTheLink(t *testing.T) {
	plain := question(t, ask(serviceText, dnsmessage.TypePTR))
	q := ask(serviceText, dnsmessage.TypePTR)
	q.Class = dnsmessage.ClassINET | topBit
	wanted := question(t, q)
	for name, c := range map[string]struct {
		p    packet
		to   string // of the answer; empty is the group
		none bool
	}{
		"a plain DNS client":                         {p: multicast(plain, "192.0.2.9:40000"), to: "192.0.2.9:40000"},
		"a plain DNS client off the link":            {p: multicast(plain, "198.51.100.9:40000"), none: true},
		"sent to us":                                 {p: packet{data: plain, from: netip.MustParseAddrPort("192.0.2.9:5353"), direct: true}, to: "192.0.2.9:5353"},
		"sent to us from off the link":               {p: packet{data: plain, from: netip.MustParseAddrPort("198.51.100.9:5353"), direct: true}, none: true},
		"sent to us from off the link, plain":        {p: packet{data: plain, from: netip.MustParseAddrPort("198.51.100.9:53"), direct: true}, none: true},
		"to a broadcast address":                     {p: multicast(plain, "192.0.2.255:40000"), none: true},
		"port 0":                                     {p: multicast(plain, "192.0.2.9:0"), none: true},
		"wanted by unicast":                          {p: multicast(wanted, "192.0.2.9:5353"), to: "192.0.2.9:5353"},
		"wanted by unicast, of another network":      {p: multicast(wanted, "198.51.100.9:5353")},
		"wanted by unicast, and nobody has heard it": {p: multicast(wanted, "192.0.2.9:5353")},
	} {
		r := newTestResponder(t)
		r.now = r.now.Add(-50 * time.Second) // after the announcement, within a quarter of its lifetime
		if name == "wanted by unicast, and nobody has heard it" {
			r.now = r.now.Add(time.Hour)
		}
		out := r.hears(c.p)
		if len(out) != map[bool]int{false: 1, true: 0}[c.none] {
			t.Errorf("%s: %d packets", name, len(out))
			continue
		}
		if c.none {
			continue
		}
		if c.to == "" != !out[0].to.IsValid() || c.to != "" && out[0].to != netip.MustParseAddrPort(c.to) {
			t.Errorf("%s: to %v", name, out[0].to)
		}
		m := unpack(t, out[0].data)
		if legacy := c.to != "" && out[0].to.Port() != mdnsPort; legacy && (m.Id != 77 || len(m.Question) != 1 || m.Answer[0].Header().Ttl > 10) {
			t.Errorf("%s: %v", name, m)
		}
	}
	r := newTestResponder(t)
	one, others := 0, 0
	for i := range 1000 {
		one += len(r.hears(multicast(plain, "192.0.2.9:40000")))
		others += len(r.hears(multicast(plain, fmt.Sprintf("192.0.2.%d:40000", 10+i%200))))
	}
	if one != 1 || others >= maxReplied {
		t.Errorf("%d and %d answers within a second", one, others)
	}
	r.now = r.now.Add(answerPause)
	if out := r.hears(multicast(plain, "192.0.2.9:40000")); len(out) != 1 {
		t.Errorf("%d answers after a second", len(out))
	}
}

func TestResponder_QuestionsAreLimited(t *testing.T) {
	for _, n := range []int{maxRecords - 1, maxRecords} {
		r := newTestResponder(t)
		var questions []dnsmessage.Question
		for range n {
			questions = append(questions, ask("x.local.", dnsmessage.TypeA))
		}
		raw := question(t, append(questions, ask(serviceText, dnsmessage.TypePTR))...)
		if out := r.hears(multicast(raw, "192.0.2.9:5353")); len(out) != maxRecords-n {
			t.Errorf("after %d questions: %d packets", n, len(out))
		}
	}
}

// TestResponder_KnownAnswersAreNotRepeated: known answers are not repeated, and a probe is not answered.
func TestResponder_KnownAnswersAreNotRepeated(t *testing.T) {
	r := newTestResponder(t)
	for _, c := range []struct {
		left time.Duration
		want int
	}{{recordTTL, 0}, {recordTTL / 2, 0}, {recordTTL/2 - time.Second, 1}} {
		r.now = r.now.Add(time.Minute)
		raw, err := buildQuery("multipeer", map[identity.PeerID]time.Duration{r.id: c.left, newID(t): recordTTL}, false)
		if err != nil {
			t.Fatal(err)
		}
		if out := r.hears(multicast(raw, "192.0.2.9:5353")); len(out) != c.want {
			t.Errorf("known for %v yet: %d packets", c.left, len(out))
		}
	}
	r.now = r.now.Add(time.Minute)
	probe, err := r.own(r.links[7], netip.Addr{}).probe()
	if err != nil {
		t.Fatal(err)
	}
	if out := r.hears(multicast(probe, "192.0.2.9:5353")); len(out) != 0 {
		t.Errorf("a probe: %d packets", len(out))
	}
}

// TestResponder_ProbesAnnouncesAndSaysGoodbye: the responder starts with three probes and two announcements, and ends
// with a goodbye.
func TestResponder_ProbesAnnouncesAndSaysGoodbye(t *testing.T) {
	r := newResponder(slog.New(slog.DiscardHandler))
	id, now := newID(t), time.Unix(1e9, 0)
	self := discovery.Announcement{ID: id, Name: "Anna", Service: "multipeer", Port: 17717, Advertise: true}
	link := testLink()
	link.prefixes = append(link.prefixes, netip.MustParsePrefix("fe80::1/64"))
	run := func() (out []outgoing, took time.Duration) {
		began := now
		for {
			sent, again := r.due(now)
			out = append(out, sent...)
			if again.IsZero() {
				return out, now.Sub(began)
			}
			now = again
		}
	}
	if _, err := r.reconcile(self, []iface{link}, now); err != nil {
		t.Fatal(err)
	}
	out, took := run()
	if len(out) != 2*(probes+announcements) || took > 2*time.Second {
		t.Fatalf("%d packets in %v", len(out), took)
	}
	for i, o := range out {
		m := unpack(t, o.data)
		switch {
		case o.six != (i%2 == 1):
			t.Errorf("packet %d: IPv6 is %v", i, o.six)
		case i < 2*probes:
			if m.Response || m.Question[0].Qtype != dns.TypeANY || kinds(m.Ns) != "SRV TXT" {
				t.Errorf("probe: %v", m)
			}
		case !m.Response || kinds(m.Answer) != "PTR PTR SRV TXT A AAAA" || m.Answer[2].Header().Class != dns.ClassINET|topBit:
			t.Errorf("announcement: %v", m)
		}
	}
	now = now.Add(time.Minute)
	self.Name = "Eva" // the new name is announced, and nothing is withdrawn
	bye, err := r.reconcile(self, []iface{link}, now)
	if err != nil || len(bye) != 0 {
		t.Errorf("%d goodbyes, %v", len(bye), err)
	}
	if out, _ = run(); len(out) != 2*announcements {
		t.Errorf("a new name is announced with %d packets", len(out))
	}
	if s := parse(out[0].data, "multipeer", testLink()); len(s) != 1 || s[0].name != "Eva" {
		t.Errorf("%+v", s)
	}
	now = now.Add(time.Minute)
	link.prefixes = append(link.prefixes, netip.MustParsePrefix("198.51.100.1/24")) // a new address is announced, too
	if bye, _ = r.reconcile(self, []iface{link}, now); len(bye) != 0 {
		t.Errorf("%d goodbyes", len(bye))
	}
	if out, _ = run(); len(out) != 2*announcements || kinds(unpack(t, out[0].data).Answer) != "PTR PTR SRV TXT A AAAA A" {
		t.Errorf("%d packets for a new address", len(out))
	}
	if bye, _ = r.reconcile(self, []iface{link}, now); len(bye) != 0 {
		t.Errorf("%d goodbyes", len(bye))
	}
	if out, _ = run(); len(out) != 0 {
		t.Errorf("%d packets for nothing new", len(out))
	}
	goodbye := func(name, service string) {
		t.Helper()
		bye, _ := r.reconcile(self, []iface{link}, now)
		if len(bye) != 2 {
			t.Fatalf("%s: %d goodbyes", name, len(bye))
		}
		if s := parse(bye[0].data, service, testLink()); len(s) != 1 || s[0].id != id || s[0].ttl != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	self.Service = "chat"
	goodbye("another service", "multipeer")
	if out, _ = run(); len(out) != 2*(probes+announcements) {
		t.Errorf("another service begins with %d packets", len(out))
	}
	self.Advertise = false
	goodbye("advertised no more", "chat")
	if r.ask(packet{data: question(t, ask("_chat._udp.local.", dnsmessage.TypePTR)), from: netip.MustParseAddrPort("192.0.2.9:5353"), ifIndex: 7, group: true}, now) {
		t.Error("a peer that is not advertised answers")
	}
}

// TestOwnAddresses_NetworkOfTheAskerComesFirst: the addresses on the asker's network come first. If there are very
// many, one address from each other network follows.
func TestOwnAddresses_NetworkOfTheAskerComesFirst(t *testing.T) {
	f := iface{Interface: net.Interface{Index: 7, Name: "eth7"}}
	for i := range 100 {
		f.prefixes = append(f.prefixes, netip.MustParsePrefix(fmt.Sprintf("10.1.%d.1/24", i%50)), netip.MustParsePrefix(fmt.Sprintf("10.2.0.%d/24", i+1)))
	}
	f.prefixes = append(f.prefixes, netip.MustParsePrefix("192.0.2.7/24"))
	got := f.addresses(netip.MustParseAddr("192.0.2.9"))
	if len(got) != maxOwnAddrs || got[0].String() != "192.0.2.7" {
		t.Errorf("%v", got)
	}
	networks := map[netip.Prefix]bool{}
	for _, a := range got {
		p, _ := a.Prefix(24)
		networks[p] = true
	}
	if len(networks) != maxOwnAddrs {
		t.Errorf("%d networks in %v", len(networks), got)
	}
	if got = f.addresses(netip.Addr{}); len(got) != maxOwnAddrs || slices.Contains(got, netip.Addr{}) {
		t.Errorf("nobody asked: %v", got)
	}
}

func FuzzResponder(f *testing.F) {
	f.Add(question(f, ask(serviceText, dnsmessage.TypePTR)), true)
	raw, _ := buildQuery("multipeer", map[identity.PeerID]time.Duration{newID(f): time.Minute}, false)
	f.Add(raw, false)
	id := newID(f)
	r := newResponder(slog.New(slog.DiscardHandler))
	now := time.Unix(1e9, 0)
	if _, err := r.reconcile(discovery.Announcement{ID: id, Name: "Anna", Service: "multipeer", Port: 17717, Advertise: true}, []iface{testLink()}, now); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, direct bool) {
		now = now.Add(time.Minute)
		r.due(now)
		r.ask(packet{data: raw, from: netip.MustParseAddrPort("192.0.2.9:5353"), ifIndex: 7, group: !direct, direct: direct}, now)
		out, _ := r.due(now)
		if len(out) > 4 {
			t.Errorf("%d packets", len(out))
		}
		for _, o := range out {
			if o.to.IsValid() && o.to != netip.MustParseAddrPort("192.0.2.9:5353") || len(o.data) > 1000 {
				t.Errorf("%+v", o)
			}
		}
	})
}
