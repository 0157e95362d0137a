package transfer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Part is a file that arrives as one plain stream, such as the body of an HTTP request.
type Part struct {
	Path    string    // the sender's, relative and with slashes
	Size    int64     // Unknown if the sender does not report it: the file ends with the stream
	ModTime time.Time // the zero time means now
	SHA256  []byte    // of the whole file; nil if the sender gave none
	// From is the offset at which the stream begins: 0, or what Arrived returns for a part whose stream broke.
	From int64
}

// Unknown is the size of a Part whose sender does not announce it.
const Unknown = -1

// IntakeOptions configure an Intake.
type IntakeOptions struct {
	Dir string // the folder to publish in; it must exist
	// Place is where Dir was when it was chosen; see ReceiveOptions.Place.
	Place Place
	// Reserve is how many bytes stay free on the disk; see ReceiveOptions.Reserve.
	Reserve int64
	// Most returns how many files, folders and bytes may arrive in total, such as what a person has accepted. Nil means
	// no limit.
	Most func() Totals
	// Known reports whether the transfer with this ID will be resumed; see ReceiveOptions.Known.
	Known func(id string) bool
	// OnProgress is called with the progress, from the goroutines that call Receive. It may be nil.
	OnProgress func(Progress)

	check func(op, name string) error // tests use it to make the file system fail
}

// Intake receives files from a sender that does not speak this package's protocol, such as a browser, with the same
// precautions as Receive: names are made safe, files are staged on the same volume, nothing is overwritten, and the
// disk keeps its reserve. Each file gets its final name when it is complete; Finish makes all of them durable. A folder
// of the sender becomes a new folder. Methods may be called concurrently, so that several streams arrive at once. The
// caller closes it.
type Intake struct {
	opts   IntakeOptions
	mu     sync.Mutex // guards what follows; it is not held while a stream is read
	stage  *stage
	plan   *plan
	closed bool
	// finished means that nothing more is admitted or published, because the result has been returned.
	finished bool
	parts    map[string]*intakePart // by the sender's path
	paths    int                    // total bytes of these paths
	seen     Totals                 // admitted
	made     map[string]madeFolder  // by planned top-level folder
	dirs     map[string]bool        // folders of the inbox that have new names in them
	fresh    []string               // published files that are not durable yet
	lost     error                  // why these files may never be durable
	tops     map[string]bool
	noted    map[string]bool // the sender's paths whose new names have been noted
	result   Result
	moved    int64
	unpaid   int64 // bytes since free space was last checked
}

// intakeSpaceEvery is the amount of data after which free space is checked again. Several intakes may run at once.
const intakeSpaceEvery = 4 << 20

// madeFolder is a top-level folder that an Intake has created.
type madeFolder struct {
	name string
	info fs.FileInfo
}

// intakePart is a file that was admitted.
type intakePart struct {
	size  int64
	saved string // our path, in the staging folder and, before numbering, in the inbox
	pos   int64  // bytes that are staged
	sum   hash.Hash
	busy  bool  // a stream for it is being read
	begun bool  // the staged file was created
	whole bool  // it has its final name
	err   error // why the last stream failed
}

// OpenIntake opens an Intake.
func OpenIntake(opts IntakeOptions) (*Intake, error) {
	s, err := openStage(ReceiveOptions{Dir: opts.Dir, Place: opts.Place, Reserve: opts.Reserve, Known: opts.Known, check: opts.check})
	if err != nil {
		return nil, classify(err)
	}
	if err := s.flushJournal(); err != nil { // the journal identifies the data after a crash, so that it is removed
		s.remove()
		s.close()
		return nil, classify(err)
	}
	return &Intake{
		opts: opts, stage: s, plan: newPlan(), parts: map[string]*intakePart{}, made: map[string]madeFolder{}, dirs: map[string]bool{}, tops: map[string]bool{}, noted: map[string]bool{},
	}, nil
}

// ErrPartBusy reports a part that another stream is sending, or that is already complete.
var ErrPartBusy = errors.New("this file is already being received, or is complete")

// Receive reads one file from r, publishes it, and returns its final path, relative to the folder and with slashes. If
// the stream breaks, what has arrived stays until Close, and Receive may be called again for the same path. Errors are
// those of this package; ErrTooMuch means that the file is not among the expected files, or is longer than announced.
func (in *Intake) Receive(ctx context.Context, p Part, r io.Reader) (string, error) {
	part, f, err := in.begin(p)
	if err != nil {
		return "", classify(err)
	}
	err = in.copy(ctx, part, f, r)
	final := ""
	if err == nil {
		final, err = in.publish(p, part, f)
	} else {
		err = errors.Join(err, f.Close())
	}
	err = classify(err)
	in.mu.Lock()
	part.busy, part.whole, part.err = false, err == nil, err
	in.mu.Unlock()
	in.reportProgress()
	return final, err
}

// Arrived returns how many bytes of a part have arrived; 0 if nothing is known about it.
func (in *Intake) Arrived(path string) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	if part := in.parts[path]; part != nil {
		return part.pos
	}
	return 0
}

// Complete reports whether a file has been received completely and has its final name.
func (in *Intake) Complete(path string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	part := in.parts[path]
	return part != nil && part.whole
}

// begin admits a part and opens its staged file.
func (in *Intake) begin(p Part) (*intakePart, *os.File, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.finished {
		return nil, nil, ErrCancelled
	}
	part := in.parts[p.Path]
	switch {
	case part != nil && (part.busy || part.whole): // guard: part-twice
		return nil, nil, ErrPartBusy
	case part != nil && part.size != p.Size:
		return nil, nil, fmt.Errorf("%w: %q has a different size than before", ErrChanged, p.Path)
	case part == nil:
		var err error
		if part, err = in.admitLocked(p); err != nil {
			return nil, nil, err
		}
	}
	if p.From != 0 && p.From != part.pos {
		return nil, nil, fmt.Errorf("%w: %d bytes of %q have arrived, not %d", ErrProtocol, part.pos, p.Path, p.From)
	}
	f, err := in.openLocked(p, part)
	if err != nil {
		return nil, nil, err
	}
	part.busy = true
	return part, f, nil
}

// admitLocked checks a new part against what may arrive, and plans its path.
func (in *Intake) admitLocked(p Part) (*intakePart, error) {
	names, err := splitPath(p.Path)
	if err != nil {
		return nil, err
	}
	if p.Size < Unknown {
		return nil, fmt.Errorf("%w: a size of %d", ErrProtocol, p.Size)
	}
	size := max(p.Size, 0)
	if in.paths+len(p.Path) > maxPathBytes {
		return nil, ErrTooMany
	}
	folders := int64(0)
	for i := 1; i < len(names); i++ {
		if _, known := in.plan.folders[path.Join(names[:i]...)]; !known {
			folders++
		}
	}
	if in.opts.Most != nil {
		most := in.opts.Most()
		if in.seen.Files >= most.Files || size > most.Bytes-in.seen.Bytes { // guard: intake-most
			return nil, ErrTooMuch
		}
		if in.seen.Folders+folders > most.Folders { // guard: intake-folders
			return nil, ErrTooMuch
		}
	}
	if tooLarge(in.stage.volume, size) {
		return nil, ErrFileTooLarge
	}
	if err := in.stage.checkSpace(min(size, 1<<61)+(1+folders)*entryCost, in.opts.Reserve); err != nil {
		return nil, err
	}
	for i := 1; i < len(names); i++ {
		if err := in.makeFolderLocked(path.Join(names[:i]...)); err != nil {
			return nil, err
		}
	}
	saved, err := in.plan.add(p.Path, false, "")
	if err != nil {
		return nil, err
	}
	part := &intakePart{size: p.Size, saved: saved}
	in.parts[p.Path] = part
	in.paths += len(p.Path)
	in.seen.Files++
	in.seen.Folders += folders
	in.seen.Bytes += size
	return part, nil
}

// makeFolderLocked plans and stages a folder of the sender, unless that was done. The name may be one that the disk
// rejects.
func (in *Intake) makeFolderLocked(raw string) error {
	if _, known := in.plan.folders[raw]; known {
		return nil
	}
	saved, err := in.plan.add(raw, true, "")
	if err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		err := in.stage.mkdir(saved, entry{path: raw, kind: kindFolder}, false)
		if !renames(err) {
			return err
		}
		other, found := in.plan.other(raw, saved, true, tries, err)
		if !found {
			return errors.Join(ErrNameRefused, err)
		}
		saved = other
	}
}

// openLocked opens the staged file of a part: a new one, or the one that a broken stream has left.
func (in *Intake) openLocked(p Part, part *intakePart) (*os.File, error) {
	if p.From > 0 {
		return in.stage.reopen(part.saved)
	}
	in.restartLocked(part)
	part.sum = nil
	if p.SHA256 != nil {
		part.sum = sha256.New()
	}
	for tries := 0; ; tries++ {
		f, err := in.stage.create(part.saved, part.begun)
		if !renames(err) {
			part.begun = part.begun || err == nil
			return f, err
		}
		saved, found := in.plan.other(p.Path, part.saved, false, tries, err)
		if !found {
			return nil, errors.Join(ErrNameRefused, err)
		}
		part.saved = saved
	}
}

// restartLocked forgets what has arrived of a part.
func (in *Intake) restartLocked(part *intakePart) {
	in.moved -= part.pos
	if part.size == Unknown {
		in.seen.Bytes -= part.pos
	}
	part.pos = 0
}

// copy writes the stream to the staged file. Only this goroutine uses part.sum.
func (in *Intake) copy(ctx context.Context, part *intakePart, f *os.File, r io.Reader) (err error) {
	b := newBlock()
	defer b.release()
	pos := part.pos // no one else changes it while busy is set
	early := earlySync{stage: in.stage, f: f, from: pos}
	defer func() {
		if syncErr := early.end(); err == nil {
			err = syncErr
		}
		if early.failed { // a later sync may succeed although the data is lost
			in.mu.Lock()
			in.restartLocked(part)
			in.mu.Unlock()
		}
	}()
	for {
		if ctx.Err() != nil {
			return causeOf(ctx)
		}
		n, readErr := readSome(ctx, r, b.buf[:ChunkSize])
		if part.size != Unknown && int64(n) > part.size-pos { // guard: part-size
			return fmt.Errorf("%w: more than the %d bytes that were announced", ErrTooMuch, part.size)
		}
		if n > 0 {
			if err := in.stage.write(f, b.buf[:n], pos); err != nil {
				return err
			}
			if part.sum != nil {
				part.sum.Write(b.buf[:n])
			}
			pos += int64(n)
			if err := in.charge(part, int64(n)); err != nil {
				return err
			}
			if err := early.written(pos); err != nil {
				return err
			}
			in.reportProgress()
		}
		switch {
		case readErr == nil:
		case errors.Is(readErr, io.EOF) && (pos == part.size || part.size == Unknown):
			return nil
		case errors.Is(readErr, io.EOF):
			return fmt.Errorf("%w: only %d of %d bytes arrived", ErrInterrupted, pos, part.size)
		case ctx.Err() != nil:
			return causeOf(ctx)
		default:
			return fmt.Errorf("%w: %w", ErrInterrupted, readErr)
		}
	}
}

// fillFor is how long a write may wait for more bytes. Streams come in records of 16 KiB, and a write for each is slow.
const fillFor = 100 * time.Millisecond

// readSome reads until buf is full, the stream ends, ctx does, or fillFor has passed since the first bytes.
func readSome(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	n, err = r.Read(buf)
	for began := time.Now(); err == nil && ctx.Err() == nil && n > 0 && n < len(buf) && time.Since(began) < fillFor; {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}

// charge counts bytes that were staged, and checks free space from time to time.
func (in *Intake) charge(part *intakePart, n int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	part.pos += n
	in.moved += n
	in.unpaid += n
	if in.closed {
		return ErrCancelled
	}
	if part.size == Unknown {
		in.seen.Bytes += n
		if in.opts.Most != nil && in.seen.Bytes > in.opts.Most().Bytes { // guard: intake-unknown
			return ErrTooMuch
		}
	}
	if in.unpaid >= intakeSpaceEvery { // guard: intake-space
		in.unpaid = 0
		return in.stage.checkSpace(0, in.opts.Reserve)
	}
	return nil
}

// publish checks a staged file, closes it, and gives it its final name.
func (in *Intake) publish(p Part, part *intakePart, f *os.File) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p.SHA256 != nil && (part.sum == nil || subtle.ConstantTimeCompare(part.sum.Sum(nil), p.SHA256) == 0) { // guard: part-digest
		in.restartLocked(part)
		return "", errors.Join(ErrDigest, f.Close(), in.stage.discard(part.saved))
	}
	if in.closed || in.finished { // guard: intake-finished
		return "", errors.Join(ErrCancelled, f.Close())
	}
	modTime := p.ModTime
	if modTime.IsZero() {
		modTime = time.Now()
	}
	if err := in.stage.setLength(f, part.pos); err != nil {
		return "", errors.Join(err, f.Close())
	}
	lost, err := in.stage.seal(f, part.saved, entry{path: p.Path, size: part.pos, modTime: modTime}, false)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	wanted, err := in.placeLocked(part.saved)
	if err != nil {
		return "", err
	}
	final, err := in.stage.publish(part.saved, wanted, false, "", in.plan.limit, func(string) error { return nil })
	if err != nil {
		return "", err
	}
	_ = in.stage.discard(part.saved) // the file has its name; Close removes what is left
	in.publishedLocked(p, part, final, lost)
	return final, nil
}

// publishedLocked counts a file that has its final name.
func (in *Intake) publishedLocked(p Part, part *intakePart, final string, lost []error) {
	in.dirs[path.Dir(final)] = true
	in.fresh = append(in.fresh, final)
	in.result.Files++
	in.result.Bytes += part.pos
	in.noteNamesLocked(p.Path, final)
	for _, why := range lost {
		in.result.note(Note{Path: p.Path, Saved: final, Err: why})
	}
	top, _, _ := strings.Cut(final, "/")
	if !in.tops[top] {
		in.tops[top] = true
		in.result.Saved = append(in.result.Saved, top)
	}
}

// noteNamesLocked notes each folder on a path, and the file itself, whose name differs from the sender's, once each.
func (in *Intake) noteNamesLocked(raw, final string) {
	theirs, ours := strings.Split(raw, "/"), strings.Split(final, "/")
	for i := range theirs {
		from, to := path.Join(theirs[:i+1]...), path.Join(ours[:i+1]...)
		if theirs[i] != ours[i] && !in.noted[from] {
			in.noted[from] = true
			in.result.note(Note{Path: from, Saved: to})
		}
	}
}

// placeLocked creates the folders of a planned path in the inbox, and returns the path in the inbox. The top-level
// folder is a new one.
func (in *Intake) placeLocked(saved string) (string, error) {
	if err := in.stage.inPlace(); err != nil {
		return "", err
	}
	top, rest, below := strings.Cut(saved, "/")
	if !below {
		return saved, nil
	}
	dir, err := in.topFolderLocked(top)
	if err != nil {
		return "", err
	}
	in.dirs["."] = true
	for name := range strings.SplitSeq(path.Dir(rest), "/") {
		if name == "." {
			break
		}
		in.dirs[dir] = true
		dir = path.Join(dir, name)
		if in.dirs[dir] {
			continue
		}
		if err := in.stage.mkdirFinal(dir); err != nil {
			return "", err
		}
		in.result.Folders++
	}
	return path.Join(dir, path.Base(rest)), nil
}

// topFolderLocked creates the folder for a planned top-level folder, or returns the one created earlier.
func (in *Intake) topFolderLocked(top string) (string, error) {
	if made, known := in.made[top]; known && in.isInPlace(made) {
		return made.name, nil
	}
	for n := 1; n <= maxNumber; n++ {
		made := numbered(top, n, in.plan.limit)
		err := in.stage.try("mkdir", made, func() error { return in.stage.inbox.Mkdir(made, 0o755) })
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		info, err := in.stage.inbox.Lstat(made)
		if err != nil {
			return "", err
		}
		in.made[top] = madeFolder{made, info}
		in.result.Folders++
		return made, nil
	}
	return "", fmt.Errorf("%w: no free name is left for %q", ErrBadName, top)
}

// isInPlace reports whether a folder is still the one that was created. Another user of the inbox may have moved it
// away and put another one, or a link, in its place.
func (in *Intake) isInPlace(made madeFolder) bool {
	now, err := in.stage.inbox.Lstat(made.name)
	if err != nil {
		return false
	}
	if !os.SameFile(now, made.info) { // guard: intake-folder
		return false
	}
	return true
}

// reportProgress reports the progress so far.
func (in *Intake) reportProgress() {
	if in.opts.OnProgress == nil {
		return
	}
	in.mu.Lock()
	now := Progress{Phase: Moving, Bytes: in.moved, Files: in.result.Files}
	in.mu.Unlock()
	in.opts.OnProgress(now)
}

// LeaveOut notes that a part will not come, and why.
func (in *Intake) LeaveOut(path string, why error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed && in.parts[path] == nil {
		in.result.note(Note{Path: path, Err: why})
	}
}

// Finish makes everything that has arrived durable, and returns the result. Parts that were started but are not
// complete are noted as left out. No part is accepted after that. Finish may be called again.
func (in *Intake) Finish() (Result, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return in.result, ErrCancelled
	}
	in.finished = true
	if in.lost == nil { // a second fsync may succeed although the data is lost
		in.lost = errors.Join(in.stage.syncExisting(in.fresh, true), in.stage.syncInbox(in.dirs))
	}
	if in.lost != nil {
		return in.result, classify(in.lost)
	}
	in.fresh = nil
	result := in.result
	result.Notes = append([]Note(nil), in.result.Notes...)
	for name, part := range in.parts {
		if part.whole {
			continue
		}
		why := part.err
		if why == nil {
			why = ErrInterrupted
		}
		result.note(Note{Path: name, Err: why})
	}
	if in.stage.unconfirmed.Load() && len(result.Saved) > 0 {
		result.note(Note{Path: result.Saved[0], Saved: result.Saved[0], Err: ErrNotDurable})
	}
	return result, nil
}

// Close removes incomplete files; files with their final name stay. Streams that are still being read fail. It is
// idempotent.
func (in *Intake) Close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.closed = true
	in.stage.remove()
	in.stage.close()
}
