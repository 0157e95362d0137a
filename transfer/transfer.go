// Package transfer turns files and folders into bytes and back. It knows no
// peer and no network: [Send] and [Receive] are the two ends, and the pipes
// between them, the lanes, come from whoever calls.
//
// Lanes may come and go. Blocks of records are numbered, whichever lane is
// free takes the next one, and what a dying lane had goes over another
// (bundle.go). The sender walks the tree while it sends: an entry for each
// folder, file or link, and behind a file's entry its chunks with their
// digests, taken while they are read. The receiver stages everything in a
// hidden folder on the same volume, verifies each chunk before it counts, and
// keeps a journal of it there (journal.go). A block counts as taken when it is
// in the journal. So whatever breaks, the next call with the same ID goes on
// where this one stopped: the receiver tells what it has, file by file.
//
// When all is there it is made durable and then published under its final
// name, never over something that is there unless that was asked for. The
// receipt means that every byte is verified and durable under its final name.
//
// Nothing that a sender says about names, sizes or counts is believed; see
// names.go for the one place where a received name becomes a path.
package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// Limits on what one transfer may hold.
const (
	MaxEntries = 1_000_000
	MaxPath    = 1024 // bytes of a relative path
	MaxDepth   = 32   // components of a relative path
	maxName    = 200  // bytes of one component after rewriting; leaves room for a number
	maxNotes   = 1000 // renamed or left-out entries that are kept by name; all are counted
)

// Errors that end a transfer, or say why a file was left out. Each has a number on the wire; see reasons.
var (
	ErrCancelled  = errors.New("cancelled")
	ErrProtocol   = errors.New("the other side broke the transfer protocol")
	ErrBadName    = errors.New("a name that would leave the folder or exists twice")
	ErrDiskFull   = errors.New("the disk is full")
	ErrDenied     = errors.New("no permission")
	ErrDigest     = errors.New("the content arrived damaged")
	ErrChanged    = errors.New("the file changed while it was sent")
	ErrUnreadable = errors.New("the file cannot be read")
	ErrSpecial    = errors.New("a link, device or pipe, which is not sent")
	ErrTooLong    = errors.New("the path is too long or too deep")
	ErrTooMany    = errors.New("too many entries")
	ErrTooMuch    = errors.New("more came than was offered")
	ErrStalled    = errors.New("the other side stopped sending or reading")
	ErrGone       = errors.New("the folder that receives is gone or was replaced")
	ErrFailed     = errors.New("the transfer failed")
	// ErrNoRoom is an ErrDiskFull before the first byte: the whole would not fit.
	ErrNoRoom = fmt.Errorf("%w: there is no room for all of it", ErrDiskFull)
	// ErrInterrupted is an end that says nothing about the transfer: it goes on with the next call.
	ErrInterrupted = errors.New("interrupted")
)

// reasons numbers the errors for the wire, in both directions. Numbers are never reused.
var reasons = [...]error{
	0:  ErrFailed,
	1:  ErrCancelled,
	2:  ErrProtocol,
	3:  ErrBadName,
	4:  ErrDiskFull,
	5:  ErrDenied,
	6:  ErrDigest,
	7:  ErrChanged,
	8:  ErrUnreadable,
	9:  ErrSpecial,
	10: ErrTooLong,
	11: ErrTooMany,
	12: ErrTooMuch,
	13: ErrStalled,
	14: ErrGone,
	15: ErrNoRoom,
}

func reasonOf(err error) byte {
	for i := len(reasons) - 1; i > 0; i-- { // the later ones are the more exact
		if errors.Is(err, reasons[i]) {
			return byte(i)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return 4
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return 5
	}
	return 0
}

func reasonErr(b byte) error {
	if int(b) < len(reasons) {
		return reasons[b]
	}
	return fmt.Errorf("%w (reason %d)", ErrFailed, b)
}

// classify wraps an error of the file system with the reason it stands for.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if r := reasonErr(reasonOf(err)); r != ErrFailed && !errors.Is(err, r) {
		return fmt.Errorf("%w: %w", r, err)
	}
	return err
}

// Totals counts what a transfer holds.
type Totals struct {
	Files   int64
	Folders int64
	Links   int64
	Bytes   int64
}

// Phase tells how far a transfer is.
type Phase int

// The phases. Finishing is the time between the last byte and the receipt; Full is a receiver that waits for room on
// its disk.
const (
	Moving Phase = iota
	Finishing
	Full
)

// Progress is a state under way. Bytes and Files count what the receiver has verified, on both ends; what was there
// from an earlier attempt counts as soon as the receiver has found it.
type Progress struct {
	Phase Phase
	Bytes int64
	Files int64
}

// Note tells what became of an entry that did not simply arrive under its own name.
type Note struct {
	Path  string // as the sender has it, relative, with slashes
	Saved string // where it was saved instead; empty if it was left out
	Err   error  // why it was left out; nil for one that was renamed
}

// Result is a finished transfer.
type Result struct {
	Totals           // what is there now, however it came
	Saved   []string // top-level names in the receiver's folder; the receiver's end only
	Notes   []Note   // renamed and left-out entries, the first 1000
	Renamed int64
	LeftOut int64
	// Unchanged counts the files that the receiver had already, byte for byte, by ReceiveOptions.Existing.
	Unchanged int64
	// Moved is how many bytes this end has put on the lanes in this call, repetitions included.
	Moved    int64
	Duration time.Duration
}

func (r *Result) note(n Note) {
	if n.Err != nil {
		r.LeftOut++
	} else {
		r.Renamed++
	}
	if len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, n)
	}
}
