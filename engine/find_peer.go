package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"multipeer/engine/internal/identity"
)

// minStart is how many characters of an ID select an unknown peer. A key whose ID begins with four given characters takes
// seconds to find.
const minStart = 8

// FindPeer looks up a nearby peer by what a person types: its name, its ID or the start of that, at least eight characters,
// or four if the peer is known. Of several it is the one that the user trusts most; a stranger cannot be found under the
// name or start of a known peer's ID, even if that one is not nearby. Another match may appear a moment later. Errors are
// ErrNoPeer, and ErrInvalid, with the candidates if they are trusted equally.
func (e *Engine) FindPeer(who string) (Peer, error) {
	meant := e.acquaintedAs(who)
	near := map[PeerID]Peer{}
	var others []Peer
	whole, noID := ParsePeerID(who)
	for _, p := range e.Peers() {
		named, begins := strings.EqualFold(p.Name, who), p.ID.HasPrefix(who)
		known := slices.ContainsFunc(meant, func(m meaning) bool { return m.id == p.ID })
		switch {
		case noID == nil && p.ID == whole:
			return p, nil
		case named && !p.LooksLike.IsZero():
			others = append(others, p)
		case known:
			near[p.ID] = p
		case named || begins:
			near[p.ID] = p
			meant = append(meant, meaning{p.ID, p.Name, named, 0})
		}
	}
	best := 0
	for _, m := range meant {
		best = max(best, m.worth)
	}
	var first []Peer // the peers that are meant and nearby
	var names, starts int
	var all []string
	for _, m := range meant {
		p, here := near[m.id]
		if m.worth < best { // guard: name-of-better-known
			if here && m.byName {
				others = append(others, p)
			}
			continue
		}
		if here {
			first = append(first, p)
		}
		if m.byName {
			names++
		} else {
			starts++
		}
		all = append(all, fmt.Sprintf("%s (%s)", m.name, m.id))
	}
	switch {
	case names > 0 && starts > 0: // guard: name-or-id
		return Peer{}, fmt.Errorf("%w: %q is the name of one device and the start of another device's ID; use the full ID: %s", ErrInvalid, who, strings.Join(all, ", "))
	case len(first) > 1:
		return Peer{}, ambiguous(who, first)
	case len(first) == 1 && best == 0 && names == 0 && len(strings.ReplaceAll(who, "-", "")) < minStart: // guard: short-start
		return Peer{}, fmt.Errorf("%w: %q is too short for the ID of a device that you do not know; type at least %d characters of it: %s", ErrInvalid, who, minStart, first[0].ID)
	case len(first) == 1:
		return first[0], nil
	case len(others) > 0:
		o, name, than := others[0], others[0].Name, others[0].LooksLike
		if than.IsZero() {
			best := slices.MaxFunc(meant, func(a, b meaning) int { return cmp.Compare(a.worth, b.worth) })
			name, than = best.name, best.id
		}
		return Peer{}, fmt.Errorf("%w: %s (%s) is not the %s that you know (%s)", ErrNoPeer, o.Name, o.ID.Short(), name, than.Short())
	}
	return Peer{}, ErrNoPeer
}

// SameLook reports whether a person could take one name for the other: they are equal, or look alike.
func SameLook(a, b string) bool { return identity.SameLook(a, b) }

// LooksLike returns another peer that the user trusts more than id and whose name is the same as name or looks the
// same; zero if there is none. Pass the name that is on screen, which may be older than Peer.Name: the peer may have
// changed its name, or have left.
func (e *Engine) LooksLike(id PeerID, name string) PeerID { return e.profile.Impersonated(id, name) }

// meaning is a peer that the typed text may mean, by its name or by the start of its ID.
type meaning struct {
	id     PeerID
	name   string
	byName bool
	worth  int // 2 for a peer that is verified, 1 for one that was accepted, 0 for others
}

// acquaintedAs lists the peers that the user knows by a name, or by the start of an ID, which could be mistaken for a
// name. It compares stored names, because a peer may have changed its name.
func (e *Engine) acquaintedAs(who string) (meant []meaning) {
	for _, a := range e.Acquaintances() {
		worth := 1
		switch a.Trust {
		case TrustVerified:
			worth = 2
		case TrustBlocked:
			continue
		}
		if strings.EqualFold(a.Name, who) {
			meant = append(meant, meaning{a.ID, a.Name, true, worth})
		} else if a.ID.HasPrefix(who) {
			meant = append(meant, meaning{a.ID, a.Name, false, worth})
		}
	}
	return meant
}

func ambiguous(who string, found []Peer) error {
	var all []string
	for _, p := range found {
		all = append(all, fmt.Sprintf("%s (%s)", p.Name, p.ID))
	}
	return fmt.Errorf("%w: several peers match %q; use the ID: %s", ErrInvalid, who, strings.Join(all, ", "))
}
