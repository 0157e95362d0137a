package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
)

// Summary is what an offer shows of a source.
type Summary struct {
	Totals
	Names   []string // top-level names, in order
	LeftOut int64    // links, devices and unreadable entries
	OnDisk  int64    // bytes that everything takes on a disk with support for sparse files
}

// Listing is the content of an offer: the paths and everything below them, as found by one walk. Send visits exactly
// these entries, so that each of them either arrives or is named as left out, whatever happens to the source in
// between. It takes about twenty bytes per entry. Its methods may be called concurrently; Fill is called once.
type Listing struct {
	tops    []top
	links   bool
	earlier *earlierEntries // set by Relist until Fill returns

	mu      sync.Mutex
	grew    *sync.Cond
	data    []byte // encoded entries, each behind its length
	last    string // path of the newest entry
	summary Summary
	state   uint64 // the sum of the hashes of all entries that are not left out, and of the states of files
	filled  bool
	err     error
}

// listed is an entry as the walk found it.
type listed struct {
	path string
	kind kind
	size int64
	why  byte // why it is left out; 0 if it is not
}

// ListOptions configure NewListing.
type ListOptions struct {
	// Links lists symbolic links that stay inside their folder as links.
	Links bool
	// Name is the name under which the only path is sent; empty means its own. See ValidateName.
	Name string
}

// NewListing resolves the top level of paths without walking any folder; Fill finds the rest. The error states which
// path cannot be sent, and why.
func NewListing(paths []string, opts ListOptions) (*Listing, error) {
	l, err := newListing(paths, opts)
	if err != nil {
		return nil, err
	}
	for _, t := range l.tops {
		if t.gone != nil {
			return nil, fmt.Errorf("reading %s: %w", t.asked, t.gone)
		}
	}
	return l, nil
}

// Resolved returns where each path led when it was listed: absolute, without symbolic links. It is "" for a path that
// is gone.
func (l *Listing) Resolved() []string {
	out := make([]string, len(l.tops))
	for i, t := range l.tops {
		if t.gone == nil {
			out[i] = t.local
		}
	}
	return out
}

// newListing resolves the top level of paths.
func newListing(paths []string, opts ListOptions) (*Listing, error) {
	switch {
	case len(paths) == 0:
		return nil, errors.New("nothing to send")
	case opts.Name != "" && len(paths) > 1:
		return nil, fmt.Errorf("%w: one name was given for %d paths", ErrBadName, len(paths))
	}
	l := &Listing{links: opts.Links}
	l.grew = sync.NewCond(&l.mu)
	var err error
	if l.tops, err = topLevels(paths); err != nil {
		return nil, err
	}
	if opts.Name == "" {
		return l, nil
	}
	if err := ValidateName(opts.Name); err != nil {
		return nil, err
	}
	l.tops[0].name = opts.Name
	return l, nil
}

// Top returns what is known before Fill: names and kinds, and the sizes of plain files. If there are no folders, that
// is everything.
func (l *Listing) Top() Summary {
	var s Summary
	for _, t := range l.tops {
		s.Names = append(s.Names, t.name)
		switch {
		case t.gone != nil:
			s.LeftOut++
		case t.info.IsDir():
			s.Folders++
		case !s.fits(t.info.Size()):
			s.LeftOut++
		default:
			s.Files++
			s.Bytes += t.info.Size()
			s.OnDisk += onDisk(t.info)
		}
	}
	return s
}

// maxTotal is how many bytes the files of one transfer have together. Sparse files make it easy to exceed any number.
const maxTotal = 1 << 62

// fits reports whether a file of size bytes can be added.
func (s *Summary) fits(size int64) bool { return size <= maxTotal-s.Bytes }

// Fill walks the paths, and from time to time calls report with the totals so far. Send may run concurrently. The error
// is that of ctx.
func (l *Listing) Fill(ctx context.Context, report func(Totals)) (Summary, error) {
	seen := 0
	err := l.walk(ctx, func(it item) error {
		s := l.add(it)
		seen++
		if seen%1000 == 0 && report != nil {
			report(s)
		}
		return nil
	})
	if l.earlier != nil && err == nil {
		err = l.earlier.missing(ctx, func(it item) { l.add(it) })
	}
	l.earlier = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filled, l.err = true, err
	for _, t := range l.tops {
		l.summary.Names = append(l.summary.Names, t.name)
	}
	l.grew.Broadcast()
	return l.summary, err
}

// add appends an entry.
func (l *Listing) add(it item) Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.summary
	e := listed{path: it.path, kind: it.kind, size: it.size}
	switch {
	case it.err != nil:
		e.why = reasonOf(it.err)
		if e.why == 0 {
			e.why = reasonOf(ErrUnreadable)
		}
		s.LeftOut++
	case it.kind == kindFolder:
		s.Folders++
	case it.kind == kindLink:
		s.Links++
	case !s.fits(it.size):
		e.why, e.size = reasonOf(ErrTotal), 0
		s.LeftOut++
	default:
		s.Files++
		s.Bytes += it.size
		s.OnDisk += it.onDisk
	}
	if e.why == 0 {
		l.state += stateOf(e, it.stamp)
	}
	same := 0
	for same < len(l.last) && same < len(e.path) && l.last[same] == e.path[same] {
		same++
	}
	l.data = append(l.data, byte(e.kind), e.why)
	l.data = binary.AppendUvarint(l.data, uint64(e.size))
	l.data = binary.AppendUvarint(l.data, uint64(same))
	l.data = binary.AppendUvarint(l.data, uint64(len(e.path)-same))
	l.data = append(l.data, e.path[same:]...)
	l.last = e.path
	l.grew.Broadcast()
	return s.Totals
}

// State identifies what Fill has found and what is not left out: it differs if an entry was added, is gone or has
// changed, as far as the system shows that. Another process gets the same number. It waits until Fill has returned,
// whose error it returns, or that of ctx.
func (l *Listing) State(ctx context.Context) (uint64, error) {
	defer l.wakeAt(ctx)()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.filled && ctx.Err() == nil {
		l.grew.Wait()
	}
	if !l.filled {
		return 0, context.Cause(ctx)
	}
	return l.state, l.err
}

// wakeAt wakes what waits for grew when ctx ends, unless the returned function is called before.
func (l *Listing) wakeAt(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grew.Broadcast()
	})
}

func stateOf(e listed, stamp uint64) uint64 {
	if e.kind != kindFile { // the times of a folder change with its entries
		stamp = 0
	}
	b := append(make([]byte, 0, len(e.path)+24), e.path...)
	b = append(b, 0, byte(e.kind))
	b = binary.BigEndian.AppendUint64(b, uint64(e.size))
	return xxh3.Hash(binary.BigEndian.AppendUint64(b, stamp))
}

// each calls visit with every entry, in order, as they are found. It returns the error of visit, of Fill, or of ctx.
func (l *Listing) each(ctx context.Context, visit func(listed) error) error {
	defer l.wakeAt(ctx)()
	last, off := "", 0
	for {
		l.mu.Lock()
		for len(l.data) == off && !l.filled && ctx.Err() == nil {
			l.grew.Wait()
		}
		data, err := l.data[off:], l.err
		l.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(data) == 0:
			return err
		}
		e, rest, err := decodeListed(last, data)
		if err != nil { // cannot happen with our own entries
			return err
		}
		last = e.path
		off += len(data) - len(rest)
		if err := visit(e); err != nil {
			return err
		}
	}
}

// decodeListed decodes the first of the encoded entries, which follows one with the path last. It returns the rest.
func decodeListed(last string, data []byte) (e listed, rest []byte, err error) {
	if len(data) < 2 {
		return e, nil, errDamaged
	}
	d := decoder{b: data[2:]}
	e = listed{kind: kind(data[0]), why: data[1], size: d.count()}
	same, n := d.count(), d.count()
	if d.bad || same > int64(len(last)) || n > int64(len(d.b)) {
		return e, nil, errDamaged
	}
	e.path = last[:same] + string(d.b[:n])
	return e, d.b[n:], nil
}

var errDamaged = errors.New("an entry is damaged")

// item is an entry found by a walk of the source, or the reason why it is left out.
type item struct {
	entry
	index  int64       // number among the announced files
	onDisk int64       // bytes that it takes on the disk
	info   fs.FileInfo // as it was found; nil if it was not found
	err    error
}

// dirBatch is how many names of a folder are read at once, so that memory use does not grow with the folder.
const dirBatch = 1024

// walk visits the paths and everything below them, folders before their content, and yields each entry; an error from
// yield ends it. The source is only ever read.
func (l *Listing) walk(ctx context.Context, yield func(item) error) error {
	src := newSource(l.tops)
	defer src.close()
	for _, t := range l.tops {
		if err := l.visit(ctx, src, t.name, yield); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listing) visit(ctx context.Context, src *source, rel string, yield func(item) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	it := src.look(rel, l.links)
	for wait := firstPause; isShortage(it.err) && wait <= lastPause && ctx.Err() == nil; wait *= 2 {
		pause(ctx, wait)
		it = src.look(rel, l.links)
	}
	if isShortage(it.err) { // the transfer does not wait for what it could not list
		it.err = unreadable(it.err)
	}
	if l.earlier != nil {
		l.earlier.meet(&it)
	}
	if it.err != nil || it.kind != kindFolder {
		return yield(it)
	}
	dir, err := src.openDir(rel)
	for wait := firstPause; isShortage(err) && wait <= lastPause && ctx.Err() == nil; wait *= 2 {
		pause(ctx, wait)
		dir, err = src.openDir(rel)
	}
	if isShortage(err) {
		err = unreadable(err)
	}
	if err != nil {
		it.err = sourceError(err)
		return yield(it)
	}
	defer dir.Close()
	if src.holdsPrivate(rel) {
		it.err = ErrPrivate
	}
	if err := yield(it); err != nil || it.err != nil {
		return err
	}
	var seen nameSet
	for {
		names, err := dir.Readdirnames(dirBatch)
		slices.Sort(names)
		for _, name := range seen.add(names) {
			if err := l.visit(ctx, src, below(rel, name), yield); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil { // the rest of the folder cannot be listed; the entries found so far are sent
			it.err = unreadable(err)
			return yield(it)
		}
	}
}

// The pauses before an entry is looked at again when too many files are open: 12 s altogether.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 6400 * time.Millisecond
)

// isShortage reports whether an error may pass when other work ends.
func isShortage(err error) bool {
	return err != nil && reasonErr(reasonOf(err)) == ErrResources //nolint:errorlint // the sentinel itself
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// nameSet finds the names that a folder lists twice, as some file systems do with a file that was created again in the
// meantime (POSIX readdir). The zero value is empty.
type nameSet struct {
	seen map[xxh3.Uint128]struct{} // hashes: a folder may have millions of names
}

// add returns the names of the next batch without those that it, or an earlier batch, has already. names is sorted.
func (s *nameSet) add(names []string) []string {
	isOnlyBatch := s.seen == nil && len(names) < dirBatch
	names = slices.Compact(names)
	if isOnlyBatch {
		return names
	}
	if s.seen == nil {
		s.seen = map[xxh3.Uint128]struct{}{}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		hash := xxh3.HashString128(name)
		_, twice := s.seen[hash]
		s.seen[hash] = struct{}{}
		return twice
	})
}

// staysInside reports whether a link at rel with this target leads to its top-level folder or to something below it. It
// checks only the text: ".." is allowed only at its start, because a name before it could be another link. Both
// arguments use slashes.
func staysInside(rel, target string) bool {
	if target == "" || len(target) > MaxPath || path.IsAbs(target) || strings.ContainsAny(target, "\\\x00") || len(target) > 1 && target[1] == ':' {
		return false
	}
	named, climbs := false, 0
	for _, part := range strings.Split(target, "/") {
		switch part {
		case "..":
			climbs++
			if named { // guard: link-climbs
				return false
			}
		case "", ".":
		default:
			named = true
		}
	}
	// Not above the top-level folder, which may get another name.
	return climbs < strings.Count(rel, "/")
}

// sourceError returns the reason for an entry whose source could not be read.
func sourceError(err error) error {
	switch {
	case isGone(err):
		return fmt.Errorf("%w: %w", ErrVanished, err)
	case errors.Is(err, fs.ErrPermission):
		return unreadable(err)
	case reasonOf(err) == 0:
		return unreadable(err)
	}
	return err
}
