package transfer

import (
	"fmt"
	"slices"
	"strings"
)

// The manifest, entry by entry: what is admitted, under which name, and what is wanted of it.

// announced takes an entry of the manifest.
func (r *receiver) announced(body []byte) error {
	e, err := decodeEntry(body, r.path)
	if err != nil {
		return err
	}
	r.path = e.path
	if err := r.admit(e); err != nil {
		return err
	}
	var h *held
	before := ""
	if r.stage.past != nil {
		if h = r.stage.past.entries[e.path]; h != nil {
			before = h.saved
		}
	}
	saved, err := r.plan.add(e.path, e.folder(), before)
	if err != nil {
		return err
	}
	if h != nil {
		h.seen = true
		if h.kind != e.kind || saved != h.saved {
			if err := r.unknown(h); err != nil {
				return err
			}
			h = nil
		}
	}
	part, top := -1, -1
	if saved != e.path {
		if err := r.rename(e.path, saved); err != nil {
			return err
		}
	}
	topName, _, below := strings.Cut(saved, "/")
	if !below {
		top = len(r.tops)
		r.tops = append(r.tops, topEntry{saved: saved, kind: e.kind})
		if err := r.chooseFor(saved, e.kind); err != nil {
			return err
		}
	}
	if _, ok := r.merging[topName]; ok {
		part = len(r.parts)
		r.parts = append(r.parts, newPart(e, saved))
	}
	switch e.kind {
	case kindFolder:
		if h == nil || !h.whole {
			r.stage.journal.put(jourEntry, encodeHeld(e, saved))
		}
		r.result.Folders++
		return r.stage.mkdir(saved, e.modTime)
	case kindLink:
		if !r.opts.Links || !staysInside(e.path, e.target) { // guard: link-inside
			return fmt.Errorf("%w: a link to %q", ErrProtocol, e.target)
		}
		r.links = append(r.links, newPart(e, saved))
		r.result.Links++
		return nil
	}
	in := &incoming{entry: e, index: r.index, saved: saved, held: h, part: part, top: top}
	r.index++
	if len(r.pending) > 2*announced { // guard: files-without-content
		return fmt.Errorf("%w: too many files without content", ErrProtocol)
	}
	r.pending[in.index] = in
	if !r.ask {
		return nil
	}
	return r.ponder(in)
}

// chooseFor decides whether a top-level entry goes into, or in the place of, what has its name.
func (r *receiver) chooseFor(saved string, k kind) error {
	there, err := r.stage.existing(saved)
	if err != nil || there.IsDir() != (k == kindFolder) || !there.IsDir() && !there.Mode().IsRegular() || k == kindLink {
		return nil //nolint:nilerr // nothing is in the way that could be compared
	}
	policy := r.opts.Existing
	if r.opts.Choose != nil { // it may wait for a person
		chosen := make(chan Existing, 1)
		go func() { chosen <- r.opts.Choose(saved) }()
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

func newPart(e entry, saved string) part { return part{entry: e, saved: saved} }

func (r *receiver) rename(from, to string) error {
	r.result.note(Note{Path: from, Saved: to})
	return r.out.put(recNote, encodeNote(from, to))
}

// admit holds an entry against what was offered and accepted.
func (r *receiver) admit(e entry) error {
	if r.opts.Names != nil && !strings.Contains(e.path, "/") && !slices.Contains(r.opts.Names, e.path) { // guard: offered-names
		return fmt.Errorf("%w: %q", ErrTooMuch, e.path)
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
	if r.opts.Limit != nil {
		most := r.opts.Limit()
		if r.seen.Folders > most.Folders || r.seen.Files+r.seen.Links > most.Files || e.size > most.Bytes-r.seen.Bytes { // guard: offered-totals
			return ErrTooMuch
		}
	}
	r.seen.Bytes += min(e.size, 1<<62-r.seen.Bytes)
	return nil
}

// ponder tells the sender what is wanted of a file.
func (r *receiver) ponder(in *incoming) error {
	if h := in.held; h != nil {
		switch {
		case !h.is(in.entry) || !r.stillThere(h):
			if err := r.unknown(h); err != nil {
				return err
			}
			in.held = nil
		case h.whole:
			delete(r.pending, in.index)
			r.result.Files++
			r.result.Bytes += in.size
			return r.want(in.index, want{have: true})
		case h.pos > 0:
			in.from = h.pos
			return r.want(in.index, want{from: h.pos, last: h.tail.sum, lastN: h.tail.n})
		}
	}
	if topName, _, _ := strings.Cut(in.saved, "/"); in.size > 0 {
		if _, ok := r.merging[topName]; ok {
			if info, err := r.stage.existing(in.saved); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				r.compare(in)
				return nil
			}
		}
	}
	return r.want(in.index, want{})
}

func (r *receiver) want(index int64, w want) error { return r.out.put(recWant, w.encode(index)) }

// stillThere tells whether the staging holds what the journal says of a file: the disk may have lost it with the power.
func (r *receiver) stillThere(h *held) bool {
	info, err := r.stage.looks(h.saved)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if h.whole {
		return info.Size() == h.size
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

// unknown forgets what the journal says of an entry.
func (r *receiver) unknown(h *held) error {
	r.bytes.Add(-h.pos)
	if h.whole && h.kind == kindFile {
		r.files.Add(-1)
	}
	h.forget()
	r.stage.journal.put(jourGone, []byte(h.path))
	return r.stage.discard(h.saved)
}
