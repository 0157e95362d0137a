package transfer

import (
	"errors"
	"fmt"
	"os"
	"path"
)

// A journal grows with each attempt, also by what it takes back. Each call begins with one that holds little else than
// what counts: otherwise attempts that break off fill the disk with it.

const (
	// newJournal is the journal while it is written again.
	newJournal = journalName + ".new"
	// journalSlack is how much of a journal may be about what is gone, beside as much as is about what is here.
	journalSlack = 1 << 20
	// entryRecords is what the records of an entry take beside its names, at the most.
	entryRecords = 128
	// rewriteAt is how much of it is written at once.
	rewriteAt = 64 << 10
)

// needed is about how long the journal has to be for what counts of it.
func (h *history) needed() (n int64) {
	for _, e := range h.order {
		if e.gone {
			continue
		}
		n += int64(len(e.path)) + entryRecords
		if e.saved != e.path {
			n += int64(len(e.saved))
		}
	}
	for _, saved := range h.differ {
		n += int64(len(saved)) + entryRecords
	}
	for _, e := range h.same {
		n += int64(len(e.path)+len(e.saved)) + entryRecords
	}
	return n
}

// compactJournal writes the journal again if most of it is about what is gone.
func (s *stage) compactJournal(key, boot string) error {
	if err := s.hidden.Remove(path.Join(s.id, newJournal)); err != nil && !isGone(err) {
		return err
	}
	if s.past.size > 2*s.past.needed()+journalSlack { // guard: journal-size
		return s.rewriteJournal(key, boot)
	}
	return nil
}

// rewriteJournal puts a new journal in the place of the old one, in one step. What the old one says is made durable
// before, so that the new one is durable as a whole.
func (s *stage) rewriteJournal(key, boot string) error {
	var fresh []string
	for _, h := range s.past.order {
		if h.fresh && h.kind == kindFile {
			fresh = append(fresh, h.saved)
		}
	}
	if err := s.syncFiles(fresh); err != nil {
		s.forget(s.past.durable) // what came since the sync before is unknown
		return fmt.Errorf("%w: %w", ErrUnsynced, err)
	}
	next := journal{}
	name := path.Join(s.id, newJournal)
	if err := s.check("open", newJournal); err != nil {
		return err
	}
	var err error
	if next.f, err = s.hidden.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	old := s.journal
	s.journal = next
	durable, err := s.writeHistory(key, boot)
	if err != nil {
		s.journal = old
		err = errors.Join(err, next.f.Close(), s.hidden.Remove(name))
		if reasonOf(err) == reasonOf(ErrDiskFull) { // a full disk does not grow: the old one serves
			return nil
		}
		return err
	}
	_ = old.f.Close() // some systems replace no file that is open
	err = s.try("rename", newJournal, func() error { return s.hidden.Rename(name, path.Join(s.id, journalName)) })
	if err != nil {
		return err
	}
	s.past.durable, s.past.size = durable, s.journal.size
	for _, h := range s.past.order {
		h.fresh = false
	}
	return s.syncDir(s.hidden, s.id)
}

// writeHistory writes what counts into an empty journal, and makes it durable up to where it says so.
func (s *stage) writeHistory(key, boot string) (durable int64, err error) {
	past, j := s.past, &s.journal
	j.put(jourStart, []byte(key))
	j.put(jourBoot, []byte(boot))
	for _, h := range past.order {
		if h.gone {
			continue
		}
		j.put(jourEntry, encodeHeld(h.announced(), h.saved))
		switch {
		case h.kind != kindFile:
		case h.whole:
			j.put(jourWhole)
		case h.pos > 0 && h.tail != nil:
			j.put(jourAt, counts(h.pos, h.tail.n), h.tail.sum[:])
		}
		if len(j.buf) >= rewriteAt {
			if err := s.flushJournal(); err != nil {
				return 0, err
			}
		}
	}
	for _, n := range past.noted.Notes {
		if e := past.entries[n.Path]; e != nil && e.whole {
			j.put(jourNote, encodeNote(n))
		}
	}
	for _, saved := range past.differ {
		j.put(jourDiffers, []byte(saved))
	}
	for _, h := range past.same {
		j.put(jourSame, encodeHeld(h.announced(), h.saved))
	}
	if err := s.flushJournal(); err != nil {
		return 0, err
	}
	durable = j.size
	j.put(jourSynced, bigEndian(durable))
	return durable, s.syncJournal()
}

// announced is an entry that a journal takes for h. The target of a link is not kept: it is made when all is here.
func (h *held) announced() entry {
	e := h.entry()
	if e.kind == kindLink {
		e.target = "."
	}
	return e
}
