package transfer

import (
	"errors"
	"fmt"
	"time"
)

// What becomes durable, and when.

// mark records in the journal how much of the current file is verified. Unless all is set, it does so only once per
// markEvery bytes: a sender may send byte by byte, and each of these records takes more space than a byte.
func (r *receiver) mark(all bool) {
	in := r.cur
	if in == nil || in.refused || in.marked == in.pos {
		return
	}
	if !all && in.marked >= 0 && in.pos-in.marked < markEvery { // guard: journal-pace
		return
	}
	if in.marked < 0 {
		r.stage.journal.put(jourEntry, encodeHeld(in.entry, in.saved))
	}
	if in.pos > 0 && in.tail != nil {
		r.stage.journal.put(jourAt, counts(in.pos, in.tail.n), in.tail.sum[:])
	}
	in.marked = in.pos
}

// commit writes the journal and acknowledges to the sender what the journal covers. From time to time it starts a
// sync.
func (r *receiver) commit() error {
	if r.lost {
		return ErrUnsynced
	}
	r.mark(false)
	r.keepDiffering()
	if err := r.stage.flushJournal(); err != nil {
		return err
	}
	for _, k := range r.blocks {
		r.b.done(k)
	}
	r.blocks, r.blocked = r.blocks[:0], 0
	if r.syncing {
		select {
		case err := <-r.synced:
			return r.syncEnded(err)
		default:
			return nil
		}
	}
	if r.dirtyN >= syncEvery || r.dirtyN > 0 && time.Since(r.syncStart) > syncWait {
		r.startSync()
	}
	return nil
}

// startSync makes durable what the journal covers now, on its own goroutine.
func (r *receiver) startSync() {
	names := r.dirty
	if r.cur != nil && !r.cur.refused {
		names = append(names, r.cur.saved)
	}
	r.dirty, r.dirtyN = nil, 0
	r.syncing, r.syncStart, r.syncTo = true, time.Now(), r.stage.journal.size
	go func() { // commit or settleSync waits for it
		err := r.stage.syncFiles(names)
		if err == nil {
			err = r.stage.sync(r.stage.journal.f)
		}
		r.synced <- err
	}()
}

// syncEnded handles the end of a sync. After a failure, nothing is known about the data written since the previous
// sync: systems mark pages clean that they could not write, so a second try would prove nothing.
func (r *receiver) syncEnded(err error) error {
	r.syncing = false
	if err != nil {
		r.lost = true
		r.stage.forget(r.durable)
		if err = classify(err); errors.Is(err, ErrReadOnly) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUnsynced, err)
	}
	r.durable = r.syncTo
	r.stage.journal.put(jourSynced, bigEndian(r.durable))
	return nil
}

// settleSync waits for the running sync.
func (r *receiver) settleSync() error {
	if !r.syncing {
		return nil
	}
	return r.syncEnded(<-r.synced)
}

// syncAll makes everything that has arrived durable.
func (r *receiver) syncAll() error {
	if err := r.settleSync(); err != nil {
		return err
	}
	if r.lost {
		return ErrUnsynced
	}
	if r.dirtyN == 0 && r.cur == nil {
		return r.stage.flushJournal()
	}
	r.mark(true)
	if err := r.stage.flushJournal(); err != nil {
		return err
	}
	r.startSync()
	return r.settleSync()
}

// end leaves the staging folder in the state that err requires.
func (r *receiver) end(err error) {
	if r.toCompare != nil {
		close(r.toCompare)
	}
	r.comparisons.Wait()
	if r.stage == nil {
		return
	}
	if r.reporting != nil {
		r.reporting()
	}
	r.keepDiffering()
	_ = r.settleSync()
	if err != nil && !drops(err) && !r.lost && r.stage.root != nil {
		// What was processed but not acknowledged is kept too; the next attempt finds it.
		if r.syncAll() == nil {
			_ = r.stage.flushJournal()
		}
	}
	for _, in := range r.pending {
		r.forget(in)
	}
	if err != nil && drops(err) {
		r.stage.remove()
	}
	r.stage.close()
}
