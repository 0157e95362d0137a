package identity

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestProfile_SeenPeersAreLimited: if there are too many peers with trust Seen, the oldest is deleted permanently;
// verified and blocked ones stay, and can always be added.
func TestProfile_SeenPeersAreLimited(t *testing.T) {
	dir := t.TempDir() + "/profile"
	p := open(t, dir)
	key := func(n int) (id PeerID) {
		id[0] = 1
		binary.BigEndian.PutUint32(id[1:], uint32(n))
		return id
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keep := func(n int, trust Trust) {
		t.Helper()
		err := p.Update(key(n), func(r *Record) { r.Trust, r.Last = trust, day.Add(time.Duration(n)*time.Second) })
		if err != nil {
			t.Fatal(err)
		}
	}
	keep(0, Verified)
	keep(1, Blocked)
	keep(2, Seen)
	keep(3, Seen)
	for n := 4; n < maxSeen+2; n++ { // writing them to disk would take minutes
		p.peers[key(n)] = Record{Trust: Seen, Last: day.Add(time.Duration(n) * time.Second)}
	}
	keep(20_000, Seen)
	keep(20_001, Verified)
	keep(20_002, Blocked)
	keep(3, Seen) // it existed already
	if len(p.Peers()) != maxSeen+4 {
		t.Errorf("%d peers are kept", len(p.Peers()))
	}
	if p.Peer(key(2)).Trust != Unknown || p.Peer(key(3)).Trust != Seen {
		t.Error("another one than the oldest was forgotten")
	}
	keep(4, Verified) // it no longer counts
	keep(20_003, Seen)
	if p.Peer(key(3)).Trust != Seen {
		t.Error("one was forgotten though there was room")
	}
	for _, n := range []int{0, 20_001, 4} {
		if p.Peer(key(n)).Trust != Verified {
			t.Errorf("%d is not verified any more", n)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, dir)
	for n, trust := range map[int]Trust{0: Verified, 1: Blocked, 2: Unknown, 3: Seen, 20_000: Seen, 20_001: Verified, 20_002: Blocked} {
		if p.Peer(key(n)).Trust != trust {
			t.Errorf("after a restart %d is %q", n, p.Peer(key(n)).Trust)
		}
	}
}

// TestProfile_DecisionOutlastsEarlierActions: an action before the user's latest decision does not make a peer known
// again; a later action does.
func TestProfile_DecisionOutlastsEarlierActions(t *testing.T) {
	p, err := Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	id := PeerID{1}
	trust := func() Trust { return p.Peer(id).Trust }
	accept := func(decisions int) {
		if err := p.Accept(id, decisions, func(r *Record) { r.Name = "Ben" }); err != nil {
			t.Fatal(err)
		}
	}
	forget := func() {
		if err := p.Decide(id, func(r *Record) { *r = Record{} }); err != nil {
			t.Fatal(err)
		}
	}
	before := p.Decisions(id)
	if accept(before); trust() != Seen {
		t.Errorf("accepted: %q", trust())
	}
	forget()
	if accept(before); trust() != Unknown || p.Peer(id).Name != "" {
		t.Errorf("forgotten: %+v", p.Peer(id))
	}
	if accept(p.Decisions(id)); trust() != Seen {
		t.Errorf("accepted again: %q", trust())
	}
	if err := p.Decide(id, func(r *Record) { r.Trust = Blocked }); err != nil {
		t.Fatal(err)
	}
	if accept(p.Decisions(id)); trust() != Blocked {
		t.Errorf("blocked: %q", trust())
	}
}
