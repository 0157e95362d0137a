package transfer

import (
	"fmt"
	"os"
)

// Files that are compared with what has their name.

// compare has a file digested that stands under the name of a new one, and the sender told, beside the rest. The
// comparisons keep the order of the files, as the sender does.
func (r *receiver) compare(in *incoming) {
	in.compared = make(chan struct{})
	if r.toCompare == nil {
		r.toCompare = make(chan *incoming, 2*announced+1)
		for range 2 {
			r.comparisons.Go(r.compareAll)
		}
	}
	r.toCompare <- in // there are no more than are pending
}

func (r *receiver) compareAll() {
	for in := range r.toCompare {
		select {
		case r.compared <- struct{}{}:
			in.slot = true
			r.compareOne(in)
		case <-r.b.quit:
		}
		close(in.compared)
	}
}

func (r *receiver) compareOne(in *incoming) {
	f, err := r.stage.openExisting(in.saved)
	if err == nil {
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			in.oldStamp = stampOf(info)
			in.sums, err = piecesOf(r.b.quit, f, info.Size())
		}
		if err == nil {
			in.old = f
		} else {
			_ = f.Close()
		}
	}
	if in.old == nil {
		in.sums = want{}
	}
	if r.out.put(recWant, in.sums.encode(in.index)) == nil {
		_ = r.out.flush()
	}
}

// settle waits for the comparison of a file, if there is one. An honest sender has its result already.
func (in *incoming) settle() {
	if in.compared != nil {
		<-in.compared
	}
}

// keep copies n bytes from the old file, whose pieces are those that were compared.
func (r *receiver) keep(in *incoming, n int64) error {
	if in.old == nil {
		return badRecord(recKeep)
	}
	piece := in.pos / in.sums.piece
	start := piece * in.sums.piece
	info, err := in.old.Stat()
	if err != nil {
		return err
	}
	if piece >= int64(len(in.sums.pieces)) || in.pos+n > info.Size() || in.pos+n > start+in.sums.piece {
		return badRecord(recKeep)
	}
	changed := fmt.Errorf("%w: %s, which was compared", ErrChanged, in.saved)
	if in.proven != piece+1 {
		if sum, err := digestRange(r.ctx.Done(), in.old, start, min(in.sums.piece, info.Size()-start)); err != nil || sum != in.sums.pieces[piece] {
			return changed
		}
		in.proven = piece + 1
	}
	r.dirtyN += n
	if err := r.retry(func() error { return r.stage.copyFrom(in.old, in.f, in.pos, n) }); err != nil {
		return err
	}
	if info, err := in.old.Stat(); err != nil || stampOf(info) != in.oldStamp { // while it was copied
		return changed
	}
	return nil
}

// isSame takes the sender's word that the file that was compared is its own. It has digested all of it.
func (r *receiver) isSame(body []byte) error {
	d := decoder{b: body}
	in := r.pending[d.count()]
	if !d.end() || in == nil || in == r.cur {
		return badRecord(recSame)
	}
	if in.settle(); in.old == nil {
		return badRecord(recSame)
	}
	r.result.Unchanged++
	r.bytes.Add(in.size)
	r.same = append(r.same, unchanged{in.saved, in.oldStamp})
	if in.top >= 0 {
		r.tops[in.top].unchanged = true
	}
	if in.part >= 0 {
		r.parts[in.part].gone = true
	}
	r.whole(in)
	return nil
}
