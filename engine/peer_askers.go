package engine

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"multipeer/engine/internal/identity"
)

// Limits on how often a peer that is not verified may ask after being declined.
const (
	maxDeclined  = 3
	declinePause = 10 * time.Minute
)

// maxAskers limits how many peers are remembered.
const maxAskers = 4096

// askers counts what peers have asked a person. It outlives their connections, or reconnecting would reset the limits.
// Its lock is a leaf: any other lock may be taken before it.
type askers struct {
	profile *identity.Profile

	mu        sync.Mutex
	peers     map[PeerID]*asker
	strangers *rate.Limiter // one limit for all strangers, since keys cost nothing
}

// asker counts what one peer has asked, the peers that it announced, and the peers announced to it.
type asker struct {
	prompts    *rate.Limiter
	introduces *rate.Limiter
	hears      *rate.Limiter
	lately     map[PeerID]time.Time // guarded by Engine.mu
	declined   int
	since      time.Time // when it was last declined
}

func newAskers(profile *identity.Profile) *askers {
	a := &askers{profile: profile}
	a.clear()
	return a
}

// clear forgets everything.
func (as *askers) clear() {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.peers = map[PeerID]*asker{}
	as.strangers = rate.NewLimiter(strangersPromptRate, strangersPromptBurst)
}

// ofLocked returns the record of a peer.
func (as *askers) ofLocked(id PeerID) *asker {
	if a := as.peers[id]; a != nil {
		return a
	}
	for old, b := range as.peers { // any entry may go: strangers are also limited as a group
		if len(as.peers) < maxAskers {
			break
		}
		if b.declined == 0 || now().Sub(b.since) >= declinePause {
			delete(as.peers, old)
		}
	}
	if len(as.peers) >= maxAskers && as.profile.Knows(id) { // strangers must not crowd out known peers
		for old := range as.peers {
			if !as.profile.Knows(old) {
				delete(as.peers, old)
				break
			}
		}
	}
	a := &asker{
		prompts:    rate.NewLimiter(promptRate, promptBurst),
		introduces: rate.NewLimiter(rate.Every(toldEvery), maxTold), hears: rate.NewLimiter(rate.Every(toldEvery), maxTold),
		lately: map[PeerID]time.Time{},
	}
	if len(as.peers) < maxAskers {
		as.peers[id] = a
	}
	return a
}

// MayPrompt reports whether a peer may cause one more question to a person.
func (as *askers) MayPrompt(id PeerID) bool {
	if as.profile.Peer(id).Trust != identity.Unknown {
		return true
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.ofLocked(id).prompts.Allow() && as.strangers.Allow()
}

// mayAsk applies the part of MayPrompt that limits each peer separately.
func (as *askers) mayAsk(id PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.ofLocked(id).prompts.Allow()
}

// mayIntroduce reports whether id may have us dial one more peer.
func (as *askers) mayIntroduce(id PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	return as.peers[id] == a && a.introduces.Allow() // a record that is not stored would limit nothing
}

// mayGossip reports whether one more peer may be announced to id, which would not dial more than that.
func (as *askers) mayGossip(id PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.ofLocked(id).hears.Allow()
}

// lastGossip returns when peers were announced to id, over any connection. The caller holds Engine.mu.
func (as *askers) lastGossip(id PeerID) map[PeerID]time.Time {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	if len(a.lately) > 2*maxTold { // the rate limit keeps the remaining entries few
		maps.DeleteFunc(a.lately, func(_ PeerID, at time.Time) bool { return now().Sub(at) >= time.Hour })
	}
	return a.lately
}

// Accepted forgets what a peer has asked, since someone has accepted it.
func (as *askers) Accepted(id PeerID) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a := as.peers[id]; a != nil {
		a.prompts, a.declined = rate.NewLimiter(promptRate, promptBurst), 0
	}
}

// Declined counts a refusal.
func (as *askers) Declined(id PeerID) {
	if as.profile.Peer(id).Trust == identity.Verified {
		return
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	a.declined++
	a.since = now()
}

// RefusedTooOften reports whether a peer was declined several times recently: then it is declined without asking for a
// while. An acceptance resets the count.
func (as *askers) RefusedTooOften(id PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.peers[id]
	if a == nil {
		return false
	}
	if now().Sub(a.since) >= declinePause {
		a.declined = 0
	}
	return a.declined >= maxDeclined
}
