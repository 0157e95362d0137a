package transfer

import (
	"fmt"
)

// Comparing files with existing files of the same name.

// maxCompared is how many files may be compared ahead of their turn: each holds a descriptor and its digests.
const maxCompared = 64

// compare requests the digests of a file whose name is taken here.
func (r *receiver) compare(in *incoming) error {
	r.toAsk = append(r.toAsk, in) // there are no more than are pending
	return r.askMore()
}

func (r *receiver) askMore() error {
	for len(r.toAsk) > 0 && r.asked < maxCompared {
		in := r.toAsk[0]
		r.toAsk = r.toAsk[1:]
		r.asked++
		in.slot = true
		in.piece = pieceFor(in.size)
		if err := r.want(in.index, want{digests: true, piece: in.piece}); err != nil {
			return err
		}
	}
	return nil
}

// sums processes the sender's digests of a file. The comparison runs concurrently.
func (r *receiver) sums(body []byte) error {
	d := decoder{b: body}
	in := r.pending[d.count()]
	if d.bad || in == nil || in == r.cur || !in.slot || in.compared != nil { // guard: digests-asked
		return badRecord(recSums)
	}
	for len(d.b) > 0 && !d.bad {
		in.theirs = append(in.theirs, d.pieceDigest())
	}
	pieces := (in.size + in.piece - 1) / in.piece
	if d.bad || len(in.theirs) > 0 && int64(len(in.theirs)) != pieces {
		return badRecord(recSums)
	}
	in.compared = make(chan struct{})
	if r.toCompare == nil {
		r.toCompare = make(chan *incoming, maxCompared)
		for range 2 {
			r.comparisons.Go(r.compareAll)
		}
	}
	r.toCompare <- in // there are no more than were requested
	return nil
}

func (r *receiver) compareAll() {
	var near nearFolder
	defer near.close()
	for {
		in, ok := r.nextToCompare()
		if !ok {
			return
		}
		select {
		case <-r.b.quit:
		default:
			w := r.compareOne(&near, in)
			_ = r.out.put(recWant, w.encode(in.index)) // an error has ended the transfer
		}
		close(in.compared)
	}
}

// nextToCompare returns the next file to compare. Requests are sent together, once no other file is waiting.
func (r *receiver) nextToCompare() (in *incoming, ok bool) {
	select {
	case in, ok = <-r.toCompare:
		return in, ok
	default:
	}
	_ = r.out.flush()
	in, ok = <-r.toCompare
	return in, ok
}

// compareOne compares a file with the sender's digests, and returns what is wanted of it.
func (r *receiver) compareOne(near *nearFolder, in *incoming) want {
	if len(in.theirs) == 0 { // the sender cannot read it
		return want{}
	}
	f, info, err := r.stage.openExisting(near, in.saved)
	if err != nil {
		return want{}
	}
	steady := isSteady(info) // before it is read
	w := want{piece: in.piece, equal: make([]byte, (len(in.theirs)+7)/8)}
	all := info.Size() == in.size
	for i, theirs := range in.theirs {
		off := int64(i) * in.piece
		n := min(in.piece, in.size-off)
		endsBoth := off+n == info.Size()
		isWhole := n == in.piece && off+n <= info.Size()
		if !isWhole && !endsBoth { // guard: whole-pieces
			all = false
			continue
		}
		sum, err := digestRange(r.b.quit, f, off, n)
		if err != nil || sum != theirs {
			all = false
			continue
		}
		w.equal[i/8] |= 1 << (i % 8)
	}
	in.old, in.oldStamp, in.same = f, stampOf(info), all
	if all {
		if steady && r.mayRecord(in.entry) && r.stage.tracks(info) {
			in.copy = keyOf(r.opts.Sender, in.entry, in.oldStamp)
		}
		return want{identical: true}
	}
	r.differMu.Lock()
	defer r.differMu.Unlock()
	r.differ = append(r.differ, in.saved)
	return w
}

// keepDiffering records in the journal which files differ: a later attempt does not compare them again, so that a
// sender can test each name only once per offer.
func (r *receiver) keepDiffering() {
	r.differMu.Lock()
	defer r.differMu.Unlock()
	for _, p := range r.differ {
		r.stage.journal.put(jourDiffers, []byte(p))
	}
	r.differ = nil
}

// settle waits for the comparison of a file, if there is one. An honest sender has the result already.
func (in *incoming) settle() {
	if in.compared != nil {
		<-in.compared
	}
}

// keep copies n bytes from the old file, whose pieces were compared.
func (r *receiver) keep(in *incoming, n int64) error {
	if in.old == nil {
		return badRecord(recKeep)
	}
	piece := in.pos / in.piece
	start := piece * in.piece
	info, err := in.old.Stat()
	if err != nil {
		return err
	}
	if stampOf(info) != in.oldStamp {
		return errOldChanged(in.saved)
	}
	if piece >= int64(len(in.theirs)) || in.pos+n > info.Size() || in.pos+n > start+in.piece {
		return badRecord(recKeep)
	}
	if in.proven != piece+1 {
		sum, err := digestRange(r.ctx.Done(), in.old, start, min(in.piece, in.size-start))
		if err != nil || sum != in.theirs[piece] {
			return errOldChanged(in.saved)
		}
		in.proven = piece + 1
	}
	r.dirtyN += n
	if err := r.retry(func() error { return r.stage.copyFrom(in.old, in.f, in.pos, n) }); err != nil {
		return err
	}
	if info, err := in.old.Stat(); err != nil || stampOf(info) != in.oldStamp { // while it was copied
		return errOldChanged(in.saved)
	}
	return nil
}

// errOldChanged reports a file of the receiver that changed after it was compared. The next attempt compares it
// again.
func errOldChanged(name string) error {
	return fmt.Errorf("%w: %s changed on this device while it was being compared", ErrInterrupted, name)
}

// isSame counts a file that was found identical, when its turn comes.
func (r *receiver) isSame(body []byte) error {
	d := decoder{b: body}
	in := r.pending[d.count()]
	if !d.end() || in == nil || in == r.cur {
		return badRecord(recSame)
	}
	in.settle()
	if !in.same {
		return badRecord(recSame)
	}
	r.result.Unchanged++
	if in.top >= 0 {
		r.stage.journal.put(jourSame, encodeHeld(in.entry, in.saved))
	}
	r.bytes.Add(in.size)
	r.same = append(r.same, unchanged{in.saved, in.oldStamp, in.copy})
	if in.top >= 0 {
		r.tops[in.top].unchanged = true
	}
	if in.part >= 0 {
		r.parts[in.part].gone = true
	}
	r.whole(in)
	return r.askMore()
}
