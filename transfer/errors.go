package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Errors that end a transfer, or say why an entry was left out. Each has a number on the wire; see reasons.
var (
	ErrCancelled  = errors.New("cancelled")
	ErrProtocol   = errors.New("the other side violated the transfer protocol")
	ErrBadName    = errors.New("unsafe or duplicate name")
	ErrDiskFull   = errors.New("the disk is full")
	ErrDenied     = errors.New("no permission")
	ErrDigest     = errors.New("the content arrived damaged")
	ErrChanged    = errors.New("the file changed while it was being sent")
	ErrUnreadable = errors.New("the file cannot be read")
	ErrSpecial    = errors.New("symbolic links, device files and pipes are not sent")
	ErrTooLong    = errors.New("the path is too long or too deep")
	ErrTooMany    = errors.New("too many entries")
	ErrTooMuch    = errors.New("more arrived than was offered")
	ErrStalled    = errors.New("the other side stopped sending or reading")
	ErrGone       = errors.New("the receiving folder is gone or was replaced")
	ErrFailed     = errors.New("the transfer failed")
	// ErrNoSpace is an ErrDiskFull before the first byte: the whole transfer would not fit.
	ErrNoSpace = fmt.Errorf("%w: not enough space for the whole transfer", ErrDiskFull)
	// ErrReadOnly is an ErrDenied from a disk that accepts no writes at all.
	ErrReadOnly = fmt.Errorf("%w: the disk is read-only", ErrDenied)
	// ErrFileTooLarge is a file that the disk's file system cannot hold, such as one of 4 GB on FAT32.
	ErrFileTooLarge = errors.New("the file is larger than the disk allows")
	// ErrNameRefused is a name that the disk does not accept, however it is rewritten.
	ErrNameRefused = errors.New("the disk does not accept the name")
	// ErrDisk is a device error: the state of the data on the device is uncertain.
	ErrDisk = errors.New("the disk reported an error")
	// ErrVanished is an entry that was offered but was moved or removed before it was sent.
	ErrVanished = errors.New("moved or removed before it was sent")
	// ErrNoLinks is a symbolic link on a disk that supports none.
	ErrNoLinks = errors.New("the disk does not support symbolic links")
	// ErrUnsized is a file whose size the system does not report, as in /proc and /sys: the sender cannot announce
	// how much is to come.
	ErrUnsized = errors.New("the system does not report the size of the file; copy it to a disk first")
	// ErrPrivate is a folder that is never sent: a profile of Multipeer, or the files of transfers that are not complete.
	ErrPrivate = errors.New("incomplete files and Multipeer's private key are never sent")
	// ErrResources is a limit of the process or the system that other work has used up: open files, or memory.
	ErrResources = errors.New("too many files are open on the device, or its memory is used up")
	// ErrTotal is a file that would make the whole transfer larger than 2^62 bytes.
	ErrTotal = errors.New("the sizes of the files add up to more than a transfer can hold")
	// ErrUnsynced is a failed sync: data since the previous sync may be lost. The next attempt sends it again.
	ErrUnsynced = errors.New("the written data could not be made durable")

	// ErrUnmounted means that Dir is not the folder in which the transfer began or that was chosen for it, and that its data
	// is not here: the disk of the folder is not mounted, or something else is in its place. The transfer waits until that
	// changes.
	ErrUnmounted = errors.New("the receiving folder is not the one that was chosen; connect its disk, or remove what has taken its place")

	// ErrTimes, ErrExec, ErrGrew and ErrNotDurable appear in notes of entries that were saved.
	ErrTimes      = errors.New("the modification time was not kept")
	ErrExec       = errors.New("not made executable")
	ErrGrew       = errors.New("grew while it was being sent; only the data that it had at the start was sent")
	ErrNotDurable = errors.New("the disk does not confirm that data is safe from a power cut")

	// ErrInterrupted is an end that does not concern the transfer itself: the next call resumes it.
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
	15: ErrNoSpace,
	16: ErrReadOnly,
	17: ErrFileTooLarge,
	18: ErrNameRefused,
	19: ErrDisk,
	20: ErrVanished,
	21: ErrNoLinks,
	22: ErrUnsized,
	23: ErrUnsynced,
	24: ErrTimes,
	25: ErrExec,
	26: ErrGrew,
	27: ErrNotDurable,
	28: ErrTotal,
	29: ErrUnmounted,
	30: ErrPrivate,
	31: ErrResources,
}

// Reason returns the wire number of err; errors without a number are 0, ErrFailed.
func Reason(err error) int { return int(reasonOf(err)) }

// ReasonError returns the error with the given number; an unknown number becomes ErrFailed with that number.
func ReasonError(n int) error {
	if n < 0 || n > 255 {
		n = 0
	}
	return reasonErr(byte(n))
}

func reasonOf(err error) byte {
	for i := len(reasons) - 1; i > 0; i-- { // later ones are more specific
		if errors.Is(err, reasons[i]) {
			return byte(i)
		}
	}
	for _, s := range systemReasons {
		if errors.Is(err, s.err) {
			return reasonNumber(s.reason)
		}
	}
	return 0
}

func reasonNumber(reason error) byte {
	for i, r := range reasons {
		if r == reason { //nolint:errorlint // the sentinel itself
			return byte(i)
		}
	}
	return 0
}

// systemReasons maps system errors to reasons that a user can understand.
var systemReasons = []struct{ err, reason error }{
	{syscall.ENOSPC, ErrDiskFull},
	{syscall.EDQUOT, ErrDiskFull},
	{syscall.EROFS, ErrReadOnly},
	{fs.ErrPermission, ErrDenied},
	{syscall.EFBIG, ErrFileTooLarge},
	{syscall.ENAMETOOLONG, ErrNameRefused},
	{syscall.EILSEQ, ErrNameRefused},
	{syscall.EIO, ErrDisk},
	{syscall.ENXIO, ErrDisk},
	{syscall.ENODEV, ErrDisk},
	{syscall.EMFILE, ErrResources},
	{syscall.ENFILE, ErrResources},
	{syscall.ENOMEM, ErrResources},
}

func reasonErr(b byte) error {
	if int(b) < len(reasons) {
		return reasons[b]
	}
	return fmt.Errorf("%w (reason %d)", ErrFailed, b)
}

// classify wraps a file system error with its reason.
func classify(err error) error {
	if err == nil {
		return nil
	}
	r := reasonErr(reasonOf(err))
	if r == ErrFailed || errors.Is(err, r) { //nolint:errorlint // the sentinel itself
		return err
	}
	return fmt.Errorf("%w: %w", r, err)
}

// Failure is why a transfer has ended, and where.
type Failure struct {
	// Path is the entry at which it ended, as the sender names it; empty if no particular entry is the reason.
	Path string
	// Remote reports that the other device found the error and reported it.
	Remote bool
	Err    error
}

func (f *Failure) Error() string {
	text := f.Err.Error()
	if f.Path != "" {
		text = fmt.Sprintf("%q: %s", f.Path, text)
	}
	if f.Remote {
		text = "on the other device: " + text
	}
	return text
}

func (f *Failure) Unwrap() error { return f.Err }

// unreadable makes err an ErrUnreadable, unless it already is one.
func unreadable(err error) error {
	if errors.Is(err, ErrUnreadable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreadable, err)
}

// at adds the entry to an error, unless the error already names one.
func at(path string, err error) error {
	var f *Failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return &Failure{Path: path, Err: classify(err)}
}

// Violation reports whether an end means that nothing received is kept and nothing more of the same offer is
// accepted: the sender cannot be trusted.
func Violation(err error) bool {
	for _, e := range []error{ErrProtocol, ErrBadName, ErrTooMany, ErrTooMuch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Passing reports whether another attempt may succeed.
func Passing(err error) bool {
	if errors.Is(err, ErrNoSpace) {
		return false
	}
	for _, e := range []error{ErrInterrupted, ErrStalled, ErrDigest, ErrUnsynced, ErrDiskFull, ErrUnmounted, ErrResources} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isShortage(err)
}

// WaitsForDisk reports whether a transfer with this error waits until a person has freed space, or has connected a disk.
func WaitsForDisk(err error) bool { return errors.Is(err, ErrDiskFull) || errors.Is(err, ErrUnmounted) }

// drops reports whether nothing is kept after a transfer has ended with err.
func drops(err error) bool { return errors.Is(err, ErrCancelled) || Violation(err) }

// isGone reports whether an entry no longer exists, or a file has replaced the folder that contained it.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// namingError reports whether the disk rejects the name rather than the file.
func namingError(err error) bool {
	return errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EILSEQ)
}
