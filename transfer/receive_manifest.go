package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"runtime"
	"strings"
)

// The manifest, entry by entry: which entries are admitted, the name each is saved under, and what is requested of
// each.

// announced processes one manifest entry.
func (r *receiver) announced(body []byte) error {
	e, err := decodeEntry(body, r.path)
	if err != nil {
		return err
	}
	r.path = e.path
	h, before := r.heldOf(e.path), ""
	if h != nil {
		before = h.saved
		r.see(h)
	}
	if err := r.admit(e); err != nil {
		return err
	}
	saved, err := r.plan.add(e.path, e.folder(), before)
	if err != nil {
		return err
	}
	if h != nil && (h.kind != e.kind || saved != h.saved) {
		if err := r.unknown(h); err != nil {
			return at(e.path, err)
		}
		h = nil
	}
	lacking := r.inLacking(e)
	if e.folder() && lacking == nil {
		if saved, err = r.makeFolder(e, saved, h != nil); err != nil {
			lacking = err
		}
	}
	part, top := -1, -1
	topName, _, below := strings.Cut(saved, "/")
	if !below && (!e.folder() || lacking == nil) {
		top = len(r.tops)
		r.tops = append(r.tops, topEntry{entry: e, saved: saved})
		if err := r.chooseFor(saved, e.kind); err != nil {
			return err
		}
	}
	_, merges := r.merging[topName]
	if merges && (!e.folder() || lacking == nil) && e.kind != kindLink {
		part = len(r.parts)
		r.parts = append(r.parts, newPart(e, saved))
	}
	switch {
	case e.folder() && lacking != nil:
		return r.refuseEntry(e, lacking)
	case e.folder():
		if h == nil || !h.whole {
			r.stage.journal.put(jourEntry, encodeHeld(e, saved))
		}
		r.result.Folders++
		r.count(e)
		if below && !merges {
			if err := r.rename(e.path, saved); err != nil {
				return err
			}
		}
		return r.charge(entryCost)
	case e.kind == kindLink && (!r.opts.Links || !staysInside(e.path, e.target)): // guard: link-inside
		return fmt.Errorf("%w: a link to %q", ErrProtocol, e.target)
	case e.kind == kindLink && lacking != nil:
		return r.refuseEntry(e, lacking)
	case e.kind == kindLink && merges: // links are never merged into existing folders
		return r.refuseEntry(e, ErrSpecial)
	case e.kind == kindLink:
		link := newPart(e, saved)
		link.again = h != nil
		r.links = append(r.links, link)
		r.linked[r.plan.linkKey(e.path)] = struct{}{}
		r.result.Links++
		r.count(e)
		return nil
	}
	in := &incoming{entry: e, index: r.index, saved: saved, held: h, part: part, top: top, marked: -1}
	r.index++
	if len(r.pending) > 2*announced { // guard: files-without-content
		return fmt.Errorf("%w: too many files announced ahead of their content", ErrProtocol)
	}
	r.pending[in.index] = in
	if lacking != nil {
		if err := r.refuse(in, lacking); err != nil || !r.ask {
			return err
		}
		delete(r.pending, in.index)
		return r.want(in.index, want{have: true})
	}
	if !r.ask {
		return nil
	}
	return r.requestFile(in)
}

// makeFolder creates a folder in the staging folder, under another name if the disk rejects the planned one. again means
// that an earlier attempt has created it.
func (r *receiver) makeFolder(e entry, saved string, again bool) (string, error) {
	for tries := 0; ; tries++ {
		err := r.retry(func() error { return r.stage.mkdir(saved, e, again) })
		if !renames(err) {
			return saved, err
		}
		other, ok := r.plan.other(e.path, saved, true, tries, err)
		if !ok {
			return saved, errors.Join(ErrNameRefused, err)
		}
		saved = other
	}
}

// mayMerge reports whether a top-level entry can be merged into, or replace, an existing entry of its name.
func (r *receiver) mayMerge(saved string, k kind) bool {
	there, err := r.stage.existing(saved)
	if err != nil || there.IsDir() != (k == kindFolder) || !there.IsDir() && !there.Mode().IsRegular() || k == kindLink {
		return false
	}
	if !r.stage.hasExactName(saved) { // guard: merge-exact
		return false
	}
	if r.stage.holdsRepository(".") || there.IsDir() && !r.stage.takesMerge(saved) { // guard: merge-repository
		return false
	}
	if there.IsDir() {
		r.stage.pin(saved, there)
	}
	return true
}

// chooseFor decides whether a top-level entry is merged into, or replaces, the existing entry of that name.
func (r *receiver) chooseFor(saved string, k kind) error {
	if !r.mayMerge(saved, k) {
		return nil
	}
	policy := r.opts.Existing
	if r.opts.Choose != nil { // may wait for the user
		chosen := make(chan Existing, 1)
		go func() { chosen <- r.choice(saved) }()
		select {
		case policy = <-chosen:
		case <-r.b.quit:
			return r.b.alive()
		}
	}
	if policy != KeepBoth {
		r.merging[saved] = policy
	}
	return nil
}

// choice asks the program. If its function panics, both entries are kept.
func (r *receiver) choice(saved string) (policy Existing) {
	defer func() {
		if recover() != nil { // guard: choose-panics
			policy = KeepBoth
		}
	}()
	return r.opts.Choose(r.ctx, saved)
}

func newPart(e entry, saved string) part { return part{entry: e, saved: saved} }

// rename notes an entry that is saved under a different name. Entries that merely lie inside a renamed folder are not
// noted.
func (r *receiver) rename(from, to string) error {
	if path.Base(from) == path.Base(to) {
		return nil
	}
	n := Note{Path: from, Saved: to}
	r.result.note(n)
	return r.out.put(recNote, encodeNote(n))
}

// admit checks an entry against what was offered and accepted.
func (r *receiver) admit(e entry) error {
	if !strings.Contains(e.path, "/") && len(r.opts.Names) > 0 {
		_, named := r.missing[e.path]
		delete(r.missing, e.path)
		if !named {
			r.others++
		}
		if r.others > r.opts.Items-int64(len(r.opts.Names)) { // guard: offered-names
			return fmt.Errorf("%w: %q", ErrTooMuch, e.path)
		}
	}
	if r.paths += len(e.path); r.paths > maxPathBytes { // guard: path-bytes
		return ErrTooMany
	}
	switch e.kind {
	case kindFile:
		r.seen.Files++
	case kindFolder:
		r.seen.Folders++
	case kindLink:
		r.seen.Links++
	}
	r.seen.Bytes += min(e.size, 1<<62-r.seen.Bytes)
	if r.opts.Limit == nil {
		return nil
	}
	if r.left != (Totals{}) { // guard: leftovers
		if err := r.discardLeftovers(); err != nil {
			return at(e.path, err)
		}
	}
	return r.opts.Limit(r.seen)
}

// requestFile sends the sender the request for a file.
func (r *receiver) requestFile(in *incoming) error {
	if h := in.held; h != nil {
		switch {
		case !h.is(in.entry) || !r.stillThere(h):
			if err := r.unknown(h); err != nil {
				return at(in.path, err)
			}
			in.held = nil
		case h.whole:
			delete(r.pending, in.index)
			if info, err := r.stage.looks(in.saved); err == nil && in.top < 0 && in.part < 0 && r.mayRecord(in.entry) {
				r.record(in.entry, info)
			}
			r.result.Files++
			r.result.Bytes += in.size
			r.count(in.entry)
			if err := r.noteAgain(in); err != nil {
				return err
			}
			return r.want(in.index, want{have: true})
		case h.pos > 0:
			in.from = h.pos
			return r.want(in.index, want{from: h.pos, last: h.tail.sum, lastN: h.tail.n})
		}
	}
	if !r.mayCompare(in) {
		return r.want(in.index, want{})
	}
	info, err := r.stage.existingNear(&r.stage.inboxNear, in.saved)
	switch {
	case err != nil || !info.Mode().IsRegular() || (info.Size() == 0) != (in.size == 0):
		return r.want(in.index, want{})
	case in.size == 0, r.has(in.entry, info): // empty files are identical
		in.oldStamp, in.same = stampOf(info), true
		return r.want(in.index, want{identical: true})
	}
	return r.compare(in)
}

// mayCompare reports whether the existing file with the name of a file, if there is one, may be the same.
func (r *receiver) mayCompare(in *incoming) bool {
	if r.stage.past != nil && r.stage.past.differ[collisionKey(r.plan.fold, in.saved)] != "" { // guard: compared-once
		return false
	}
	if strings.Contains(in.saved, "/") {
		return r.mergesInto(path.Dir(in.saved))
	}
	_, merges := r.merging[in.saved]
	return merges
}

// mergesInto reports whether received files go into the existing folder of that name: every folder on the way to it is a
// real one on the same disk, and none is a repository; see place. The result is remembered.
func (r *receiver) mergesInto(folder string) bool {
	if merges, known := r.merges[folder]; known {
		return merges
	}
	parent, top := path.Dir(folder), !strings.Contains(folder, "/")
	_, merges := r.merging[folder]
	if !top {
		merges = r.mergesInto(parent)
	}
	if merges { // guard: merge-folders
		there, err := r.stage.existing(folder)
		merges = err == nil && there.IsDir() && r.stage.takesMerge(folder) && (top || r.stage.hasExactName(folder))
	}
	r.merges[folder] = merges
	return merges
}

// noteAgain repeats the notes that an earlier attempt recorded for a file it completed.
func (r *receiver) noteAgain(in *incoming) error {
	for _, n := range r.stage.past.notesOf(in.path) {
		if n.LeftOut() || n.Err == nil {
			continue
		}
		r.result.note(n)
		if n.Remote {
			continue // the sender's own note
		}
		if err := r.out.put(recNote, encodeNote(n)); err != nil {
			return err
		}
	}
	return r.noteName(in)
}

func (r *receiver) want(index int64, w want) error { return r.out.put(recWant, w.encode(index)) }

// stillThere reports whether the staging folder still holds what the journal claims for a file: a power cut may have
// lost it.
func (r *receiver) stillThere(h *held) bool {
	info, err := r.stage.looks(h.saved)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if h.whole {
		return info.Size() == h.size && r.setExec(h, info)
	}
	if h.pos == 0 || h.tail == nil || h.tail.n == 0 {
		return h.pos == 0
	}
	f, err := r.stage.reopen(h.saved)
	if err != nil {
		return false
	}
	defer f.Close()
	sum, err := readChunk(f, h.pos-h.tail.n, make([]byte, min(h.tail.n, ChunkSize)))
	return err == nil && sum == h.tail.sum
}

// setExec gives a complete file that is executable at the sender the mode that this call requires: an earlier attempt
// may have been accepted with a different option. It returns false if the file must not stay as it is.
func (r *receiver) setExec(h *held, info fs.FileInfo) bool {
	isExec := info.Mode()&0o111 != 0
	if !h.exec || isExec == r.opts.KeepExec || runtime.GOOS == "windows" {
		return true
	}
	f, err := r.stage.reopen(h.saved)
	if err != nil {
		return false
	}
	defer f.Close()
	return setExec(f, r.opts.KeepExec) == nil || r.opts.KeepExec
}

// heldOf returns what an earlier attempt has received of an entry; nil if nothing.
func (r *receiver) heldOf(path string) *held {
	if r.stage.past == nil {
		return nil
	}
	return r.stage.past.entries[path]
}

// see removes an entry from those that this attempt has not announced.
func (r *receiver) see(h *held) {
	if !h.seen && !h.gone {
		r.left = r.left.minus(h.entry().totals())
	}
	h.seen = true
}

// discardLeftovers discards data of earlier attempts until the rest and what this attempt has announced are within the
// limit together. Each attempt may bring as much as the offer: otherwise, attempts that announce different names would
// add up. For an unchanged source, both fit. The oldest data goes first, because the sender would have announced it if
// it still had it.
func (r *receiver) discardLeftovers() error {
	if r.left != (Totals{}) {
		// The user is asked again; what has arrived is kept until the answer.
		if err := r.opts.Limit(r.withLeft()); err != nil && Passing(err) {
			return err
		}
	}
	past := r.stage.past.order
	for ; r.tooMuchLeft() && r.fromStart < len(past); r.fromStart++ {
		if h := past[r.fromStart]; h.kind != kindFolder && !h.seen && !h.gone {
			if err := r.leave(h); err != nil {
				return err
			}
		}
	}
	for ; r.tooMuchLeft() && r.fromEnd < len(past); r.fromEnd++ { // what is in a folder comes before it
		if h := past[len(past)-1-r.fromEnd]; !h.seen && !h.gone {
			if err := r.leave(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// tooMuchLeft reports whether what is left and what is announced together exceed what may arrive.
func (r *receiver) tooMuchLeft() bool {
	return r.left != (Totals{}) && r.opts.Limit(r.withLeft()) != nil
}

// withLeft returns what is announced and what is left together.
func (r *receiver) withLeft() Totals {
	both := r.seen.plus(r.left)
	both.Bytes = r.seen.Bytes + min(r.left.Bytes, math.MaxInt64-r.seen.Bytes)
	return both
}

// leave removes an entry that this attempt has not announced.
func (r *receiver) leave(h *held) error {
	r.see(h)
	return r.unknown(h)
}

// unknown forgets what the journal says about an entry.
func (r *receiver) unknown(h *held) error {
	r.bytes.Add(-h.pos)
	if h.whole && h.kind == kindFile {
		r.files.Add(-1)
	}
	h.forget()
	r.stage.journal.put(jourGone, []byte(h.path))
	return r.stage.discard(h.saved)
}
