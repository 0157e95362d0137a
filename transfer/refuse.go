package transfer

import (
	"errors"
	"path"
)

// Entries that this disk cannot store are left out, and both sides note the name and the cause; all other entries
// arrive.

// ownFault reports whether an error concerns one entry only, rather than the disk or the whole transfer.
func (r *receiver) ownFault(err error) bool {
	reason := reasonErr(reasonOf(err))
	switch {
	case r.ctx.Err() != nil, drops(err), Passing(err), reason == ErrReadOnly, errors.Is(err, ErrGone): //nolint:errorlint // the sentinel itself
		return false
	}
	return r.stage.inPlace() == nil
}

// explain replaces an error that ends the transfer by its cause, if the cause is that the folder is gone.
func (r *receiver) explain(err error) error {
	if r.stage == nil || !isGone(err) || r.stage.inPlace() == nil {
		return err
	}
	return r.stage.inPlace()
}

// refuse leaves out a file because of err. Content that still arrives for it is discarded. It returns err if the
// cause is not this file alone.
func (r *receiver) refuse(in *incoming, err error) error {
	if !r.ownFault(err) {
		return at(in.path, err)
	}
	in.settle()
	arrived := max(in.from, in.pos)
	if in.held != nil && in != r.cur {
		arrived = max(arrived, in.held.pos)
	}
	r.bytes.Add(-arrived)
	begun := in == r.cur && in.marked >= 0 || in.held != nil
	in.refused = true
	if in.f != nil {
		_ = in.f.Close()
	}
	in.f, in.from = nil, 0
	r.strike(in, begun)
	return r.sayRefused(in.entry, in.index, err)
}

// strike removes what is stored of a file that will not arrive.
func (r *receiver) strike(in *incoming, begun bool) {
	if begun {
		r.stage.journal.put(jourGone, []byte(in.path))
	}
	if in.held != nil {
		in.held.forget()
		in.held = nil
	}
	_ = r.stage.discard(in.saved) // what cannot be removed now is removed with the staging folder
	if in.top >= 0 {
		r.tops[in.top].gone = true
	}
	if in.part >= 0 {
		r.parts[in.part].gone = true
	}
}

// refuseEntry leaves out a folder or a link because of err.
func (r *receiver) refuseEntry(e entry, err error) error {
	if !r.ownFault(err) {
		return at(e.path, err)
	}
	if e.folder() {
		r.lacking[e.path] = err
	}
	return r.sayRefused(e, -1, err)
}

// inLacking returns why the folder of an entry could not be created; nil if it exists.
func (r *receiver) inLacking(e entry) error {
	if len(r.lacking) == 0 {
		return nil
	}
	return r.lacking[path.Dir(e.path)]
}

func (r *receiver) sayRefused(e entry, index int64, err error) error {
	switch reason := reasonErr(reasonOf(err)); {
	case reason != ErrFailed: //nolint:errorlint // the sentinel itself
		err = reason // the system's error text names a path in the staging folder
	case namingError(err):
		err = ErrNameRefused
	}
	r.refused = r.refused.plus(e.totals())
	r.result.note(Note{Path: e.path, Err: err})
	return r.out.put(recRefused, encodeRefused(e.totals(), index, err, e.path))
}

// unkept notes an entry that was stored without some property.
func (r *receiver) unkept(path, saved string, why error) error {
	n := Note{Path: path, Saved: saved, Err: why}
	r.result.note(n)
	r.stage.journal.put(jourNote, encodeNote(n)) // for an attempt that finds the file complete
	return r.out.put(recNote, encodeNote(n))
}
