// Package transfer turns files and folders into bytes and back. It knows nothing about peers and networks: [Send] and
// [Receive] are the two ends, and the caller supplies the pipes between them, the lanes.
//
// Lanes may come and go. Blocks of records are numbered; whichever lane is free takes the next one, and the blocks of a
// lane that dies are sent over another (bundle.go). The sender walks the tree while it sends: an entry for each folder,
// file or link, and after a file's entry its chunks with their digests, computed while they are read. The receiver
// stages everything in a hidden folder on the same volume, verifies each chunk before it counts, and keeps a journal of
// it there (journal.go). A block counts as accepted when it is in the journal, except for less than 64 KiB of a file.
// So after any failure, the next call with the same ID resumes where this one stopped: the receiver reports what it
// has, file by file.
//
// When everything has arrived it is made durable and then published under its final name, never over an existing
// entry unless that was requested. The receipt means that every byte is verified and durable under its final name.
//
// Names, sizes and counts from the sender are never trusted; names.go makes a name safe, and a plan
// (plan.go) is the only way from a received name to a path.
package transfer

import "time"

// Limits on what one transfer may hold.
const (
	MaxEntries = 1_000_000
	MaxPath    = 1024      // bytes of a relative path
	MaxDepth   = 32        // components of a relative path
	maxName    = 255       // bytes of one component after rewriting, unless the disk accepts less
	maxNoted   = 256 << 10 // total bytes of the names of listed entries
	maxNotes   = 1000      // renamed or left-out entries that are listed; all are counted
)

// Totals counts what a transfer holds.
type Totals struct {
	Files   int64
	Folders int64
	Links   int64
	Bytes   int64
}

// Phase is the stage that a transfer has reached.
type Phase int

// The phases. Finishing is the time between the last byte and the receipt; Full means that the receiver waits for
// room on its disk.
const (
	Moving Phase = iota
	Finishing
	Full
)

// Progress is the state of a running transfer. Bytes and Files count what the receiver has verified, on both ends;
// data of an earlier attempt counts as soon as the receiver has found it.
type Progress struct {
	Phase Phase
	Bytes int64
	Files int64
	// Blocks is how many blocks of data the receiver has taken in this call, and Taken how many bytes they hold, both at
	// the sender only. Unlike the other fields, they depend on what was sent.
	Blocks uint64
	Taken  int64
}

// Note reports an entry that did not arrive exactly as it was. Path is the sender's, relative and with slashes. Without
// Saved, the entry was left out, and Err is the reason. With Saved and no Err, it was saved under that name. With both,
// it was saved, and Err states what was not kept: its modification time (ErrTimes), its executable bit (ErrExec), or data
// that was added to it while it was being sent (ErrGrew). ErrNotDurable means that the disk does not confirm that the
// entry is durable.
type Note struct {
	Path  string
	Saved string
	Err   error
	// Remote marks a note that the other device made.
	Remote bool
}

// LeftOut reports whether the entry did not arrive.
func (n Note) LeftOut() bool { return n.Saved == "" }

// Result is the result of a finished transfer.
type Result struct {
	Totals           // what is stored now, however it got there
	Saved   []string // top-level names in the receiver's folder; set at the receiver only
	Notes   []Note   // the first 1000
	Renamed int64    // entries that were saved under another name
	LeftOut int64    // entries that were offered and are not stored
	Unkept  int64    // entries that were saved without some attribute; see Note
	// Unchanged counts the files that the receiver already had, byte for byte, as ReceiveOptions.Existing allows.
	Unchanged int64
	noted     int   // bytes of the names in Notes
	first     *Note // the first left-out entry that this end found, or else the first one
	// Moved is how many bytes this end has put on the lanes in this call, including repetitions.
	Moved    int64
	Duration time.Duration
	// Sent means that Send has sent everything, even if it failed then: the receiver may have it.
	Sent bool
	// Repeated means that Send has sent nothing, because the receiver has repeated the receipt for an earlier Send; see
	// SendOptions.Sent.
	Repeated bool
}

func (r *Result) note(n Note) {
	switch {
	case n.LeftOut():
		r.LeftOut++
		if r.first == nil || r.first.Remote && !n.Remote {
			r.first = &n
		}
	case n.Err != nil:
		r.Unkept++
	default:
		r.Renamed++
	}
	size := len(n.Path) + len(n.Saved)
	if len(r.Notes) >= maxNotes || r.noted+size > maxNoted { // guard: notes-kept
		return
	}
	r.Notes = append(r.Notes, n)
	r.noted += size
}

func (t Totals) plus(u Totals) Totals {
	return Totals{
		Files: t.Files + u.Files, Folders: t.Folders + u.Folders,
		Links: t.Links + u.Links, Bytes: t.Bytes + u.Bytes,
	}
}

func (t Totals) minus(u Totals) Totals {
	return Totals{
		Files: t.Files - u.Files, Folders: t.Folders - u.Folders,
		Links: t.Links - u.Links, Bytes: t.Bytes - u.Bytes,
	}
}
