package transfer

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// The content of files, record by record.

// takeAll processes blocks until the end of the manifest.
func (r *receiver) takeAll() error {
	for {
		k, err := r.b.recv()
		if err != nil {
			return err
		}
		in, end := records{k.body()}, false
		for {
			if r.ctx.Err() != nil { // broken lanes alone are not a reason to discard what they delivered
				return causeOf(r.ctx)
			}
			kind, body, ok, err := in.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if end {
				return badRecord(kind)
			}
			if end, err = r.take(kind, body); err != nil {
				return err
			}
		}
		r.blocks = append(r.blocks, k)
		idle := !r.b.ready()
		if r.blocked += len(k.body()); end || idle || r.blocked >= commitEvery || len(r.blocks) >= commitBlocks {
			if err := r.commit(); err != nil {
				return err
			}
		}
		if idle { // the sender may be waiting for our requests
			if err := r.out.flush(); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// take processes one record; it returns true at the end of the manifest.
func (r *receiver) take(kind byte, body []byte) (end bool, err error) {
	switch kind {
	case recEntry:
		return false, r.announced(body)
	case recData:
		return false, r.begin(body)
	case recChunk:
		return false, r.chunk(body)
	case recHole, recKeep:
		return false, r.without(kind, body)
	case recFileEnd:
		return false, r.endFile(body)
	case recSame:
		return false, r.isSame(body)
	case recSums:
		return false, r.sums(body)
	case recDropped:
		return false, r.dropped(body)
	case recSkipped:
		if len(body) < 2 || len(body) > 1+MaxPath { // guard: skipped-path
			return false, badRecord(kind)
		}
		name := string(body[1:])
		delete(r.missing, name)
		r.result.note(Note{Path: name, Err: reasonErr(body[0]), Remote: true})
		return false, nil
	case recEnd:
		return true, r.manifestEnd(body)
	case recAbort:
		return false, abortError(body)
	}
	return false, fmt.Errorf("%w: unknown record %q", ErrProtocol, kind)
}

// manifestEnd compares what arrived with what the sender says it has sent, and with the offer.
func (r *receiver) manifestEnd(body []byte) error {
	t, err := decodeTotals(body)
	switch {
	case err != nil:
		return err
	case r.cur != nil || len(r.pending) > 0:
		return fmt.Errorf("%w: the transfer ended inside a file", ErrProtocol)
	case t != r.result.plus(r.refused): // guard: totals
		return fmt.Errorf("%w: %+v announced, %+v arrived, %+v refused", ErrProtocol, t, r.result.Totals, r.refused)
	case len(r.missing) > 0: // guard: offered-come
		return fmt.Errorf("%w: %d offered names did not arrive", ErrProtocol, len(r.missing))
	}
	return nil
}

// begin opens the file whose content follows.
func (r *receiver) begin(body []byte) error {
	d := decoder{b: body}
	index, pos := d.count(), d.count()
	in := r.pending[index]
	if !d.end() || in == nil || r.cur != nil || pos != 0 && pos != in.from { // guard: content-announced
		return badRecord(recData)
	}
	in.settle()
	in.marked = -1
	r.cur = in
	if in.refused {
		return nil
	}
	if err := r.openFile(in, pos); err != nil {
		return r.refuse(in, err)
	}
	if in.size > ChunkSize { // the journal entry of a small one comes with its end, or the next commit
		r.mark(true)
	}
	return nil
}

// openFile opens the staged file, under another name if the disk rejects the planned one.
func (r *receiver) openFile(in *incoming, pos int64) (err error) {
	if pos > 0 {
		in.f, err = r.stage.reopen(in.saved)
		if err == nil {
			in.pos, in.tail = pos, in.held.tail
		}
		return err
	}
	if in.from > 0 {
		r.bytes.Add(-in.from)
		in.from = 0
	}
	if tooLarge(r.stage.volume, in.size) {
		return ErrFileTooLarge
	}
	for tries := 0; ; tries++ {
		err = r.retry(func() error { in.f, err = r.stage.create(in.saved, in.held != nil); return err })
		if !renames(err) {
			return err
		}
		saved, ok := r.plan.other(in.path, in.saved, false, tries, err)
		if !ok {
			return errors.Join(ErrNameRefused, err)
		}
		r.renamed(in, saved)
	}
}

// renamed gives a file another name before anything of it is written.
func (r *receiver) renamed(in *incoming, saved string) {
	in.saved = saved
	if in.top >= 0 {
		r.tops[in.top].saved = saved
	}
	if in.part >= 0 {
		r.parts[in.part].saved = saved
	}
}

func (r *receiver) chunk(body []byte) error {
	d := decoder{b: body}
	off, sum := d.count(), d.digest()
	in, data := r.cur, d.b
	switch {
	case d.bad || in == nil || len(data) == 0:
		return badRecord(recChunk)
	case off != in.pos: // guard: chunk-order
		return fmt.Errorf("%w: chunk at offset %d, want %d", ErrProtocol, off, in.pos)
	case int64(len(data)) > in.size-in.pos: // guard: chunk-size
		return fmt.Errorf("%w: more bytes than announced", ErrProtocol)
	case digestOf(data) != sum: // guard: chunk-digest
		return ErrDigest
	}
	if err := r.charge(int64(len(data))); err != nil {
		return err
	}
	if !in.refused {
		err := r.retry(func() error { return r.stage.write(in.f, data, in.pos) })
		if err != nil {
			err = r.refuse(in, err)
		}
		if err != nil {
			return err
		}
	}
	if in.refused {
		in.pos += int64(len(data))
		return nil
	}
	in.pos += int64(len(data))
	in.tail = &tail{int64(len(data)), sum}
	r.bytes.Add(int64(len(data)))
	r.dirtyN += int64(len(data))
	return nil
}

// entryCost is the space that an entry takes on a disk in addition to its content: many small files can fill a disk.
const entryCost = 4 << 10

// charge counts bytes that the disk takes, and checks free space from time to time.
func (r *receiver) charge(n int64) error {
	r.unasked += n
	if r.unasked >= spaceEvery { // guard: disk-space-meanwhile
		r.unasked = 0
		return r.retry(func() error { return r.stage.checkSpace(0, r.opts.Reserve) })
	}
	return nil
}

// retry repeats an operation that fails because the disk is full, until there is room.
func (r *receiver) retry(do func() error) error {
	phase := r.phase.Load()
	for {
		err := do()
		if err == nil || reasonOf(err) != reasonOf(ErrDiskFull) {
			r.phase.Store(phase)
			return err
		}
		r.phase.Store(int64(Full))
		if err := r.commit(); err != nil && (r.lost || reasonOf(err) != reasonOf(ErrDiskFull)) {
			return err
		}
		select {
		case <-time.After(spaceWait):
		case <-r.b.quit:
			return r.b.alive()
		}
	}
}

// without processes bytes that are not sent over the lanes: a hole, or a piece of the old file.
func (r *receiver) without(kind byte, body []byte) error {
	d := decoder{b: body}
	n := d.count()
	in := r.cur
	if !d.end() || in == nil || n == 0 || n > in.size-in.pos {
		return badRecord(kind)
	}
	if kind == recKeep && !in.refused {
		if err := r.charge(n); err != nil {
			return err
		}
		err := r.keep(in, n)
		if err != nil {
			err = r.refuse(in, err)
		}
		if err != nil {
			return err
		}
	}
	in.pos += n
	if in.refused {
		return nil
	}
	in.tail = nil
	r.bytes.Add(n)
	return nil
}

// endFile processes the end of a file's content, with the property that was not kept, if any.
func (r *receiver) endFile(body []byte) error {
	in := r.cur
	if in == nil || len(body) > 1 {
		return badRecord(recFileEnd)
	}
	if in.pos != in.size { // guard: file-whole
		return fmt.Errorf("%w: only %d of %d bytes arrived", ErrProtocol, in.pos, in.size)
	}
	if in.refused {
		r.forget(in)
		return r.askMore()
	}
	if err := r.seal(in); err != nil {
		err = r.refuse(in, err)
		r.forget(in)
		if err != nil {
			return err
		}
		return r.askMore()
	}
	if in.marked < 0 {
		r.stage.journal.put(jourEntry, encodeHeld(in.entry, in.saved))
	}
	r.stage.journal.put(jourWhole)
	r.dirty = append(r.dirty, in.saved)
	r.dirtyN += entryCost
	if len(body) == 1 {
		n := Note{Path: in.path, Saved: in.saved, Err: reasonErr(body[0]), Remote: true}
		r.result.note(n)
		r.stage.journal.put(jourNote, encodeNote(n))
	}
	r.whole(in)
	if err := r.noteName(in); err != nil {
		return err
	}
	if err := r.askMore(); err != nil {
		return err
	}
	return r.charge(entryCost)
}

// seal completes a file, and notes which of its attributes the disk does not keep.
func (r *receiver) seal(in *incoming) error {
	f := in.f
	in.f = nil
	if !in.hasFinalLength() {
		if err := r.stage.setLength(f, in.size); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	lost, err := r.stage.seal(f, in.saved, in.entry, r.opts.KeepExec)
	if in.top < 0 && in.part < 0 && r.mayRecord(in.entry) { // the others are recorded under their final names
		if info, statErr := f.Stat(); statErr == nil {
			r.record(in.entry, info)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, why := range lost {
		if err := r.unkept(in.path, in.saved, why); err != nil {
			return err
		}
	}
	return nil
}

// hasFinalLength reports whether the staged file ends where the last chunk ended: it was created by this attempt, and
// does not end in a hole.
func (in *incoming) hasFinalLength() bool {
	return in.from == 0 && (in.tail != nil || in.size == 0)
}

// whole counts a complete file and ends its tracking as incoming.
func (r *receiver) whole(in *incoming) {
	r.result.Files++
	r.result.Bytes += in.size
	r.files.Add(1)
	r.count(in.entry)
	r.forget(in)
}

// noteName notes a file that was saved under a different name, unless it gets its final name when it is published.
func (r *receiver) noteName(in *incoming) error {
	if in.top >= 0 || in.part >= 0 {
		return nil
	}
	return r.rename(in.path, in.saved)
}

func (r *receiver) forget(in *incoming) {
	delete(r.pending, in.index)
	if r.cur == in {
		r.cur = nil
	}
	in.settle()
	if in.slot {
		in.slot = false
		r.asked--
	}
	for _, f := range []*os.File{in.f, in.old} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// dropped notes a file that the sender could not send after all, and removes what had arrived of it.
func (r *receiver) dropped(body []byte) error {
	d := decoder{b: body}
	in := r.pending[d.count()]
	if len(d.b) != 1 || d.bad || in == nil || r.cur != nil && in != r.cur {
		return badRecord(recDropped)
	}
	if in.refused { // it was refused here: nothing of it is left
		if reasonErr(d.b[0]) != ErrCancelled { //nolint:errorlint // the sentinel itself
			r.refused = r.refused.minus(in.entry.totals()) // the sender gave it up on its own, and does not count it
		}
		r.forget(in)
		return r.askMore()
	}
	arrived := in.from
	if in == r.cur {
		arrived = in.pos
	}
	r.bytes.Add(-arrived)
	begun := in == r.cur || in.held != nil
	r.forget(in)
	r.strike(in, begun)
	r.result.note(Note{Path: in.path, Err: reasonErr(d.b[0]), Remote: true})
	return r.askMore()
}
