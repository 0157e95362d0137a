package mdns

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multipeer/engine/discovery"

	"golang.org/x/net/dns/dnsmessage"
)

// recordSet is a set of our own records.
type recordSet uint8

const (
	typeRecord     recordSet = 1 << iota // the pointer from the list of all service types to ours
	pointerRecord                        // the pointer from our service type to our instance
	serviceRecords                       // SRV and TXT of our instance
	hostRecords                          // the addresses of our host name
	allRecords     = typeRecord | pointerRecord | serviceRecords | hostRecords
)

// additional lists the records that a receiver of s needs next (RFC 6763 section 12).
func (s recordSet) additional() recordSet {
	var more recordSet
	if s&pointerRecord != 0 {
		more |= serviceRecords | hostRecords
	}
	if s&serviceRecords != 0 {
		more |= hostRecords
	}
	return more &^ s
}

const (
	// maxOwnAddrs keeps the answer of an interface with very many addresses in one packet.
	maxOwnAddrs = 32
	// legacyTTL is the longest lifetime of a record in an answer to a plain DNS client (RFC 6762 section 6.7).
	legacyTTL = 10 * time.Second
	// topBit of a class means "flush the cache" in a record, "answer by unicast" in a question (RFC 6762 section 18).
	topBit = 1 << 15
)

func serviceName(service string) string { return "_" + service + "._udp" }

// text returns the TXT record: schema, full ID, name, and the program's discovery info. Keys with an underscore are
// ours.
func text(self discovery.Announcement) []string {
	if self.Known {
		return []string{"_v=1", "_id=" + self.ID.String(), "_k=1"}
	}
	out := []string{"_v=1", "_id=" + self.ID.String(), "_n=" + self.Name}
	for _, k := range slices.Sorted(maps.Keys(self.Info)) {
		out = append(out, k+"="+self.Info[k])
	}
	return out
}

// names are the owner names of our records.
type names struct {
	types, service, instance, host dnsmessage.Name
}

func namesOf(self discovery.Announcement) (n names, err error) {
	service, instance := serviceName(self.Service)+".local.", self.ID.Instance()
	for _, name := range []struct {
		to   *dnsmessage.Name
		text string
	}{
		{&n.types, "_services._dns-sd._udp.local."},
		{&n.service, service},
		{&n.instance, instance + "." + service},
		{&n.host, instance + ".local."},
	} {
		if *name.to, err = dnsmessage.NewName(name.text); err != nil {
			return names{}, err
		}
	}
	return n, nil
}

// asked returns which of our records a question requests.
func (n names) asked(q dnsmessage.Question) recordSet {
	if class := q.Class &^ topBit; class != dnsmessage.ClassINET && class != dnsmessage.ClassANY {
		return 0
	}
	is := func(name dnsmessage.Name, types ...dnsmessage.Type) bool {
		return (q.Type == dnsmessage.TypeALL || slices.Contains(types, q.Type)) && strings.EqualFold(q.Name.String(), name.String())
	}
	switch {
	case is(n.types, dnsmessage.TypePTR):
		return typeRecord
	case is(n.service, dnsmessage.TypePTR):
		return pointerRecord
	case is(n.instance, dnsmessage.TypeSRV, dnsmessage.TypeTXT):
		return serviceRecords
	case is(n.host, dnsmessage.TypeA, dnsmessage.TypeAAAA):
		return hostRecords
	}
	return 0
}

// request is what one packet requests of us.
type request struct {
	multicast, unicast recordSet // by how the answer is requested
	id                 uint16
	question           dnsmessage.Question // the first that concerns us
}

// isQuery distinguishes a query from a response.
func isQuery(data []byte) bool { return len(data) >= 12 && data[2]&0x80 == 0 }

// read returns what a query requests of us; false if nothing.
func (n names) read(data []byte) (request, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(data)
	if err != nil || h.Response || h.OpCode != 0 || h.RCode != 0 {
		return request{}, false
	}
	if binary.BigEndian.Uint16(data[8:]) > 0 { // a probe; no one else has a name derived from our key
		return request{}, false
	}
	r := request{id: h.ID}
	count := 0
	for {
		q, err := p.Question()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		count++
		if err != nil || count > maxRecords { // guard: questions-in-packet
			return request{}, false
		}
		set := n.asked(q)
		if r.multicast|r.unicast == 0 {
			r.question = q
		}
		if q.Class&topBit != 0 {
			r.unicast |= set
		} else {
			r.multicast |= set
		}
	}
	for r.multicast|r.unicast != 0 {
		h, err := p.AnswerHeader()
		count++
		if err != nil || count > maxRecords {
			break
		}
		// RFC 6762 section 7.1: a record that the asker knows, with at least half of its lifetime left, is not sent
		// again.
		if h.Type == dnsmessage.TypePTR && time.Duration(h.TTL)*time.Second >= recordTTL/2 && strings.EqualFold(h.Name.String(), n.service.String()) {
			body, err := p.PTRResource()
			if err != nil {
				break
			}
			if strings.EqualFold(body.PTR.String(), n.instance.String()) {
				r.multicast &^= pointerRecord
				r.unicast &^= pointerRecord
			}
		} else if p.SkipAnswer() != nil {
			break
		}
	}
	return r, r.multicast|r.unicast != 0
}

// own is what we announce on one link.
type own struct {
	names
	self  discovery.Announcement
	addrs []netip.Addr
}

// answer builds a response to the group.
func (o own) answer(set recordSet) ([]byte, error) {
	return o.build(dnsmessage.Header{Response: true, Authoritative: true}, nil, set, set.additional(), recordTTL, 0)
}

// announcement builds an unsolicited response with all records, which replace the earlier ones.
func (o own) announcement() ([]byte, error) {
	return o.build(dnsmessage.Header{Response: true, Authoritative: true}, nil, allRecords, 0, recordTTL, topBit)
}

// goodbye withdraws the records that are ours alone.
func (o own) goodbye() ([]byte, error) {
	return o.build(dnsmessage.Header{Response: true, Authoritative: true}, nil, pointerRecord|serviceRecords, 0, 0, topBit)
}

// reply builds a response to one asker. A plain DNS client expects its question repeated (RFC 6762 section 6.7).
func (o own) reply(r request, set recordSet, legacy bool) ([]byte, error) {
	h := dnsmessage.Header{Response: true, Authoritative: true}
	if !legacy {
		return o.build(h, nil, set, set.additional(), recordTTL, 0)
	}
	h.ID = r.id
	r.question.Class &^= topBit
	return o.build(h, &r.question, set, set.additional(), legacyTTL, 0)
}

// probe asks whether another device has our name (RFC 6762 section 8.1).
func (o own) probe() ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(dnsmessage.Question{Name: o.instance, Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET}); err != nil {
		return nil, err
	}
	if err := b.StartAuthorities(); err != nil {
		return nil, err
	}
	if err := o.add(&b, serviceRecords, recordTTL, 0); err != nil {
		return nil, err
	}
	return b.Finish()
}

func (o own) build(h dnsmessage.Header, question *dnsmessage.Question, answers, more recordSet, ttl time.Duration, flush dnsmessage.Class) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, h)
	b.EnableCompression()
	if question != nil {
		if err := b.StartQuestions(); err != nil {
			return nil, err
		}
		if err := b.Question(*question); err != nil {
			return nil, err
		}
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	if err := o.add(&b, answers, ttl, flush); err != nil {
		return nil, err
	}
	if err := b.StartAdditionals(); err != nil {
		return nil, err
	}
	if err := o.add(&b, more, ttl, flush); err != nil {
		return nil, err
	}
	return b.Finish()
}

// add adds records to the section that was started.
func (o own) add(b *dnsmessage.Builder, set recordSet, ttl time.Duration, flush dnsmessage.Class) error {
	shared := func(name dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: uint32(ttl / time.Second)}
	}
	unique := func(name dnsmessage.Name) dnsmessage.ResourceHeader {
		h := shared(name)
		h.Class |= flush
		return h
	}
	if set&typeRecord != 0 {
		if err := b.PTRResource(shared(o.types), dnsmessage.PTRResource{PTR: o.service}); err != nil {
			return err
		}
	}
	if set&pointerRecord != 0 {
		if err := b.PTRResource(shared(o.service), dnsmessage.PTRResource{PTR: o.instance}); err != nil {
			return err
		}
	}
	if set&serviceRecords != 0 {
		if err := b.SRVResource(unique(o.instance), dnsmessage.SRVResource{Port: uint16(o.self.Port), Target: o.host}); err != nil {
			return err
		}
		if err := b.TXTResource(unique(o.instance), dnsmessage.TXTResource{TXT: text(o.self)}); err != nil {
			return err
		}
	}
	if set&hostRecords != 0 {
		for _, a := range o.addrs {
			var err error
			if a.Is4() {
				err = b.AResource(unique(o.host), dnsmessage.AResource{A: a.As4()})
			} else {
				err = b.AAAAResource(unique(o.host), dnsmessage.AAAAResource{AAAA: a.As16()})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
