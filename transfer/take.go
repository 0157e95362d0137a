package transfer

import (
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
			if r.ctx.Err() != nil { // broken lanes alone are no reason to throw away what they have brought
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
		if idle { // the sender may wait for what we want
			if err := r.out.flush(); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// take processes one record; true at the end of the manifest.
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
	case recDropped:
		return false, r.dropped(body)
	case recSkipped:
		if len(body) < 2 {
			return false, badRecord(kind)
		}
		r.result.note(Note{Path: string(body[1:]), Err: reasonErr(body[0])})
		return false, nil
	case recEnd:
		t, err := decodeTotals(body)
		if err == nil && (r.cur != nil || len(r.pending) > 0) {
			err = fmt.Errorf("%w: an end inside a file", ErrProtocol)
		}
		if err == nil && t != r.result.Totals { // guard: totals
			err = fmt.Errorf("%w: %+v announced, %+v arrived", ErrProtocol, t, r.result.Totals)
		}
		return true, err
	case recAbort:
		return false, abortError(body)
	}
	return false, fmt.Errorf("%w: unknown record %q", ErrProtocol, kind)
}

// begin opens the file whose content comes.
func (r *receiver) begin(body []byte) error {
	d := decoder{b: body}
	index, pos := d.count(), d.count()
	in := r.pending[index]
	if !d.end() || in == nil || r.cur != nil || pos != 0 && pos != in.from { // guard: content-announced
		return badRecord(recData)
	}
	in.settle()
	in.marked = -1
	var err error
	if pos == 0 {
		if in.from > 0 {
			r.bytes.Add(-in.from)
		}
		err = r.retry(func() error { in.f, err = r.stage.create(in.saved); return err })
	} else {
		in.f, err = r.stage.reopen(in.saved)
		in.pos, in.tail = pos, in.held.tail
	}
	if err != nil {
		return err
	}
	if in.size <= ChunkSize {
		r.cur = in // its journal entry comes with its end, or the next commit
		return nil
	}
	r.cur = in
	r.mark()
	return nil
}

func (r *receiver) chunk(body []byte) error {
	d := decoder{b: body}
	off, sum := d.count(), d.digest()
	in, data := r.cur, d.b
	switch {
	case d.bad || in == nil || len(data) == 0:
		return badRecord(recChunk)
	case off != in.pos: // guard: chunk-order
		return fmt.Errorf("%w: a chunk for %d where %d is next", ErrProtocol, off, in.pos)
	case int64(len(data)) > in.size-in.pos: // guard: chunk-size
		return fmt.Errorf("%w: more bytes than announced", ErrProtocol)
	case digestOf(data) != sum: // guard: chunk-digest
		return ErrDigest
	}
	if r.unasked += int64(len(data)); r.unasked >= spaceEvery {
		r.unasked = 0
		if err := r.retry(func() error { return r.stage.roomFor(0, r.opts.Reserve) }); err != nil {
			return err
		}
	}
	if err := r.retry(func() error { return r.stage.write(in.f, data, in.pos) }); err != nil {
		return err
	}
	in.pos += int64(len(data))
	in.tail = &tail{int64(len(data)), sum}
	r.bytes.Add(int64(len(data)))
	r.dirtyN += int64(len(data))
	return nil
}

// retry repeats what fails because the disk is full, until there is room.
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
		case <-time.After(roomWait):
		case <-r.b.quit:
			return r.b.alive()
		}
	}
}

// without takes bytes that do not come over the lanes: a hole, or what an old file has.
func (r *receiver) without(kind byte, body []byte) error {
	d := decoder{b: body}
	n := d.count()
	in := r.cur
	if !d.end() || in == nil || n == 0 || n > in.size-in.pos {
		return badRecord(kind)
	}
	if kind == recKeep {
		if err := r.keep(in, n); err != nil {
			return err
		}
	}
	in.pos += n
	in.tail = nil
	r.bytes.Add(n)
	return nil
}

func (r *receiver) endFile(body []byte) error {
	in := r.cur
	if in == nil || len(body) != 0 {
		return badRecord(recFileEnd)
	}
	if in.pos != in.size { // guard: file-whole
		return fmt.Errorf("%w: %d of %d bytes", ErrProtocol, in.pos, in.size)
	}
	if in.marked < 0 {
		r.stage.journal.put(jourEntry, encodeHeld(in.entry, in.saved))
	}
	f := in.f
	in.f = nil
	if err := r.stage.seal(f, in.saved, in.entry, r.opts.KeepExec); err != nil {
		return err
	}
	r.stage.journal.put(jourWhole)
	r.dirty = append(r.dirty, in.saved)
	r.dirtyN += 4 << 10 // a file costs more than its bytes
	r.whole(in)
	return nil
}

// whole counts a file and forgets that it was under way.
func (r *receiver) whole(in *incoming) {
	r.result.Files++
	r.result.Bytes += in.size
	r.files.Add(1)
	r.forget(in)
}

func (r *receiver) forget(in *incoming) {
	delete(r.pending, in.index)
	if r.cur == in {
		r.cur = nil
	}
	in.settle()
	if in.slot {
		in.slot = false
		<-r.compared
	}
	for _, f := range []*os.File{in.f, in.old} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// dropped notes what the sender could not send after all, and removes what had arrived of it.
func (r *receiver) dropped(body []byte) error {
	d := decoder{b: body}
	in := r.pending[d.count()]
	if len(d.b) != 1 || d.bad || in == nil || r.cur != nil && in != r.cur {
		return badRecord(recDropped)
	}
	arrived := in.from
	if in == r.cur {
		arrived = in.pos
	}
	r.bytes.Add(-arrived)
	begun := in == r.cur || in.held != nil
	r.forget(in)
	if begun {
		r.stage.journal.put(jourGone, []byte(in.path))
	}
	if in.held != nil {
		in.held.forget()
	}
	if err := r.stage.discard(in.saved); err != nil {
		return err
	}
	if in.top >= 0 {
		r.tops[in.top].gone = true
	}
	if in.part >= 0 {
		r.parts[in.part].gone = true
	}
	r.result.note(Note{Path: in.path, Err: reasonErr(d.b[0])})
	return nil
}
