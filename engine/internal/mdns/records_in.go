package mdns

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"golang.org/x/net/dns/dnsmessage"
)

// sighting is what one packet contains about one peer.
type sighting struct {
	id    identity.PeerID
	name  string
	info  map[string]string
	known bool // only for peers that know its ID
	addrs []netip.AddrPort
	ttl   time.Duration // 0 is a goodbye
	// multicast reports that it was sent to the group. The library does not report this for its entries.
	multicast bool
}

// maxRecords limits the work that one packet can cause.
const maxRecords = 256

// parse reads the peers of a service from an mDNS response that arrived on link. Records that are malformed or point to
// an address that is not on the link are skipped; the packet's other records still count. dnsmessage reads record by
// record, so that one bad record does not hide the rest, as it does with the library's parser.
func parse(data []byte, service string, link iface) []sighting {
	var p dnsmessage.Parser
	h, err := p.Start(data)
	if err != nil || !h.Response {
		return nil
	}
	if p.SkipAllQuestions() != nil {
		return nil
	}
	r := newRecords(service, link)
	for _, section := range []struct {
		next func() (dnsmessage.ResourceHeader, error)
		skip func() error
	}{
		{p.AnswerHeader, p.SkipAnswer},
		{p.AuthorityHeader, p.SkipAuthority},
		{p.AdditionalHeader, p.SkipAdditional},
	} {
		for {
			h, err := section.next()
			if err == dnsmessage.ErrSectionDone {
				break
			}
			r.count++
			if err != nil || r.count > maxRecords { // guard: records-in-packet
				return r.sightings()
			}
			if !r.take(&p, h) && section.skip() != nil {
				return r.sightings()
			}
		}
	}
	return r.sightings()
}

type record struct {
	host string
	port uint16
	txt  map[string]string
	ttl  uint32
}

type records struct {
	suffix string
	peers  map[string]*record // by instance
	hosts  map[string][]netip.Addr
	link   iface
	count  int
}

func newRecords(service string, link iface) *records {
	return &records{suffix: "." + serviceName(service) + ".local.", peers: map[string]*record{}, hosts: map[string][]netip.Addr{}, link: link}
}

// instance extracts the instance from an owner name; empty if it is not one of ours.
func (r *records) instance(name string) string {
	name = strings.ToLower(name)
	inst, ok := strings.CutSuffix(name, r.suffix)
	if !ok || len(inst) != identity.InstanceChars {
		return ""
	}
	return inst
}

func (r *records) peer(inst string, ttl uint32) *record {
	p := r.peers[inst]
	if p == nil {
		p = &record{ttl: ttl}
		r.peers[inst] = p
	}
	p.ttl = min(p.ttl, ttl)
	return p
}

// take consumes the body of a record if it is useful; false leaves it to be skipped.
func (r *records) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) bool {
	owner := h.Name.String()
	switch h.Type {
	case dnsmessage.TypePTR:
		if !strings.EqualFold("."+owner, r.suffix) {
			return false
		}
		body, err := p.PTRResource()
		if err != nil {
			return false
		}
		if inst := r.instance(body.PTR.String()); inst != "" {
			r.peer(inst, h.TTL)
		}
		return true
	case dnsmessage.TypeSRV:
		inst := r.instance(owner)
		if inst == "" {
			return false
		}
		body, err := p.SRVResource()
		if err != nil {
			return false
		}
		peer := r.peer(inst, h.TTL)
		peer.port, peer.host = body.Port, strings.ToLower(body.Target.String())
		return true
	case dnsmessage.TypeTXT:
		inst := r.instance(owner)
		if inst == "" {
			return false
		}
		body, err := p.TXTResource()
		if err != nil {
			return false
		}
		r.peer(inst, h.TTL).txt = pairs(body.TXT)
		return true
	case dnsmessage.TypeA:
		body, err := p.AResource()
		if err != nil {
			return false
		}
		r.host(owner, netip.AddrFrom4(body.A))
		return true
	case dnsmessage.TypeAAAA:
		body, err := p.AAAAResource()
		if err != nil {
			return false
		}
		r.host(owner, netip.AddrFrom16(body.AAAA))
		return true
	}
	return false
}

func (r *records) host(name string, a netip.Addr) {
	if !r.link.onLink(a) || a.IsLoopback() != r.link.loopback() { // guard: address-on-link
		return
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		a = a.WithZone(r.link.Name)
	}
	name = strings.ToLower(name)
	r.hosts[name] = append(r.hosts[name], a)
}

// pairs reads the strings of a TXT record.
func pairs(lines []string) map[string]string {
	out := map[string]string{}
	for _, s := range lines {
		k, v, _ := strings.Cut(s, "=")
		if _, twice := out[k]; !twice { // RFC 6763 section 6.4: the first one counts
			out[k] = v
		}
	}
	return out
}

// info returns the program's part of a TXT record; nil if it breaks the rules.
func info(txt map[string]string) map[string]string {
	var out map[string]string
	for k, v := range txt {
		if k != "" && k[0] != '_' {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	if wire.ValidateInfo(out) != nil {
		return nil
	}
	return out
}

func (r *records) sightings() []sighting {
	var out []sighting
	for inst, p := range r.peers {
		s := sighting{ttl: min(recordTTL, max(10*time.Second, time.Duration(p.ttl)*time.Second))}
		if p.ttl == 0 {
			s.ttl = 0
		}
		if p.txt != nil {
			id, err := identity.ParsePeerID(p.txt["_id"])
			if err != nil || id.Instance() != inst || p.txt["_v"] != "1" { // guard: announced-id
				continue
			}
			s.id = id
			if name := p.txt["_n"]; name != "" && utf8.ValidString(name) {
				s.name = wire.CleanName(name)
			}
			s.info, s.known = info(p.txt), p.txt["_k"] == "1"
		} else if s.ttl != 0 {
			continue // no ID: a bare pointer is not enough; its peer answers the next query in full
		}
		if p.port >= 1024 {
			for _, a := range r.hosts[p.host] {
				s.addrs = append(s.addrs, netip.AddrPortFrom(a, p.port))
			}
		}
		if s.ttl != 0 && len(s.addrs) == 0 {
			continue
		}
		if s.id.IsZero() { // a goodbye with the pointer alone
			continue
		}
		out = append(out, s)
	}
	return out
}
