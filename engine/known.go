package engine

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"multipeer/transfer"
)

// Acquaintance is what the profile keeps of a peer that was accepted once, verified or blocked, nearby or not.
type Acquaintance struct {
	ID    PeerID
	Name  string // the name it last used, fit to be shown
	Trust Trust
	Last  time.Time // when it was last connected; zero if never
	// AutoAccept is what is taken from it without asking.
	AutoAccept AutoAccept
}

// Acquaintances lists the peers that the user has decided about, by name; see SetTrust.
func (e *Engine) Acquaintances() []Acquaintance {
	var out []Acquaintance
	for id, r := range e.profile.Peers() {
		if r.Trust != TrustUnknown {
			out = append(out, Acquaintance{id, r.Name, r.Trust, r.Last, AutoAccept{Bytes: r.Auto.Bytes, Dir: r.Auto.Dir, Until: r.Auto.Until}})
		}
	}
	slices.SortFunc(out, func(a, b Acquaintance) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), a.ID.Compare(b.ID))
	})
	return out
}

// FreeSpace is how many bytes the disk of a folder has left for this user. A folder that is not there yet counts as the
// one that it will be made in. The error is that of the file system.
func FreeSpace(dir string) (uint64, error) { return transfer.FreeSpace(dir) }
