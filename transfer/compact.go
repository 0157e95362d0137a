package transfer

import (
	"errors"
	"fmt"
	"os"
	"path"
)

// A journal grows with each attempt, even if the attempt discards data. So each call begins with a journal that
// contains little more than the records that still count; otherwise, interrupted attempts would fill the disk.

const (
	// newJournal is the name of the journal while it is being rewritten.
	newJournal = journalName + ".new"
	// A journal may hold as many bytes of records about removed data as about existing data, plus journalSlack.
	journalSlack = 1 << 20
	// entryRecords is the maximum size of the records of an entry, not counting its names.
	entryRecords = 128
	// rewriteAt is how many bytes are written at a time.
	rewriteAt = 64 << 10
)

// needed estimates how long the journal has to be for the records that still count.
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

// compactJournal rewrites the journal if most of it is about removed data.
func (s *stage) compactJournal(key, boot string) error {
	if err := s.hidden.Remove(path.Join(s.id, newJournal)); err != nil && !isGone(err) {
		return err
	}
	if s.past.size > 2*s.past.needed()+journalSlack { // guard: journal-size
		return s.rewriteJournal(key, boot)
	}
	return nil
}

// rewriteJournal atomically replaces the old journal with a new one. The data that the old one records is made durable
// first, so that the new one is durable as a whole.
func (s *stage) rewriteJournal(key, boot string) error {
	var fresh []string
	for _, h := range s.past.order {
		if h.fresh && h.kind == kindFile {
			fresh = append(fresh, h.saved)
		}
	}
	if err := s.syncFiles(fresh); err != nil {
		s.forget(s.past.durable) // the state of data since the previous sync is unknown
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
		if reasonOf(err) == reasonOf(ErrDiskFull) { // on a full disk, the old journal is good enough
			return nil
		}
		return err
	}
	_ = old.f.Close() // some systems do not replace an open file
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

// writeHistory writes the records that still count into an empty journal, and syncs it, so that what it records as
// durable is durable.
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
	written := map[string]bool{} // each attempt may have repeated them
	for _, n := range past.noted.Notes {
		note := encodeNote(n)
		if e := past.entries[n.Path]; e != nil && e.whole && !written[string(note)] { // guard: journal-notes
			written[string(note)] = true
			j.put(jourNote, note)
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

// announced returns the entry that the journal records for h. A link's target is not recorded: the link is created when
// everything has arrived.
func (h *held) announced() entry {
	e := h.entry()
	if e.kind == kindLink {
		e.target = "."
	}
	return e
}
