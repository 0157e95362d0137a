package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// finish makes everything durable and publishes it. After the end record has been written, cancelling has no effect.
func (r *receiver) finish() error {
	r.phase.Store(int64(Finishing))
	if err := r.removeLeftovers(); err != nil {
		return err
	}
	r.tops = slices.DeleteFunc(r.tops, func(t topEntry) bool { return t.gone })
	if len(r.tops) == 0 {
		return r.errNothing()
	}
	if err := r.makeLinks(); err != nil {
		return err
	}
	if err := r.syncAll(); err != nil {
		return err
	}
	timeless, err := r.stage.finishFolders()
	if err != nil {
		return err
	}
	for _, name := range timeless {
		if err := r.unkept(r.stage.folders[name].path, name, ErrTimes); err != nil && r.ctx.Err() != nil {
			return err
		}
	}
	if err := r.checkUnchanged(); err != nil {
		return err
	}
	if r.stage.unconfirmed.Load() {
		if err := r.unkept(r.tops[0].path, r.tops[0].saved, ErrNotDurable); err != nil && r.ctx.Err() != nil {
			return err
		}
	}
	if err := r.b.alive(); err != nil && r.ctx.Err() != nil { // cancelled; lanes that merely broke change nothing now
		return err
	}
	r.stage.journal.put(jourNotes)
	for _, n := range r.result.Notes {
		r.stage.journal.put(jourNote, encodeNote(n))
	}
	for saved, policy := range r.merging { // a crash must not lead to another decision
		r.stage.journal.put(jourMerge, []byte{byte(policy)}, []byte(saved))
	}
	if err := r.stage.record(jourEnd, r.encodeResult()); err != nil {
		return err
	}
	return r.publish()
}

// encodeResult encodes the counters of the result for the journal, except the top-level names, which have records of
// their own.
func (r *receiver) encodeResult() []byte {
	counted := counts(r.result.Unchanged, r.result.Renamed-r.topsRenamed, r.result.LeftOut, r.result.Unkept)
	return append(counted, r.result.Totals.encode()...)
}

// makeLinks creates the symbolic links, once no more files are written.
func (r *receiver) makeLinks() error {
	for _, l := range r.links {
		saved, err := r.makeLink(l)
		if err == nil && strings.Contains(saved, "/") { // a top-level name is noted when it is published
			if err := r.rename(l.path, saved); err != nil && r.ctx.Err() != nil {
				return err
			}
		}
		if err == nil {
			continue
		}
		if fault := r.refuseEntry(l.entry, err); fault != nil {
			return fault
		}
		r.result.Links--
		top, _, _ := strings.Cut(l.path, "/")
		r.under[top] = r.under[top].minus(l.entry.totals())
		r.stage.journal.put(jourGone, []byte(l.path))
		for i := range r.tops {
			r.tops[i].gone = r.tops[i].gone || r.tops[i].path == l.path
		}
	}
	return r.stage.flushJournal()
}

// makeLink creates a symbolic link, and returns the path that it got.
func (r *receiver) makeLink(l part) (string, error) {
	if r.throughLink(l.entry) { // guard: link-through-link
		return "", ErrSpecial
	}
	saved := l.saved
	for tries := 0; ; tries++ {
		r.stage.journal.put(jourEntry, encodeHeld(l.entry, saved))
		if err := r.stage.flushJournal(); err != nil {
			return "", err
		}
		err := r.stage.link(saved, l.target, l.again && saved == l.saved)
		if !renames(err) {
			return saved, err
		}
		other, ok := r.plan.other(l.path, saved, false, tries, err)
		if !ok {
			return "", errors.Join(ErrNameRefused, err)
		}
		for i := range r.tops {
			if r.tops[i].saved == saved {
				r.tops[i].saved = other
			}
		}
		saved = other
	}
}

// throughLink reports whether the path of a link leads through another link, and so to a location that its text does
// not reveal.
func (r *receiver) throughLink(e entry) bool {
	way := path.Join(path.Dir(e.path), e.target)
	for dir := path.Dir(way); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if _, ok := r.linked[r.plan.linkKey(dir)]; ok {
			return true
		}
	}
	return false
}

// removeLeftovers removes what an earlier attempt stored and the source no longer has.
func (r *receiver) removeLeftovers() error {
	past := r.stage.past
	if past == nil {
		return nil
	}
	for i := len(past.order) - 1; i >= 0; i-- { // the content of a folder before the folder itself
		if h := past.order[i]; !h.seen {
			if err := r.leave(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkUnchanged makes the identical files that already existed durable, and checks that they are still the files
// that were compared.
func (r *receiver) checkUnchanged() error {
	names := make([]string, len(r.same))
	for i, u := range r.same {
		names[i] = u.saved
	}
	if err := r.stage.syncExisting(names, false); err != nil {
		return err
	}
	var near nearFolder
	defer near.close()
	for _, u := range r.same {
		if info, err := r.stage.existingNear(&near, u.saved); err != nil || stampOf(info) != u.stamp {
			return errOldChanged(u.saved)
		}
		if u.copy != (CopyKey{}) {
			r.keepCopy(u.copy)
		}
	}
	return nil
}

// errNothing returns why no entry arrived.
func (r *receiver) errNothing() error {
	if n := r.result.first; n != nil {
		return &Failure{Path: n.Path, Remote: n.Remote, Err: n.Err}
	}
	return fmt.Errorf("%w: an empty manifest", ErrProtocol)
}

// publish gives every entry its final name. It may be called again after an error or a crash, and completes what it
// began. An entry that cannot be published is left out if others can be.
func (r *receiver) publish() error {
	r.result.Saved = nil
	folders := map[string]bool{}
	for _, t := range r.tops {
		final, err := r.publishTop(t, folders)
		if err != nil {
			err = at(t.path, err)
			if len(r.tops) == 1 || !r.ownFault(err) {
				return err
			}
			if err := r.refusePublished(t.path, r.under[t.path], err); err != nil {
				return err
			}
			continue
		}
		r.result.Saved = append(r.result.Saved, final)
		if !t.unchanged {
			r.recordPublished(t.entry, final)
		}
		if err := r.renameTop(t, final); err != nil && r.ctx.Err() != nil {
			continue // cancelled: the sender is not notified any more
		}
	}
	if len(r.result.Saved) == 0 {
		return r.errNothing()
	}
	if err := r.stage.syncInbox(folders); err != nil {
		return err
	}
	return r.stage.record(jourDone)
}

// renameTop notes a top-level entry that was saved under a different name.
func (r *receiver) renameTop(t topEntry, final string) error {
	before := r.result.Renamed
	err := r.rename(t.path, final)
	r.topsRenamed += r.result.Renamed - before
	return err
}

// refusePublished leaves out an entry that has arrived but cannot be given its name, with everything below it that t
// counts. The journal records both facts in one write: the new totals, and that the entry is no longer wanted.
func (r *receiver) refusePublished(path string, t Totals, err error) error {
	if reason := reasonErr(reasonOf(err)); reason != ErrFailed { //nolint:errorlint // the sentinel itself
		err = reason
	}
	n := Note{Path: path, Err: err}
	r.result.Totals = r.result.minus(t)
	r.refused = r.refused.plus(t)
	r.result.note(n)
	r.result.LeftOut += max(t.Files+t.Folders+t.Links, 1) - 1
	r.stage.journal.put(jourNote, encodeNote(n))
	r.stage.journal.put(jourEnd, r.encodeResult())
	r.stage.journal.put(jourGone, []byte(path))
	if err := r.stage.flushJournal(); err != nil {
		return err
	}
	if err := r.out.put(recRefused, encodeRefused(t, -1, n.Err, path)); err != nil && r.ctx.Err() != nil {
		return err
	}
	return nil
}

// publishTop publishes one top-level entry and returns its final name. Folders that got new names in them are noted.
func (r *receiver) publishTop(t topEntry, folders map[string]bool) (string, error) {
	begun := ""
	if r.stage.past != nil {
		begun = r.stage.past.published[t.saved]
	}
	policy, merge := r.merging[t.saved]
	switch {
	case t.unchanged:
		return t.saved, nil
	case merge && begun == "" && t.kind == kindFolder:
		return t.saved, r.merge(t.saved, policy, folders)
	case merge && begun == "" && policy == Replace && t.path == t.saved: // guard: replace-numbered-top
		return t.saved, r.stage.replace(t.saved, t.saved)
	}
	return r.stage.publish(t.saved, t.saved, t.kind == kindFolder, begun, r.plan.limit, r.announcing(t.saved, t.kind))
}

// announcing returns a function that records the final name of an entry before it gets it.
func (r *receiver) announcing(saved string, k kind) func(final string) error {
	return func(final string) error {
		r.stage.journal.put(jourPublish, encodeNote(Note{Path: saved, Saved: final}))
		if k == kindFolder {
			return r.stage.syncJournal()
		}
		return r.stage.flushJournal() // the link itself shows whether it was completed
	}
}

// partsOf returns the indexes of the parts below a top-level folder. All parts must be known.
func (r *receiver) partsOf(top string) []int {
	if r.below == nil {
		r.below = map[string][]int{}
		for i, p := range r.parts {
			if name, _, deep := strings.Cut(p.saved, "/"); deep {
				r.below[name] = append(r.below[name], i)
			}
		}
	}
	return r.below[top]
}

// merge moves the staged content of a top-level folder into the existing folder with that name. Parts that cannot be
// moved are left out, and the others are moved.
func (r *receiver) merge(topName string, policy Existing, folders map[string]bool) error {
	moved := map[string]bool{}    // folders that were moved as a whole
	lacking := map[string]error{} // folders that could not be created
	for _, i := range r.partsOf(topName) {
		p := r.parts[i]
		dir := path.Dir(p.saved)
		if p.gone {
			continue
		}
		if moved[dir] {
			moved[p.saved] = true
			continue
		}
		if final, ok := r.wasMoved(p); ok {
			moved[p.saved] = p.folder()
			noted := slices.ContainsFunc(r.result.Notes, func(n Note) bool { return n.Path == p.path && n.Saved == final })
			if final != p.saved && !noted {
				if err := r.renamePart(p, final); err != nil && r.ctx.Err() != nil {
					continue
				}
			}
			continue
		}
		final, whole, err := p.saved, false, lacking[dir]
		if err == nil {
			folders[dir] = true
			final, whole, err = r.place(p, policy)
		}
		if err == nil {
			moved[p.saved] = whole
			r.recordPublished(p.entry, final)
			if err := r.renamePart(p, final); err != nil && r.ctx.Err() != nil {
				continue
			}
			continue
		}
		if !r.ownFault(err) {
			return at(p.path, err)
		}
		lacking[p.saved] = err
		if err := r.refusePublished(p.path, p.totals(), err); err != nil {
			return err
		}
	}
	return nil
}

// wasMoved reports whether an earlier call, which a crash has ended, has moved a file, or a whole folder, to its final
// name already, and returns that name: it is there, and not in the staging folder any more.
func (r *receiver) wasMoved(p part) (final string, ok bool) {
	if r.stage.past == nil || p.kind == kindLink {
		return "", false
	}
	if p.folder() {
		final = r.stage.past.published[p.saved]
		if final == "" {
			return "", false
		}
		_, sourceErr := r.stage.looks(p.saved)
		_, err := r.stage.existing(final)
		return final, isGone(sourceErr) && err == nil
	}
	if _, err := r.stage.looks(p.saved); !isGone(err) {
		return "", false
	}
	for n := 1; n <= maxNumber; n++ {
		final = path.Join(path.Dir(p.saved), numbered(path.Base(p.saved), n, r.plan.limit))
		there, err := r.stage.existing(final)
		if err != nil {
			break
		}
		if there.Mode().IsRegular() && there.Size() == p.size && there.ModTime().Sub(p.modTime).Abs() <= 2*time.Second {
			return final, true
		}
	}
	return "", false
}

// place gives a part its name in the existing folder; whole reports that a folder was moved with everything below it.
func (r *receiver) place(p part, policy Existing) (final string, whole bool, err error) {
	quiet := func(string) error { return nil }
	switch p.kind {
	case kindFolder:
		if _, statErr := r.stage.existing(p.saved); statErr == nil && !r.stage.hasExactName(p.saved) { // guard: merge-nested-exact
			err = fs.ErrExist
		}
		if err == nil {
			err = r.stage.mkdirFinal(p.saved)
		}
		if err == nil && !r.stage.takesMerge(p.saved) { // guard: merge-nested-repository
			err = fs.ErrExist
		}
		if !errors.Is(err, fs.ErrExist) {
			return p.saved, false, err
		}
		final, err = r.stage.publish(p.saved, p.saved, true, "", r.plan.limit, r.announcing(p.saved, p.kind)) // a different entry has its name
		return final, true, err
	case kindFile:
		there, statErr := r.stage.existing(p.saved)
		if policy == Replace && statErr == nil && there.Mode().IsRegular() && p.path == p.saved && r.stage.hasExactName(p.saved) { // guard: replace-numbered
			return p.saved, false, r.stage.replace(p.saved, p.saved)
		}
		final, err = r.stage.publish(p.saved, p.saved, false, "", r.plan.limit, quiet)
		return final, false, err
	}
	return "", false, ErrSpecial // links are never merged into existing folders
}

// renamePart notes, in the journal too, a part that was saved under a different name: a part is published only once.
func (r *receiver) renamePart(p part, final string) error {
	if path.Base(p.path) != path.Base(final) {
		r.stage.journal.put(jourNote, encodeNote(Note{Path: p.path, Saved: final}))
	}
	return r.rename(p.path, final)
}

// again publishes what an earlier attempt has received completely, unless that attempt has already published it.
func (r *receiver) again() error {
	past := r.stage.past
	r.result.Totals, r.result.Unchanged = *past.ended, past.unchanged
	r.result.Notes, r.result.Renamed = past.noted.Notes, past.noted.Renamed
	r.result.LeftOut, r.result.Unkept = past.noted.LeftOut, past.noted.Unkept
	for _, n := range r.result.Notes {
		if n.LeftOut() && (r.result.first == nil || r.result.first.Remote && !n.Remote) {
			r.result.first = &n
		}
		if err := r.out.put(recNote, encodeNote(n)); err != nil && r.ctx.Err() != nil {
			return err
		}
	}
	r.bytes.Store(past.ended.Bytes)
	r.files.Store(past.ended.Files)
	for _, h := range past.order {
		if !h.whole {
			continue
		}
		r.plan.hold(h.saved)
		r.count(h.entry())
		topName, _, below := strings.Cut(h.saved, "/")
		if !below {
			r.tops = append(r.tops, topEntry{entry: h.entry(), saved: h.saved})
			policy, merge := past.merging[h.saved]
			if merge && past.published[h.saved] == "" && r.mayMerge(h.saved, h.kind) {
				r.merging[h.saved] = policy
			}
		}
		if _, ok := r.merging[topName]; ok {
			r.parts = append(r.parts, newPart(h.entry(), h.saved))
		}
	}
	for saved, h := range past.same {
		if past.entries[h.path] == nil || !past.entries[h.path].whole {
			r.tops = append(r.tops, topEntry{entry: h.entry(), saved: saved, unchanged: true})
			r.count(h.entry())
		}
	}
	if !past.done {
		return r.publish()
	}
	for _, t := range r.tops {
		final := past.published[t.saved]
		if final == "" {
			final = t.saved
		}
		r.result.Saved = append(r.result.Saved, final)
		if err := r.renameTop(t, final); err != nil && r.ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// count adds an entry to the totals of its top-level name.
func (r *receiver) count(e entry) {
	top, _, _ := strings.Cut(e.path, "/")
	r.under[top] = r.under[top].plus(e.totals())
}
