package transfer

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
)

// Earlier describes what an offer listed before a restart; see Relist.
type Earlier struct {
	// Resolved is the result of Listing.Resolved. If it is nil, or holds "" for a path, the earlier path is unknown.
	Resolved []string
	// Folders reports whether there were folders.
	Folders bool
	// Entries is the result of Listing.Encoded. If it is nil, only what became of the paths themselves is known.
	Entries []byte
}

// Encoded returns every entry that Fill has found, for Earlier, in about twenty bytes each. The caller must not change
// the result.
func (l *Listing) Encoded() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.data)
}

// Relist is NewListing for an earlier offer. What it listed and what is no longer there, is now of another type, or is
// a path that now leads elsewhere, is listed as left out. An error other than those of NewListing means that Entries are
// damaged.
func Relist(paths []string, earlier Earlier, opts ListOptions) (*Listing, error) {
	l, err := newListing(paths, opts)
	if err != nil {
		return nil, err
	}
	for i := range l.tops {
		t := &l.tops[i]
		switch {
		case t.gone != nil:
		case i < len(earlier.Resolved) && earlier.Resolved[i] != "" && earlier.Resolved[i] != t.local: // guard: source-elsewhere
			t.info, t.gone = nil, fmt.Errorf("%w: %s now points to a different place than when it was offered", ErrVanished, t.asked)
		case earlier.Resolved != nil && !earlier.Folders && t.info.IsDir():
			t.info, t.gone = nil, fmt.Errorf("%w: %s", errOtherType, t.asked)
		}
	}
	if earlier.Entries != nil {
		if l.earlier, err = newEarlierEntries(earlier.Entries); err != nil {
			return nil, fmt.Errorf("reading what was offered before the restart: %w; offer it again", err)
		}
	}
	return l, nil
}

// errOtherType reports an entry that was replaced by one of another type.
var errOtherType = fmt.Errorf("%w: it was replaced by something of another type", ErrVanished)

// earlierEntries finds out which entries of an earlier listing are missing from a new one. They are kept by the hashes of
// their paths, because there may be a million.
type earlierEntries struct {
	data   []byte
	seed   maphash.Seed
	byHash []earlierEntry
}

type earlierEntry struct {
	hash  uint64
	kind  kind
	found bool
}

func newEarlierEntries(data []byte) (*earlierEntries, error) {
	e := &earlierEntries{data: data, seed: maphash.MakeSeed()}
	err := e.each(func(old listed) error {
		e.byHash = append(e.byHash, earlierEntry{hash: e.hash(old.path), kind: old.kind})
		return nil
	})
	slices.SortFunc(e.byHash, func(a, b earlierEntry) int { return compareHash(a, b.hash) })
	return e, err
}

func (e *earlierEntries) hash(path string) uint64 { return maphash.String(e.seed, path) }

func compareHash(e earlierEntry, hash uint64) int {
	switch {
	case e.hash < hash:
		return -1
	case e.hash > hash:
		return 1
	}
	return 0
}

// of returns the entry with this path, or nil.
func (e *earlierEntries) of(path string) *earlierEntry {
	i, there := slices.BinarySearchFunc(e.byHash, e.hash(path), compareHash)
	if !there {
		return nil
	}
	return &e.byHash[i]
}

// each calls visit with every entry.
func (e *earlierEntries) each(visit func(listed) error) error {
	last, rest := "", e.data
	for len(rest) > 0 {
		old, after, err := decodeListed(last, rest)
		if err != nil {
			return err
		}
		if err := visit(old); err != nil {
			return err
		}
		last, rest = old.path, after
	}
	return nil
}

// meet records that the walk has found an entry, and makes it one to leave out if it was of another type.
func (e *earlierEntries) meet(it *item) {
	old := e.of(it.path)
	if old == nil {
		return
	}
	old.found = true
	if it.err == nil && it.kind != old.kind {
		it.kind, it.err = old.kind, errOtherType // also after the next restart
	}
}

// missing yields the entries that the walk has not found.
func (e *earlierEntries) missing(ctx context.Context, yield func(item)) error {
	return e.each(func(old listed) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if !e.of(old.path).found {
			yield(item{entry: entry{path: old.path, kind: old.kind}, err: ErrVanished})
		}
		return nil
	})
}
