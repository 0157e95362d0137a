// Package asks limits how often peers may prompt a person and what they may announce, across all connections.
package asks

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Limits on how often a peer that is not verified may ask after being declined.
const (
	maxDeclined  = 3
	declinePause = 10 * time.Minute
)

const (
	// promptRate and promptBurst limit how often a stranger may trigger a prompt, per second and as a burst.
	promptRate  = 0.5
	promptBurst = 20
	// strangersPromptRate and strangersPromptBurst apply to all strangers together.
	strangersPromptRate  = 2
	strangersPromptBurst = 60
	// sourcePromptRate and sourcePromptBurst apply to the strangers of one source together: a device with many keys may
	// do what it may do with one, and leaves room for others.
	sourcePromptRate  = promptRate
	sourcePromptBurst = promptBurst
	// knownPromptRate and knownPromptBurst apply to each peer that was accepted. For a verified peer, only prompts that no
	// one accepts count: a device may send thousands of files one by one.
	knownPromptRate  = 2
	knownPromptBurst = 100
	// AnnounceEvery and MaxAnnounced limit how many dials one peer's announcements may cause, per interval and at once;
	// we announce to it at the same rate.
	AnnounceEvery = 5 * time.Second
	MaxAnnounced  = 2 * wire.MaxPeersAnnounced
)

// muteAgain is how soon after a mute session a second one means that policies no longer admit the peer.
const muteAgain = 10 * time.Minute

// maxAskers limits how many peers are remembered.
const maxAskers = 4096

// Asks counts the prompts and announcements that peers cause. It outlives their connections; otherwise, reconnecting
// would reset the limits. While its lock is held, only that of the profile may be taken.
type Asks struct {
	profile *identity.Profile

	mu        sync.Mutex
	peers     map[identity.PeerID]*asker
	strangers *rate.Limiter // one limit for all strangers, since keys cost nothing
	devices   *rate.Limiter // one limit for all strangers that gateways reach
	sources   map[netip.Addr]*rate.Limiter
}

// asker counts the prompts that one peer has caused, the peers that it announced, and the peers announced to it.
type asker struct {
	prompts    *rate.Limiter // while it is a stranger
	known      *rate.Limiter // once it was accepted
	unaccepted *rate.Limiter // prompts that no one has accepted, once it is verified
	introduces *rate.Limiter
	hears      *rate.Limiter
	lately     map[identity.PeerID]time.Time // guarded by the caller of LastGossip
	declined   int
	since      time.Time // when it was last declined
	mute       time.Time // when its session last ended because it did not answer
}

// New returns limits with nothing counted yet. A peer that the profile knows is limited less than a stranger.
func New(profile *identity.Profile) *Asks {
	a := &Asks{profile: profile}
	a.Clear()
	return a
}

// Clear forgets everything.
func (as *Asks) Clear() {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.peers = map[identity.PeerID]*asker{}
	as.strangers = rate.NewLimiter(strangersPromptRate, strangersPromptBurst)
	as.devices = rate.NewLimiter(strangersPromptRate, strangersPromptBurst)
	as.sources = map[netip.Addr]*rate.Limiter{}
}

// ofLocked returns the record of a peer.
func (as *Asks) ofLocked(id identity.PeerID) *asker {
	if a := as.peers[id]; a != nil {
		return a
	}
	for old, b := range as.peers { // any entry may go: strangers are also limited as a group
		if len(as.peers) < maxAskers {
			break
		}
		if b.declined == 0 || time.Since(b.since) >= declinePause {
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
		prompts: rate.NewLimiter(promptRate, promptBurst), known: rate.NewLimiter(knownPromptRate, knownPromptBurst),
		unaccepted: rate.NewLimiter(knownPromptRate, knownPromptBurst),
		introduces: rate.NewLimiter(rate.Every(AnnounceEvery), MaxAnnounced), hears: rate.NewLimiter(rate.Every(AnnounceEvery), MaxAnnounced),
		lately: map[identity.PeerID]time.Time{},
	}
	if len(as.peers) < maxAskers {
		as.peers[id] = a
	}
	return a
}

// ofSourceLocked returns the limit of the strangers of a source, or nil for programs on this machine: for them, only the
// limit of all strangers counts.
func (as *Asks) ofSourceLocked(source netip.Addr) *rate.Limiter {
	if source.IsLoopback() {
		return nil
	}
	l := as.sources[source]
	if l == nil {
		maps.DeleteFunc(as.sources, func(_ netip.Addr, l *rate.Limiter) bool { return l.Tokens() >= sourcePromptBurst })
		l = rate.NewLimiter(sourcePromptRate, sourcePromptBurst)
		if len(as.sources) < maxAskers {
			as.sources[source] = l
		}
	}
	return l
}

// allow takes one token of each limit, or none if one of them has none left: a prompt that is refused uses up nothing.
func allow(limits ...*rate.Limiter) bool {
	for _, l := range limits {
		if l.Tokens() < 1 {
			return false
		}
	}
	for _, l := range limits {
		l.Allow()
	}
	return true
}

// MayPrompt reports whether a peer may prompt the user again. source is where it connects from; see
// transport.SourceOf. device means that a gateway reaches the peer: such strangers share a limit of their own.
func (as *Asks) MayPrompt(id identity.PeerID, source netip.Addr, device bool) bool {
	trust := as.profile.Peer(id).Trust
	as.mu.Lock()
	defer as.mu.Unlock()
	a, all := as.ofLocked(id), as.strangers
	if device {
		all = as.devices
	}
	if trust == identity.Unknown {
		limits := []*rate.Limiter{a.prompts, all}
		ofSource := as.ofSourceLocked(source)
		if ofSource != nil { // guard: prompts-of-a-source
			limits = append(limits, ofSource)
		}
		return allow(limits...)
	}
	if trust == identity.Verified && a.unaccepted.Tokens() < 1 { // guard: prompts-of-verified
		return false
	}
	if trust != identity.Verified && !a.known.Allow() { // guard: prompts-of-known
		return false
	}
	return true
}

// Unaccepted counts a prompt that was declined, withdrawn, or not answered in time.
func (as *Asks) Unaccepted(id identity.PeerID) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.ofLocked(id).unaccepted.Allow()
}

// MayAsk applies the part of MayPrompt that limits each peer separately.
func (as *Asks) MayAsk(id identity.PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.ofLocked(id).prompts.Allow()
}

// MayIntroduce reports whether id may have us dial one more peer.
func (as *Asks) MayIntroduce(id identity.PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	return as.peers[id] == a && a.introduces.Allow() // a record that is not stored would limit nothing
}

// MayGossip reports whether one more peer may be announced to id, which accepts announcements at this rate.
func (as *Asks) MayGossip(id identity.PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.ofLocked(id).hears.Allow()
}

// LastGossip returns when peers were announced to id, over any connection. The caller guards the map.
func (as *Asks) LastGossip(id identity.PeerID) map[identity.PeerID]time.Time {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	if len(a.lately) > 2*MaxAnnounced { // the rate limit keeps the remaining entries few
		maps.DeleteFunc(a.lately, func(_ identity.PeerID, at time.Time) bool { return time.Since(at) >= time.Hour })
	}
	return a.lately
}

// Accepted resets the counts of prompts and refusals of a peer, since someone has accepted it.
func (as *Asks) Accepted(id identity.PeerID) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a := as.peers[id]; a != nil {
		a.prompts, a.declined = rate.NewLimiter(promptRate, promptBurst), 0
	}
}

// WasMute records that the session with a peer has ended because it did not answer, and reports whether that also
// happened recently.
func (as *Asks) WasMute(id identity.PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	before := a.mute
	a.mute = time.Now()
	return !before.IsZero() && time.Since(before) < muteAgain
}

// Declined counts a refusal.
func (as *Asks) Declined(id identity.PeerID) {
	if as.profile.Peer(id).Trust == identity.Verified {
		return
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.ofLocked(id)
	a.declined++
	a.since = time.Now()
}

// RefusedTooOften reports whether a peer was declined several times recently: then it is declined without asking for a
// while. An acceptance resets the count.
func (as *Asks) RefusedTooOften(id identity.PeerID) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.peers[id]
	if a == nil {
		return false
	}
	if time.Since(a.since) >= declinePause {
		a.declined = 0
	}
	return a.declined >= maxDeclined
}
