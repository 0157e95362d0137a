package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// finish makes all durable and publishes it. From the end record on a cancellation comes too late.
func (r *receiver) finish() error {
	r.phase.Store(int64(Finishing))
	if err := r.removeLeftovers(); err != nil {
		return err
	}
	r.tops = slices.DeleteFunc(r.tops, func(t topEntry) bool { return t.gone })
	if len(r.tops) == 0 {
		return errNothing(r.result.Notes)
	}
	for _, l := range r.links {
		r.stage.journal.put(jourEntry, encodeHeld(l.entry, l.saved))
	}
	if err := r.stage.flushJournal(); err != nil {
		return err
	}
	for _, l := range r.links {
		if err := r.stage.link(l.saved, l.target); err != nil {
			return err
		}
	}
	if err := r.syncAll(); err != nil {
		return err
	}
	if err := r.stage.finishFolders(); err != nil {
		return err
	}
	if err := r.checkUnchanged(); err != nil {
		return err
	}
	if err := r.b.alive(); err != nil && r.ctx.Err() != nil { // cancelled; broken lanes alone change nothing now
		return err
	}
	if err := r.stage.record(jourEnd, counts(r.result.Unchanged), r.result.Totals.encode()); err != nil {
		return err
	}
	return r.publish()
}

// removeLeftovers removes what an earlier attempt brought and the source has no more.
func (r *receiver) removeLeftovers() error {
	past := r.stage.past
	if past == nil {
		return nil
	}
	for i := len(past.order) - 1; i >= 0; i-- { // what is in a folder comes before it
		if h := past.order[i]; !h.seen {
			if err := r.unknown(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkUnchanged makes the files durable that were there already, and sees that they still are what was compared.
func (r *receiver) checkUnchanged() error {
	names := make([]string, len(r.same))
	for i, u := range r.same {
		names[i] = u.saved
	}
	if err := r.stage.syncExisting(names); err != nil {
		return err
	}
	for _, u := range r.same {
		if info, err := r.stage.existing(u.saved); err != nil || stampOf(info) != u.stamp {
			return fmt.Errorf("%w: %s, which was compared", ErrChanged, u.saved)
		}
	}
	return nil
}

// errNothing says why not one entry arrived.
func errNothing(notes []Note) error {
	for _, n := range notes {
		if n.Err != nil {
			return n.Err
		}
	}
	return fmt.Errorf("%w: an empty manifest", ErrProtocol)
}

// publish gives all its final names. It may be called again after an error or a crash, and goes on.
func (r *receiver) publish() error {
	r.result.Saved = nil
	folders := map[string]bool{}
	for _, t := range r.tops {
		final, err := r.publishTop(t, folders)
		if err != nil {
			return fmt.Errorf("publishing %q: %w", t.saved, err)
		}
		r.result.Saved = append(r.result.Saved, final)
		if final != t.saved {
			if err := r.rename(t.saved, final); err != nil && r.ctx.Err() != nil {
				continue // nobody hears it any more
			}
		}
	}
	if err := r.stage.syncInbox(folders); err != nil {
		return err
	}
	return r.stage.record(jourDone)
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
	case merge && begun == "" && policy == Replace:
		return t.saved, r.stage.replace(t.saved, t.saved)
	}
	return r.stage.publish(t.saved, t.saved, t.kind == kindFolder, begun, func(final string) error {
		r.stage.journal.put(jourPublish, encodeNote(t.saved, final))
		if t.kind == kindFolder {
			return r.stage.syncJournal()
		}
		return r.stage.flushJournal() // a link tells by itself what became of it
	})
}

// merge puts what is staged below a top-level folder into the folder of its name.
func (r *receiver) merge(topName string, policy Existing, folders map[string]bool) error {
	quiet := func(string) error { return nil }
	moved := map[string]bool{} // folders that went as a whole
	for _, p := range r.parts {
		if p.gone || !strings.HasPrefix(p.saved, topName+"/") {
			continue
		}
		dir := path.Dir(p.saved)
		if moved[dir] {
			moved[p.saved] = true
			continue
		}
		folders[dir] = true
		var final string
		var err error
		switch p.kind {
		case kindFolder:
			if err = r.stage.mkdirFinal(p.saved); err == nil {
				continue
			}
			if !errors.Is(err, fs.ErrExist) {
				return err
			}
			moved[p.saved] = true // a file has its name
			final, err = r.stage.publish(p.saved, p.saved, true, "", quiet)
		case kindFile:
			if there, statErr := r.stage.existing(p.saved); policy == Replace && statErr == nil && there.Mode().IsRegular() {
				final, err = p.saved, r.stage.replace(p.saved, p.saved)
			} else {
				final, err = r.stage.publish(p.saved, p.saved, false, "", quiet)
			}
		default:
			continue // links are not put into what is there
		}
		if err != nil {
			return err
		}
		if final != p.saved {
			if err := r.rename(p.path, final); err != nil && r.ctx.Err() != nil {
				continue
			}
		}
	}
	return nil
}

// again publishes what an earlier attempt has brought to its end, or finds that it did.
func (r *receiver) again() error {
	past := r.stage.past
	r.result.Totals, r.result.Unchanged = *past.ended, past.unchanged
	r.bytes.Store(past.ended.Bytes)
	r.files.Store(past.ended.Files)
	for _, h := range past.order {
		if !h.whole {
			continue
		}
		topName, _, below := strings.Cut(h.saved, "/")
		if !below {
			r.tops = append(r.tops, topEntry{saved: h.saved, kind: h.kind})
			if past.published[h.saved] == "" {
				if err := r.chooseFor(h.saved, h.kind); err != nil {
					return err
				}
			}
		}
		if _, ok := r.merging[topName]; ok {
			r.parts = append(r.parts, newPart(h.entry(), h.saved))
		}
	}
	if past.done {
		for _, t := range r.tops {
			if final := past.published[t.saved]; final != "" {
				r.result.Saved = append(r.result.Saved, final)
			} else {
				r.result.Saved = append(r.result.Saved, t.saved)
			}
		}
		return nil
	}
	return r.publish()
}
