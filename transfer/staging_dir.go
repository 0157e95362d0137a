package transfer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"
)

const (
	// PartialDir is the hidden folder, inside the receiving folder, in which everything stays until it is complete.
	PartialDir = ".multipeer-partial"
	// orphanAge is the age at which the staging folder of a transfer is removed: another program may receive into the same
	// folder, and engines wait 30 days for a sender. No one continues what an Intake has left after a crash.
	orphanAge       = 31 * 24 * time.Hour
	orphanIntakeAge = 7 * 24 * time.Hour
	dataDir         = "data"
	// othersWrite are the bits of a mode that let others change what is in a folder.
	othersWrite = 0o022
)

// stage is the receiving folder and the hidden folder of this transfer in it: the journal and, below data, what has
// arrived, under its later names. It is the only owner of an os.Root that writes, and all its paths come from a plan.
// Only one goroutine may use it, except for the methods that sync.
type stage struct {
	dir     string
	inbox   *os.Root
	volume  *os.File         // the inbox, for syncing and checking free space
	hidden  *os.Root         // the common hidden folder
	id      string           // of this transfer, and of its folder in hidden
	name    string           // of that folder relative to the inbox, for operations that take a path
	root    *os.Root         // the data folder
	data    *os.File         // the same, for operations that a Root lacks
	folders map[string]entry // by our path
	journal journal
	past    *history               // nil if nothing is here yet
	pinned  map[string]fs.FileInfo // existing top-level folders that files are merged into

	exact  map[string]map[string]struct{} // see hasExactName: by folder of the inbox, the names in it
	exactN int                            // number of those names

	near      nearFolder // in the data folder
	inboxNear nearFolder // in the inbox

	unconfirmed atomic.Bool // the disk does not support syncs

	tracking bool   // see tracks
	device   uint64 // of the inbox

	// check is called before each file system operation; tests use it to make operations fail or to simulate a crash.
	check func(op, name string) error
}

var plainID = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

func openStage(opts ReceiveOptions) (*stage, error) {
	s := &stage{dir: opts.Dir, folders: map[string]entry{}, check: opts.check}
	if s.check == nil {
		s.check = func(string, string) error { return nil }
	}
	id := opts.ID
	if id == "" {
		id = strings.ToLower(rand.Text())
	}
	if !plainID.MatchString(id) {
		return nil, fmt.Errorf("%w: transfer ID %q", ErrBadName, id)
	}
	s.id, s.name = id, path.Join(PartialDir, id)
	var err error
	if s.inbox, err = os.OpenRoot(opts.Dir); err != nil {
		err = fmt.Errorf("opening %s: %w", opts.Dir, err)
		if (opts.Began != "" || opts.Place != "") && isGone(err) {
			err = fmt.Errorf("%w: %w", ErrUnmounted, err)
		}
		return nil, err
	}
	if err := s.open(opts); err != nil {
		s.close()
		return nil, err
	}
	if mark := s.mark(); mark != opts.Began && opts.OnBegin != nil {
		opts.OnBegin(mark)
	}
	return s, nil
}

// mark identifies the inbox.
func (s *stage) mark() string {
	info, err := s.inbox.Stat(".")
	if err != nil {
		return ""
	}
	return folderMark(info)
}

func (s *stage) open(opts ReceiveOptions) error {
	var err error
	if s.volume, err = s.inbox.Open("."); err != nil {
		return err
	}
	if err := s.makeHidden(); err != nil {
		return fmt.Errorf("preparing %s: %w", s.dir, err)
	}
	if orphanScans.due(s.dir) { // guard: orphan-scans
		s.removeOrphans(opts.Known)
	}
	if err := s.check("open", journalName); err != nil {
		return err
	}
	s.journal.f, err = s.hidden.OpenFile(path.Join(s.id, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	boot := opts.boot
	if boot == "" {
		if boot = bootID(); boot != "" { // a volume that was unplugged in the meantime may have lost unsynced data
			boot += " " + mountID(s.volume)
		}
	}
	if s.past, err = readJournal(s.journal.f, opts.Key, boot); err != nil && !errors.Is(err, ErrProtocol) {
		return fmt.Errorf("reading the journal: %w", err)
	}
	if err != nil || s.past == nil {
		return s.start(opts, boot)
	}
	s.journal.size = s.past.size
	if err := s.journal.f.Truncate(s.past.size); err != nil {
		return err
	}
	if s.past.boot != boot {
		s.journal.put(jourBoot, []byte(boot))
	}
	if s.past.done {
		return nil
	}
	if err := s.openData(); err != nil {
		return err
	}
	if s.past.ended == nil {
		return s.compactJournal(opts.Key, boot)
	}
	return nil
}

// openData opens the data folder. From then on it is used through its handle, wherever its path leads.
func (s *stage) openData() error {
	var err error
	if s.root, err = s.hidden.OpenRoot(path.Join(s.id, dataDir)); err != nil {
		return err
	}
	s.data, err = s.root.Open(".")
	return err
}

// start begins a transfer that has no staged data, if there is room for it.
func (s *stage) start(opts ReceiveOptions, boot string) error {
	s.past = nil
	if mark := s.mark(); opts.Began != "" && mark != "" && mark != opts.Began { // guard: disk-unmounted
		s.remove()
		return fmt.Errorf("%w: %s", ErrUnmounted, s.dir)
	}
	if err := opts.Place.check(opts.Dir, s.inbox); err != nil {
		s.remove()
		return err
	}
	if opts.Resume {
		return fmt.Errorf("%w: the data that had arrived is gone", ErrGone)
	}
	data := path.Join(s.id, dataDir)
	if err := s.hidden.RemoveAll(data); err != nil {
		return err
	}
	if err := s.journal.f.Truncate(0); err != nil {
		return err
	}
	if err := s.checkSpace(min(opts.Expect, 1<<61)+entryCost*min(opts.Entries, 1<<48), opts.Reserve); err != nil {
		s.remove()
		return err
	}
	if err := s.check("mkdir", data); err != nil {
		return err
	}
	if err := s.hidden.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := s.openData(); err != nil {
		return err
	}
	s.journal.put(jourStart, []byte(opts.Key))
	s.journal.put(jourBoot, []byte(boot))
	return nil
}

// makeHidden creates and opens the common hidden folder, and creates this transfer's folder in it.
func (s *stage) makeHidden() error {
	var err error
	for range 3 { // another transfer that ends may remove the common folder in between
		if err = s.check("mkdir", PartialDir); err != nil {
			return err
		}
		if err = s.inbox.Mkdir(PartialDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		s.hidden, err = openHidden(s.inbox)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = s.hidden.Mkdir(s.id, 0o700)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return nil
		}
		_ = s.hidden.Close()
		s.hidden = nil
	}
	return err
}

// openHidden opens the common hidden folder of an inbox. It is always used by this handle, because anyone who may
// write to the inbox can put another folder, or a link, in its place. It must belong to this user, and no one else
// may write to it.
func openHidden(inbox *os.Root) (*os.Root, error) {
	hidden, err := inbox.OpenRoot(PartialDir)
	if err != nil {
		info, lstatErr := inbox.Lstat(PartialDir)
		if lstatErr == nil && !info.IsDir() {
			return nil, fmt.Errorf("%w: %s is in the way; remove it", ErrDenied, PartialDir)
		}
		return nil, err
	}
	opened, err1 := hidden.Stat(".")
	there, err2 := inbox.Lstat(PartialDir)
	switch {
	case err1 != nil || err2 != nil:
		err = errors.Join(err1, err2)
	case !os.SameFile(opened, there): // guard: partial-no-link
		err = fmt.Errorf("%w: %s is a link, or was replaced; remove it", ErrDenied, PartialDir)
	case !ours(opened) && keepsModes(hidden, opened): // guard: partial-ours
		err = fmt.Errorf("%w: %s belongs to another user, or others may write to it; remove it, or receive into another folder", ErrDenied, PartialDir)
	}
	if err != nil {
		_ = hidden.Close()
		return nil, err
	}
	return hidden, nil
}

// keepsModes reports whether the disk can be trusted when it reports that a folder belongs to another user, or that
// others may write to it: FAT and many shares give everything the same owner and mode. keepsModes creates a new file
// there and examines it by its handle: anyone who may write to the folder can replace the file under its name, but
// cannot change its owner.
func keepsModes(root *os.Root, folder fs.FileInfo) bool {
	probe := strings.ToLower(rand.Text())
	f, err := root.OpenFile(probe, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return true
	}
	defer func() {
		_ = f.Close()
		_ = root.Remove(probe)
	}()
	info, err := f.Stat()
	if err != nil || !sameOwner(info, folder) { // guard: probe-owner
		return true
	}
	if folder.Mode().Perm()&othersWrite == 0 { // a share that shows our files under another owner
		return false
	}
	for _, mode := range []fs.FileMode{0o600, 0o640} { // one of these may be the mode that all files have
		_ = f.Chmod(mode)
		if info, err = f.Stat(); err == nil && info.Mode().Perm() != mode {
			return false
		}
	}
	return true
}

// checkSpace reports whether n more bytes fit.
func (s *stage) checkSpace(n, reserve int64) error {
	if s.check("statfs", s.dir) != nil { // simulates a disk that does not report its free space
		return nil
	}
	return checkSpace(s.volume, n, reserve)
}

// removeOrphans deletes the staging folders that no attempt has used for a long time, and nothing else.
func (s *stage) removeOrphans(known func(id string) bool) {
	d, err := s.hidden.Open(".")
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if name == s.id || !plainID.MatchString(name) || known != nil && known(name) {
			continue
		}
		if !s.isOrphan(name) {
			continue
		}
		for _, own := range []string{dataDir, newJournal, journalName} {
			_ = s.hidden.RemoveAll(path.Join(name, own))
		}
		_ = s.hidden.Remove(name)
	}
}

// isOrphan reports whether a folder is a staging folder that no attempt has used for a long time: no one else may write
// to it, it holds what a staging folder holds and nothing else, and its journal begins as ours do.
func (s *stage) isOrphan(name string) bool {
	info, err := s.hidden.Lstat(name)
	if err != nil || !info.IsDir() || time.Since(info.ModTime()) < orphanIntakeAge || !ours(info) && keepsModes(s.hidden, info) {
		return false
	}
	root, err := s.hidden.OpenRoot(name)
	if err != nil {
		return false
	}
	defer root.Close()
	d, err := root.Open(".")
	if err != nil {
		return false
	}
	names, _ := d.Readdirnames(4)
	_ = d.Close()
	for _, n := range names {
		if n != journalName && n != newJournal && n != dataDir {
			return false
		}
	}
	journal, err := root.Lstat(journalName)
	if err != nil || !journal.Mode().IsRegular() {
		return false
	}
	f, err := root.OpenFile(journalName, readFlags, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	begins := make([]byte, 2) // the start record, and the length of its key
	if _, err := f.ReadAt(begins, 0); err != nil || begins[0] != jourStart {
		return false
	}
	age := orphanAge
	if begins[1] == 0 { // an Intake's
		age = orphanIntakeAge
	}
	return time.Since(journal.ModTime()) > age
}

// close closes the stage; what has arrived stays.
func (s *stage) close() {
	s.near.close()
	s.inboxNear.close()
	for _, r := range []*os.Root{s.root, s.hidden} {
		if r != nil {
			_ = r.Close()
		}
	}
	for _, f := range []*os.File{s.journal.f, s.volume, s.data} {
		if f != nil {
			_ = f.Close()
		}
	}
	_ = s.inbox.Close()
}

// remove deletes the staging folder. close must follow.
func (s *stage) remove() {
	if s.hidden == nil {
		return
	}
	_ = s.hidden.RemoveAll(s.id)
	_ = s.inbox.Remove(PartialDir) // fails while another transfer has something there
}

// Discard removes the staged data of a transfer that will not be resumed. It is not an error if there is none.
func Discard(dir, id string) error {
	if !plainID.MatchString(id) {
		return fmt.Errorf("%w: transfer ID %q", ErrBadName, id)
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	hidden, err := openHidden(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer hidden.Close()
	s := &stage{inbox: root, hidden: hidden, id: id}
	s.remove()
	return nil
}

// inPlace reports whether the receiving folder is still where it was.
func (s *stage) inPlace() error {
	here, err1 := s.inbox.Stat(".")
	there, err2 := os.Stat(s.dir)
	if err1 != nil || err2 != nil || !os.SameFile(here, there) {
		return fmt.Errorf("%w: %s", ErrGone, s.dir)
	}
	return nil
}

// existing returns the entry of that name in the inbox.
func (s *stage) existing(name string) (fs.FileInfo, error) { return s.inbox.Lstat(name) }

// maxExact is how many names of existing entries are remembered.
const maxExact = 1 << 20

// hasExactName reports whether an entry of the inbox really has the name under which the disk finds it. A disk that
// ignores case finds photo.jpg as Photo.jpg, and FAT and NTFS find longfilename.txt as LONGFI~1.TXT, and the hidden folder
// as MULTIP~1: a person who allows merging or replacing does not mean these. é as one code point and as two is the same
// name. Each folder is listed once; what was created since then has no exact name.
func (s *stage) hasExactName(name string) bool {
	dir, base := path.Dir(name), path.Base(name)
	names, listed := s.exact[dir]
	if !listed {
		folder, err := s.inbox.Open(dir)
		if err != nil {
			return false
		}
		defer folder.Close()
		if s.exact == nil || s.exactN > maxExact {
			s.exact, s.exactN = map[string]map[string]struct{}{}, 0
		}
		names = map[string]struct{}{}
		for err == nil {
			var some []string
			some, err = folder.Readdirnames(4096)
			for _, n := range some {
				names[norm.NFC.String(n)] = struct{}{}
			}
		}
		s.exact[dir] = names
		s.exactN += len(names)
	}
	_, found := names[norm.NFC.String(base)]
	return found
}

// takesMerge reports whether received files can be moved into a folder of the inbox: it is no repository, it belongs to this
// user, and it is not on another disk, such as one that is mounted there, to which staged files cannot be renamed.
func (s *stage) takesMerge(name string) bool {
	if s.holdsRepository(name) || s.check("merge", name) != nil {
		return false
	}
	inbox, inboxErr := s.inbox.Stat(".")
	folder, err := s.inbox.Lstat(name)
	if inboxErr != nil || err != nil {
		return true // whatever moves files there reports the error
	}
	here, _ := deviceOf(inbox)
	there, _ := deviceOf(folder)
	if here != there || s.isMounted(name) {
		return false
	}
	if !trusted(inbox, folder) && keepsModes(s.hidden, folder) { // guard: merge-ours
		return false // its owner could change what arrives
	}
	return true
}

// isMounted reports whether a folder of the inbox is a mount of its own, such as a bind mount: the system refuses to rename
// files to it, although it may be on the same disk.
func (s *stage) isMounted(name string) bool {
	folder, err := s.inbox.Open(name)
	if err != nil {
		return false
	}
	defer folder.Close()
	return mountID(folder) != mountID(s.volume)
}

// holdsRepository reports whether a folder of the inbox has a HEAD: then it is a Git repository without the name .git,
// or becomes one with the folders objects and refs. Nothing may be merged into it, since other names in it also
// configure commands that "git status" runs (gitrepository-layout(5)).
func (s *stage) holdsRepository(name string) bool {
	_, err := s.inbox.Lstat(path.Join(name, "HEAD"))
	return err == nil
}

// existingNear is existing for callers that look up many entries in turn. near may hold a folder that was replaced in
// the meantime.
func (s *stage) existingNear(near *nearFolder, name string) (fs.FileInfo, error) {
	dir, base, err := near.parent(s.inbox, name)
	if err != nil {
		return nil, err
	}
	return dir.Lstat(base)
}

// openExisting opens a regular file of the inbox to compare with, and returns its current state.
func (s *stage) openExisting(near *nearFolder, name string) (*os.File, fs.FileInfo, error) {
	dir, base, err := near.parent(s.inbox, name)
	if err != nil {
		return nil, nil, err
	}
	return dir.openRegular(base, nil)
}

// record appends to the journal and makes it durable at once.
func (s *stage) record(kind byte, body ...[]byte) error {
	s.journal.put(kind, body...)
	return s.syncJournal()
}

func bigEndian(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// MakeFolder creates a receiving folder, unless it exists. With the place of an earlier folder at dir, it does not create
// one where the disk of that folder is not mounted; the error is then ErrUnmounted. ErrDenied means that a link of another
// user is in the path.
func MakeFolder(dir string, earlier Place) error {
	existing := dir
	for {
		_, err := os.Lstat(existing)
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(existing) == existing {
			break
		}
		existing = filepath.Dir(existing)
	}
	now, err := findPlace(existing)
	if errors.As(err, new(*foreignLink)) { // guard: receive-link-of-others
		return err
	}
	if earlier != "" {
		want, placeErr := earlier.decode()
		if placeErr != nil {
			return placeErr
		}
		if existing != dir && err == nil && now.mount != want.mount { // guard: place-made
			return fmt.Errorf("%w: the disk of %s was mounted at %s", ErrUnmounted, dir, want.mount)
		}
	}
	return os.MkdirAll(dir, 0o755)
}

// CheckFolder reports whether files can be received into an existing folder, by creating a folder in it and removing
// that folder again. The error is ErrDenied or ErrReadOnly and names the folder, or is that of the file system.
func CheckFolder(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot receive into the folder %s: %w", dir, bare(err))
	}
	defer root.Close()
	probe := ".multipeer-" + strings.ToLower(rand.Text())
	if err := root.Mkdir(probe, 0o700); err != nil {
		return fmt.Errorf("cannot receive into the folder %s: %w", dir, bare(err))
	}
	if err := root.Remove(probe); err != nil {
		return err
	}
	hidden, err := openHidden(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot receive into the folder %s: %w", dir, err)
	}
	return hidden.Close()
}

// bare returns an error without the path that it names.
func bare(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return classify(err)
}
