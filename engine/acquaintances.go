package engine

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Acquaintance is the profile's record of a peer that was accepted, verified or blocked, whether nearby or not.
type Acquaintance struct {
	ID         PeerID
	Name       string // the name it last used, safe to display
	Trust      Trust
	Last       time.Time  // when it was last connected; zero if never
	AutoAccept AutoAccept // which of its offers are accepted without asking
}

// Acquaintances lists the peers that the user has decided about, by name.
func (e *Engine) Acquaintances() []Acquaintance {
	var out []Acquaintance
	for id, r := range e.profile.Peers() {
		if r.Trust != TrustUnknown {
			out = append(out, Acquaintance{id, r.Name, r.Trust, r.Last, publicAutoAccept(r.Auto)})
		}
	}
	slices.SortFunc(out, func(a, b Acquaintance) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), a.ID.Compare(b.ID))
	})
	return out
}
