package transfer

import (
	"fmt"
	"hash/maphash"
	"path"

	"golang.org/x/text/cases"
)

// plan turns the paths that a sender names into the paths that the receiver uses. It is the only way from one to
// the other. Folders are kept by name, files as 64-bit hashes, so that a million entries fit in little memory; the
// seed is secret, so a sender cannot make two of them meet.
type plan struct {
	seed    maphash.Seed
	fold    cases.Caser         // has state, so each plan has its own
	folders map[string]string   // the sender's path of a folder -> ours; "" is the top
	listed  map[uint64]struct{} // the sender's paths of all entries
	taken   map[uint64]struct{} // collision keys of our paths
}

func newPlan() *plan {
	return &plan{
		seed:    maphash.MakeSeed(),
		fold:    cases.Fold(),
		folders: map[string]string{"": ""},
		listed:  map[uint64]struct{}{},
		taken:   map[uint64]struct{}{},
	}
}

// hold takes a path that an earlier attempt has used, so that no other entry gets it.
func (p *plan) hold(saved string) { p.taken[p.key(saved)] = struct{}{} }

func (p *plan) key(saved string) uint64 { return maphash.String(p.seed, collisionKey(p.fold, saved)) }

// add checks an entry and returns the path to save it under, relative and with slashes. It differs from the
// sender's where that is not portable or taken. before is what an earlier attempt has used for it; empty is nothing.
func (p *plan) add(raw string, folder bool, before string) (string, error) {
	if len(p.listed) >= MaxEntries { // guard: entries
		return "", ErrTooMany
	}
	if _, err := splitPath(raw); err != nil {
		return "", err
	}
	id := maphash.String(p.seed, raw)
	if _, twice := p.listed[id]; twice { // guard: entry-twice
		return "", fmt.Errorf("%w: %q is listed twice", ErrBadName, raw)
	}
	dir, base := path.Split(raw)
	parent, ok := p.folders[path.Clean("/" + dir)[1:]]
	if !ok { // guard: folder-announced
		return "", fmt.Errorf("%w: %q comes before its folder", ErrBadName, raw)
	}
	if before != "" && path.Dir("/" + before)[1:] == parent {
		p.listed[id] = struct{}{}
		if folder {
			p.folders[raw] = before
		}
		return before, nil
	}
	name := portable(base, dir == "")
	for n := 1; n <= maxNumber; n++ {
		saved := path.Join(parent, numbered(name, n))
		key := p.key(saved)
		if _, taken := p.taken[key]; taken {
			continue
		}
		// What the rewriting made must pass the same check as what came in.
		if _, err := splitPath(saved); err != nil {
			return "", err
		}
		p.listed[id], p.taken[key] = struct{}{}, struct{}{}
		if folder {
			p.folders[raw] = saved
		}
		return saved, nil
	}
	return "", fmt.Errorf("%w: %q exists too often", ErrBadName, raw)
}
