package mdns

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"multipeer/engine/discovery"
)

const (
	// answerPause is the minimum time between two multicast answers on one link and IP version (RFC 6762 section 6).
	// Queries in between are answered together at its end.
	answerPause = time.Second
	// maxReplied is the maximum number of queriers that are answered by unicast per answerPause, once each.
	maxReplied = 64
	// After a start, three probes and two announcements are sent (RFC 6762 section 8).
	probes        = 3
	announcements = 2
	probePause    = 250 * time.Millisecond
)

// outgoing is a packet to be sent on a link.
type outgoing struct {
	data []byte
	on   iface
	six  bool           // by IPv6
	to   netip.AddrPort // the zero value is the group
}

// side is a link with one IP version. RFC 6762 treats the two as separate links.
type side struct {
	sent     time.Time // time of the last multicast answer
	pending  recordSet
	announce bool
	due      time.Time
	asker    netip.Addr // the latest
}

// want schedules a multicast of a set of records as soon as it is allowed.
func (s *side) want(set recordSet, asker netip.Addr, now time.Time) {
	if s.pending == 0 {
		s.due = now
		if soonest := s.sent.Add(answerPause); soonest.After(now) { // guard: mdns-answer-rate
			s.due = soonest
		}
	}
	s.pending |= set
	s.asker = asker
}

// link is one interface on which we are announced.
type link struct {
	on    iface
	sides [2]side // IPv4, IPv6
	step  int     // of the probes and announcements
	next  time.Time
}

// replying is a unicast answer that is not sent yet.
type replying struct {
	to     netip.AddrPort
	index  int
	set    recordSet
	ask    request
	legacy bool
}

// responder announces us, answers queries and says goodbye. It sends nothing itself: due returns what is to be sent
// now. Its owner holds a lock around each call.
type responder struct {
	log     *slog.Logger
	self    discovery.Announcement
	names   names
	links   map[int]*link // by interface index
	replies []replying
	replied map[netip.Addr]time.Time
}

func newResponder(log *slog.Logger) *responder {
	return &responder{log: log, links: map[int]*link{}, replied: map[netip.Addr]time.Time{}}
}

// reconcile makes the responder announce self on each of ifs, and returns goodbyes for what is no longer announced.
// Changed records are announced again and replace the earlier ones.
func (r *responder) reconcile(self discovery.Announcement, ifs []iface, now time.Time) ([]outgoing, error) {
	var bye []outgoing
	if !self.Advertise {
		bye = r.close()
		r.self = self
		return bye, nil
	}
	n, err := namesOf(self)
	if err != nil {
		return r.close(), fmt.Errorf("advertising: %w", err)
	}
	if n.instance != r.names.instance {
		bye = r.close()
	}
	changed := !self.Equal(r.self)
	r.self, r.names = self, n
	here := map[int]bool{}
	for _, f := range ifs {
		here[f.Index] = true
		l := r.links[f.Index]
		switch {
		case l == nil:
			r.links[f.Index] = &link{on: f, next: now.Add(rand.N(probePause))}
		case changed || !l.on.equal(f):
			l.on = f
			if l.step >= probes {
				l.step, l.next = probes, now
			}
		}
	}
	maps.DeleteFunc(r.links, func(index int, _ *link) bool { return !here[index] }) // nothing can be sent there any more
	return bye, nil
}

// close ends all answers and returns the goodbyes.
func (r *responder) close() (bye []outgoing) {
	for _, l := range r.inOrder() {
		bye = append(bye, r.both(l, r.own(l, netip.Addr{}).goodbye)...)
	}
	clear(r.links)
	r.replies = nil
	return bye
}

func (r *responder) inOrder() []*link {
	var out []*link
	for _, index := range slices.Sorted(maps.Keys(r.links)) {
		out = append(out, r.links[index])
	}
	return out
}

func (r *responder) own(l *link, asker netip.Addr) own {
	return own{names: r.names, self: r.self, addrs: l.on.addresses(asker)}
}

// built builds a packet, or logs why that failed.
func (r *responder) built(build func() ([]byte, error)) []byte {
	data, err := build()
	if err != nil {
		r.log.Error("building a packet", "err", err)
		return nil
	}
	return data
}

// both returns a packet for each IP version of a link.
func (r *responder) both(l *link, build func() ([]byte, error)) (out []outgoing) {
	data := r.built(build)
	if data == nil {
		return nil
	}
	for six := range 2 {
		if l.on.has(six == 1) {
			out = append(out, outgoing{data: data, on: l.on, six: six == 1})
		}
	}
	return out
}

// ask processes a query; it returns true if due has something new.
func (r *responder) ask(p packet, now time.Time) bool {
	l := r.links[p.ifIndex]
	if l == nil {
		return false
	}
	ask, ok := r.names.read(p.data)
	if !ok {
		return false
	}
	from := p.from.Addr()
	s := &l.sides[0]
	if from.Is6() {
		s = &l.sides[1]
	}
	legacy := p.from.Port() != mdnsPort
	alone := ask.unicast
	switch {
	case legacy || p.direct:
		alone |= ask.multicast
		ask.multicast = 0
	case now.Sub(s.sent) > recordTTL/4 || !l.on.sends(from): // RFC 6762 section 5.4: others should receive it too
		ask.multicast |= alone
		alone = 0
	}
	news := false
	if ask.multicast != 0 {
		s.want(ask.multicast, from, now)
		news = true
	}
	if alone != 0 && r.mayReply(l, p.from, now) {
		r.replies = append(r.replies, replying{p.from, p.ifIndex, alone, ask, legacy})
		news = true
	}
	return news
}

// mayReply reports whether an asker gets a unicast answer. Its address may be forged: no answer leaves the link, and
// no address receives more than multicast would send it.
func (r *responder) mayReply(l *link, to netip.AddrPort, now time.Time) bool {
	if to.Port() == 0 || !l.on.sends(to.Addr()) { // guard: mdns-reply-on-link
		return false
	}
	maps.DeleteFunc(r.replied, func(_ netip.Addr, at time.Time) bool { return now.Sub(at) >= answerPause })
	if _, twice := r.replied[to.Addr()]; twice || len(r.replied) >= maxReplied { // guard: mdns-reply-rate
		return false
	}
	r.replied[to.Addr()] = now
	return true
}

// due returns what is to be sent now, and when to call it again; the zero time means not before a new event.
func (r *responder) due(now time.Time) (out []outgoing, again time.Time) {
	for _, q := range r.replies {
		if l := r.links[q.index]; l != nil {
			o := r.own(l, q.to.Addr())
			if data := r.built(func() ([]byte, error) { return o.reply(q.ask, q.set, q.legacy) }); data != nil {
				out = append(out, outgoing{data, l.on, q.to.Addr().Is6(), q.to})
			}
		}
	}
	r.replies = nil
	soonest := func(t time.Time) {
		if again.IsZero() || t.Before(again) {
			again = t
		}
	}
	for _, l := range r.inOrder() {
		if l.step < probes+announcements && !l.next.After(now) {
			if l.step < probes {
				out = append(out, r.both(l, r.own(l, netip.Addr{}).probe)...)
				l.next = now.Add(probePause)
			} else {
				for i := range l.sides {
					l.sides[i].want(allRecords, netip.Addr{}, now)
					l.sides[i].announce = true
				}
				l.next = now.Add(answerPause)
			}
			l.step++
		}
		if l.step < probes+announcements {
			soonest(l.next)
		}
		for i := range l.sides {
			s := &l.sides[i]
			switch {
			case s.pending == 0:
			case s.due.After(now):
				soonest(s.due)
			default:
				out = append(out, r.answer(l, i == 1)...)
				s.sent, s.pending, s.announce = now, 0, false
			}
		}
	}
	return out, again
}

// answer builds the multicast answer that is due on one side of a link.
func (r *responder) answer(l *link, six bool) []outgoing {
	if !l.on.has(six) {
		return nil
	}
	s := l.sides[0]
	if six {
		s = l.sides[1]
	}
	o := r.own(l, s.asker)
	build := o.announcement
	if !s.announce {
		build = func() ([]byte, error) { return o.answer(s.pending) }
	}
	data := r.built(build)
	if data == nil {
		return nil
	}
	return []outgoing{{data: data, on: l.on, six: six}}
}
