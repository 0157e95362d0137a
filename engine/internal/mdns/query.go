package mdns

import (
	"math/rand/v2"
	"time"

	"multipeer/engine/internal/identity"

	"golang.org/x/net/dns/dnsmessage"
)

// maxKnownAnswers keeps a query in one packet.
const maxKnownAnswers = 40

// querier schedules the queries.
type querier struct {
	next *time.Timer
	step int
	// alone requests unicast answers in one query (RFC 6762 section 5.4): a responder does not multicast a record again
	// within a second.
	alone bool
}

// restart restarts the schedule after a short random wait (RFC 6762 section 5.2).
func (q *querier) restart(after time.Duration) {
	q.step = 0
	q.next.Reset(after + rand.N(20*time.Millisecond))
}

func (q *querier) advance() {
	q.step++
	if q.step < len(querySchedule) {
		q.next.Reset(querySchedule[q.step])
		return
	}
	q.next.Reset(queryInterval*3/4 + rand.N(queryInterval/2))
}

// query sends the next query of the schedule on every interface.
func (m *Finder) query(l *listener, q *querier) {
	step, alone := q.step, q.alone
	q.alone = false
	q.advance()
	m.mu.Lock()
	if !m.self.Browse {
		m.mu.Unlock()
		return
	}
	known := m.table.fresh(time.Now())
	if step > 0 && m.self.Advertise {
		// The first query does not list our own pointer as known: our own responder answers it, which introduces us to
		// everyone within milliseconds, long before its first announcement.
		known[m.self.ID] = recordTTL
	}
	ifs, service := m.ifs, m.self.Service
	m.mu.Unlock()
	data, err := buildQuery(service, known, alone)
	if err != nil {
		m.cfg.Log.Error("building query", "err", err)
		return
	}
	for _, f := range ifs {
		// Both families at the start; later IPv6 only where there is no IPv4.
		if f.has(false) {
			l.send(outgoing{data: data, on: f})
		}
		if f.has(true) && (step < 3 || !f.has(false)) {
			l.send(outgoing{data: data, on: f, six: true})
		}
	}
}

// buildQuery builds a query for all peers except those in known; alone requests unicast answers.
func buildQuery(service string, known map[identity.PeerID]time.Duration, alone bool) ([]byte, error) {
	name, err := dnsmessage.NewName(serviceName(service) + ".local.")
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	q := dnsmessage.Question{Name: name, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}
	if alone {
		q.Class |= topBit
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	n := 0
	for id, left := range known { // map order is random, so over time every peer is included
		n++
		if n > maxKnownAnswers {
			break
		}
		target, err := dnsmessage.NewName(id.Instance() + "." + serviceName(service) + ".local.")
		if err != nil {
			return nil, err
		}
		h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: uint32(left / time.Second)}
		if err := b.PTRResource(h, dnsmessage.PTRResource{PTR: target}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
