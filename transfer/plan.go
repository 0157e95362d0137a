package transfer

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/text/cases"
)

// plan maps the paths that a sender uses to the paths that the receiver uses. It is the only way from one to the
// other. Folders are kept by name, files as 64-bit hashes, so that a million entries fit in little memory; the seed
// is secret, so a sender cannot provoke a collision.
type plan struct {
	seed    maphash.Seed
	fold    cases.Caser         // has state, so each plan has its own
	folders map[string]string   // the sender's path of a folder -> ours; "" is the top
	listed  map[uint64]struct{} // hashes of the sender's paths of all entries
	taken   map[uint64]struct{} // hashes of the collision keys of our paths
	next    map[uint64]int      // by the hash of a path with the first number of that length: the number to try next
	limit   int                 // the longest name in bytes that the disk accepts
}

func newPlan() *plan {
	return &plan{
		seed:    maphash.MakeSeed(),
		fold:    cases.Fold(),
		folders: map[string]string{"": ""},
		listed:  map[uint64]struct{}{},
		taken:   map[uint64]struct{}{},
		next:    map[uint64]int{},
		limit:   maxName,
	}
}

// hold reserves a path that an earlier attempt has used, so that no other entry gets it.
func (p *plan) hold(saved string) { p.taken[p.key(saved)] = struct{}{} }

func (p *plan) key(saved string) uint64 { return maphash.String(p.seed, collisionKey(p.fold, saved)) }

// add checks an entry and returns the path to save it under, relative and with slashes. It differs from the sender's if
// that is not portable or is taken. before is the path that an earlier attempt used for the entry, or empty.
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
	parent, ok := p.folders[strings.TrimSuffix(dir, "/")]
	if !ok { // guard: folder-announced
		return "", fmt.Errorf("%w: %q comes before its folder", ErrBadName, raw)
	}
	top := dir == ""
	given := path.Base(before)
	if portable(given, top, maxName) != given || path.Join(parent, given) != before { // guard: journal-name
		before = "" // not a path that one of our attempts has assigned
	}
	if before != "" {
		p.listed[id] = struct{}{}
		if folder {
			p.folders[raw] = before
		}
		return before, nil
	}
	saved, err := p.free(parent, portable(base, top, p.limit))
	if err != nil {
		return "", fmt.Errorf("%w: %q", err, raw)
	}
	p.listed[id] = struct{}{}
	if folder {
		p.folders[raw] = saved
	}
	return saved, nil
}

// below returns the path of an entry in a folder; the top folder is "". Both are plain, so that path.Join, which examines
// every byte, would return the same.
func below(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// free returns the first path, starting with name itself, that no other entry has, and reserves it.
func (p *plan) free(parent, name string) (string, error) {
	var stem uint64
	for n := 1; n <= maxNumber; n++ {
		saved := below(parent, numbered(name, n, p.limit))
		key := p.key(saved)
		if n == 2 || n == 10 || n == 100 || n == 1000 || n == 10_000 || n == 100_000 { // a longer number shortens the name more
			if n > 2 {
				p.next[stem] = n // no number with fewer digits is free
			}
			stem = key
			if next := p.next[stem]; next > n { // a sender may announce thousands of colliding names
				n = next - 1
				continue
			}
		}
		if _, taken := p.taken[key]; taken {
			continue
		}
		if n > 1 {
			p.next[stem] = n + 1
		}
		// A rewritten name must pass the same check as a received one.
		if _, err := splitPath(saved); err != nil {
			return "", err
		}
		p.taken[key] = struct{}{}
		return saved, nil
	}
	return "", fmt.Errorf("%w: too many entries have this name", ErrBadName)
}

// shorter lists the lengths to try for a name that the disk rejects: some file systems accept less than they report,
// such as 143 bytes where names are encrypted.
var shorter = []int{200, 143, 100, 60}

// maxClashes is how many numbers are tried for a name that the disk treats as that of another entry.
const maxClashes = 100

// renames reports whether an entry can be stored under another name after err: the disk rejects its name, or treats it as
// that of another entry.
func renames(err error) bool { return namingError(err) || errors.Is(err, fs.ErrExist) }

// other finds another path for an entry that the disk does not store under its planned one. why is what the disk
// reported, and tries the number of paths found before; the result is false if there are no more.
func (p *plan) other(raw, saved string, folder bool, tries int, why error) (string, bool) {
	parent, name := path.Split(saved)
	parent = strings.TrimSuffix(parent, "/")
	switch {
	case errors.Is(why, fs.ErrExist): // it gets a number, because the plan counts its name as taken
		if tries > maxClashes {
			return "", false
		}
	default:
		accepted := p.accepted(name, parent == "")
		if accepted == name || tries > len(shorter) {
			return "", false
		}
		name = accepted
	}
	other, err := p.free(parent, name)
	if err != nil {
		return "", false
	}
	if folder {
		p.folders[raw] = other
	}
	return other, true
}

// accepted returns a name in place of one that the disk rejects: a shorter one, or else one in plain ASCII.
func (p *plan) accepted(name string, top bool) string {
	for _, n := range shorter {
		if len(name) > n {
			p.limit = min(p.limit, n)
			return portable(shorten(name, n), top, n)
		}
	}
	return plain(name)
}

// linkKey is equal for paths of the sender that some file system treats as the same.
func (p *plan) linkKey(raw string) uint64 { return p.key(raw) }
