package transfer

import (
	"fmt"
	"time"
)

// What becomes durable, and when.

// mark puts into the journal how much of the file under way is verified.
func (r *receiver) mark() {
	in := r.cur
	if in == nil || in.marked == in.pos {
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

// commit writes the journal, and tells the sender that what it says is taken. Now and then it has it all made durable.
func (r *receiver) commit() error {
	if r.lost {
		return errLost
	}
	r.mark()
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

// errLost is a sync that has failed before.
var errLost = fmt.Errorf("%w: what was written could not be made durable", ErrFailed)

// startSync makes durable what the journal says now, on a goroutine of its own.
func (r *receiver) startSync() {
	names := r.dirty
	if r.cur != nil {
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

// syncEnded takes the end of a sync. If it failed nothing is known of what came since the one before: systems mark
// pages clean that they could not write, so a second try would prove nothing.
func (r *receiver) syncEnded(err error) error {
	r.syncing = false
	if err != nil {
		r.lost = true
		r.stage.forget(r.durable)
		return err
	}
	r.durable = r.syncTo
	r.stage.journal.put(jourSynced, bigEndian(r.durable))
	return nil
}

// settleSync waits for the sync under way.
func (r *receiver) settleSync() error {
	if !r.syncing {
		return nil
	}
	return r.syncEnded(<-r.synced)
}

// syncAll makes all durable that has arrived.
func (r *receiver) syncAll() error {
	if err := r.settleSync(); err != nil {
		return err
	}
	if r.lost {
		return errLost
	}
	if r.dirtyN == 0 && r.cur == nil {
		return r.stage.flushJournal()
	}
	r.mark()
	if err := r.stage.flushJournal(); err != nil {
		return err
	}
	r.startSync()
	return r.settleSync()
}

// end leaves the staging as the end of the call wants it.
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
	_ = r.settleSync()
	if err != nil && !drops(err) && !r.lost && r.stage.root != nil {
		// What was processed and not told is kept too; the next attempt finds it.
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
