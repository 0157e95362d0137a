package transfer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// PartialDir is the hidden folder, in the folder that receives, in which everything stays until it is whole.
	PartialDir = ".multipeer-partial"
	// what nobody has gone on with is removed after this time.
	orphanAge = 7 * 24 * time.Hour
	dataDir   = "data"
)

// stage is the receiving folder and the hidden folder of this transfer in it: the journal, and below data what has
// arrived, under the names that it will have. It is the only owner of an os.Root that writes, and all its paths come
// from a plan. One goroutine uses it, but for the methods that sync.
type stage struct {
	dir     string
	inbox   *os.Root
	volume  *os.File // the inbox, for syncing and asking for room
	name    string   // of the hidden folder, in the inbox
	root    *os.Root // data
	folders map[string]time.Time
	journal journal
	past    *history // nil if nothing is here yet

	near     *os.Root // the folder that was used last
	nearName string

	// check is called before each operation on the file system, by tests that make it fail or die there.
	check func(op, name string) error
}

var plainID = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

func openStage(opts ReceiveOptions) (*stage, error) {
	s := &stage{dir: opts.Dir, folders: map[string]time.Time{}, check: opts.check}
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
	s.name = path.Join(PartialDir, id)
	var err error
	if s.inbox, err = os.OpenRoot(opts.Dir); err != nil {
		return nil, fmt.Errorf("opening %s: %w", opts.Dir, err)
	}
	if err := s.open(opts); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) open(opts ReceiveOptions) error {
	var err error
	if s.volume, err = s.inbox.Open("."); err != nil {
		return err
	}
	if err := s.makeHidden(); err != nil {
		return fmt.Errorf("preparing %s: %w", s.dir, err)
	}
	s.removeOrphans(opts.Known)
	if err := s.check("open", journalName); err != nil {
		return err
	}
	s.journal.f, err = s.inbox.OpenFile(path.Join(s.name, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	boot := opts.boot
	if boot == "" {
		if boot = bootID(); boot != "" { // a volume that was unplugged in between may have lost what was not synced
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
	if s.root, err = s.inbox.OpenRoot(path.Join(s.name, dataDir)); err != nil {
		return err
	}
	return nil
}

// start begins a transfer of which nothing is here, if there is room for it.
func (s *stage) start(opts ReceiveOptions, boot string) error {
	s.past = nil
	if opts.Resume {
		return fmt.Errorf("%w: what had arrived of it is gone", ErrGone)
	}
	data := path.Join(s.name, dataDir)
	if err := s.inbox.RemoveAll(data); err != nil {
		return err
	}
	if err := s.journal.f.Truncate(0); err != nil {
		return err
	}
	if err := checkSpace(s.volume, opts.Expect, opts.Reserve); err != nil {
		s.remove()
		return err
	}
	if err := s.check("mkdir", data); err != nil {
		return err
	}
	if err := s.inbox.Mkdir(data, 0o700); err != nil {
		return err
	}
	var err error
	if s.root, err = s.inbox.OpenRoot(data); err != nil {
		return err
	}
	s.journal.put(jourStart, []byte(opts.Key))
	s.journal.put(jourBoot, []byte(boot))
	return nil
}

// makeHidden makes the hidden folder.
func (s *stage) makeHidden() error {
	var err error
	for range 3 { // another transfer that ends may remove the common folder in between
		if err = s.check("mkdir", PartialDir); err != nil {
			return err
		}
		if err = s.inbox.Mkdir(PartialDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for _, name := range []string{PartialDir, s.name} {
			if info, statErr := s.inbox.Lstat(name); statErr == nil && !info.IsDir() {
				return fmt.Errorf("%s is in the way; remove it", name)
			}
		}
		if err = s.inbox.Mkdir(s.name, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
			return nil
		}
	}
	return err
}

// roomFor tells whether n more bytes fit.
func (s *stage) roomFor(n, reserve int64) error { return checkSpace(s.volume, n, reserve) }

// removeOrphans deletes what nobody has gone on with for a week, and nothing outside the hidden folder.
func (s *stage) removeOrphans(known func(id string) bool) {
	d, err := s.inbox.Open(PartialDir)
	if err != nil {
		return
	}
	defer d.Close()
	entries, _ := d.ReadDir(-1)
	for _, e := range entries {
		name := path.Join(PartialDir, e.Name())
		if name == s.name || known != nil && known(e.Name()) {
			continue
		}
		info, err := s.inbox.Lstat(path.Join(name, journalName))
		if err != nil {
			info, err = e.Info()
		}
		if err == nil && time.Since(info.ModTime()) > orphanAge {
			_ = s.inbox.RemoveAll(name)
		}
	}
}

// close gives the folder up; what has arrived stays.
func (s *stage) close() {
	for _, r := range []*os.Root{s.near, s.root} {
		if r != nil {
			_ = r.Close()
		}
	}
	for _, f := range []*os.File{s.journal.f, s.volume} {
		if f != nil {
			_ = f.Close()
		}
	}
	_ = s.inbox.Close()
}

// remove deletes the staging. close comes next.
func (s *stage) remove() {
	_ = s.inbox.RemoveAll(s.name)
	_ = s.inbox.Remove(PartialDir) // fails while another transfer has something there
}

// Discard removes what is here of a transfer that will not go on. It is no error if there is nothing.
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
	s := &stage{inbox: root, name: path.Join(PartialDir, id)}
	s.remove()
	return root.Close()
}

// flushJournal writes what was put.
func (s *stage) flushJournal() error {
	j := &s.journal
	if len(j.buf) == 0 {
		return nil
	}
	if err := s.check("write", journalName); err != nil {
		return err
	}
	if _, err := j.f.WriteAt(j.buf, j.size); err != nil {
		return err
	}
	j.size += int64(len(j.buf))
	j.buf = j.buf[:0]
	return nil
}

// syncJournal makes what was put durable.
func (s *stage) syncJournal() error {
	if err := s.flushJournal(); err != nil {
		return err
	}
	return s.sync(s.journal.f)
}

func (s *stage) sync(f *os.File) error {
	if err := s.check("fsync", f.Name()); err != nil {
		return err
	}
	return syncContent(f)
}

// forget cuts the journal back to where it was durable: what came after is unknown again.
func (s *stage) forget(durable int64) {
	s.journal.buf = s.journal.buf[:0]
	s.journal.size = min(s.journal.size, durable)
	_ = s.journal.f.Truncate(s.journal.size)
}

// parent opens the folder of a path, which most often is that of the path before.
func (s *stage) parent(name string) (*os.Root, string, error) {
	dir, base := path.Split(name)
	if dir == "" {
		return s.root, base, nil
	}
	if s.near == nil || s.nearName != dir {
		r, err := s.root.OpenRoot(path.Clean(dir))
		if err != nil {
			return nil, "", err
		}
		if s.near != nil {
			_ = s.near.Close()
		}
		s.near, s.nearName = r, dir
	}
	return s.near, base, nil
}

func (s *stage) mkdir(name string, modTime time.Time) error {
	if err := s.check("mkdir", name); err != nil {
		return err
	}
	if err := s.root.Mkdir(name, 0o755); err != nil {
		if info, statErr := s.root.Lstat(name); statErr != nil || !info.IsDir() { // from an earlier attempt
			return err
		}
	}
	s.folders[name] = modTime
	return nil
}

// create begins a file anew.
func (s *stage) create(name string) (*os.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	const flags = os.O_CREATE | os.O_EXCL | os.O_RDWR
	f, err := dir.OpenFile(base, flags, 0o644)
	if errors.Is(err, fs.ErrExist) { // from an earlier attempt; what it holds is not known
		if err = dir.RemoveAll(base); err == nil {
			f, err = dir.OpenFile(base, flags, 0o644)
		}
	}
	return f, err
}

// reopen goes on with a file of which pos bytes are verified.
func (s *stage) reopen(name string) (*os.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	return dir.OpenFile(base, os.O_RDWR, 0)
}

// write puts data at off. A write that is cut short is an error, and may be repeated.
func (s *stage) write(f *os.File, data []byte, off int64) error {
	if err := s.check("write", f.Name()); err != nil {
		return err
	}
	_, err := f.WriteAt(data, off)
	return err
}

// looks returns what stands in the staging under a name.
func (s *stage) looks(name string) (fs.FileInfo, error) {
	dir, base, err := s.parent(name)
	if err != nil {
		return nil, err
	}
	return dir.Lstat(base)
}

func (s *stage) discard(name string) error {
	if s.near != nil && strings.HasPrefix(s.nearName, name+"/") {
		_ = s.near.Close()
		s.near = nil
	}
	if _, err := s.root.Lstat(name); isGone(err) { // with the folder it was in
		return nil
	}
	dir, base, err := s.parent(name)
	if err != nil {
		return err
	}
	return dir.RemoveAll(base)
}

// isGone tells that something is not there any more, or a file is where its folder was.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// seal gives a finished file its length, time and mode, marks it as received, and closes it. It is not durable yet.
func (s *stage) seal(f *os.File, name string, e entry, keepExec bool) error {
	err := func() error {
		if info, err := f.Stat(); err != nil {
			return err
		} else if info.Size() != e.size { // it ends in a hole, or an earlier attempt had more
			if err := f.Truncate(e.size); err != nil {
				return err
			}
		}
		if keepExec && e.exec && runtime.GOOS != "windows" {
			if err := f.Chmod(0o744); err != nil {
				return err
			}
		}
		mark(f, filepath.Join(s.dir, filepath.FromSlash(s.name), dataDir, filepath.FromSlash(name)))
		dir, base, err := s.parent(name)
		if err != nil {
			return err
		}
		return dir.Chtimes(base, time.Time{}, clampTime(e.modTime))
	}()
	return errors.Join(err, f.Close())
}

// clampTime keeps a peer's time in the range that file systems and people expect.
func clampTime(t time.Time) time.Time {
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(first) {
		return first
	}
	if last := time.Now().Add(24 * time.Hour); t.After(last) {
		return last
	}
	return t
}

// syncers is how many files are made durable at once: file systems put concurrent fsyncs into one journal commit.
const syncers = 16

// fewFiles is up to how many files are made durable one by one rather than with the whole volume.
const fewFiles = 16

// syncFiles makes the content of files durable; names nil, all of the volume. It may run beside the other methods.
func (s *stage) syncFiles(names []string) error {
	if err := s.check("fsync", "files"); err != nil {
		return err
	}
	if len(names) > fewFiles {
		if ok, err := syncVolume(s.volume); ok || err != nil {
			return err
		}
	}
	return inParallel(names, func(name string) error {
		f, err := s.root.Open(name)
		if isGone(err) { // dropped meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil {
			return fmt.Errorf("making %q durable: %w", name, err)
		}
		return nil
	})
}

func inParallel(names []string, do func(string) error) error {
	var wg sync.WaitGroup
	limit, errs := make(chan struct{}, syncers), make([]error, len(names))
	for i, name := range names {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			errs[i] = do(name)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// finishFolders gives the folders their times, the deepest first since a folder's time changes with its content,
// and makes the names in them durable.
func (s *stage) finishFolders() error {
	names := make([]string, 0, len(s.folders))
	for name := range s.folders {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, name := range names {
		if err := s.root.Chtimes(name, time.Time{}, clampTime(s.folders[name])); err != nil && runtime.GOOS != "windows" {
			return err
		}
	}
	if err := s.check("fsync", "folders"); err != nil {
		return err
	}
	if len(names) > fewFiles {
		if ok, err := syncVolume(s.volume); ok || err != nil {
			return err
		}
	}
	return inParallel(append(names, "."), func(name string) error { return syncDir(s.root, name) })
}

// syncInbox makes the published names durable.
func (s *stage) syncInbox(folders map[string]bool) error {
	if err := s.check("fsync", "inbox"); err != nil {
		return err
	}
	names := []string{"."}
	for f := range folders {
		names = append(names, f)
	}
	return inParallel(names, func(name string) error { return syncDir(s.inbox, name) })
}

// syncDir makes the names in a folder durable. Windows cannot sync a folder; its file systems journal names.
func syncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// syncExisting makes the content of files durable that were in the inbox before.
func (s *stage) syncExisting(names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := s.check("fsync", "existing"); err != nil {
		return err
	}
	if len(names) > fewFiles {
		if ok, err := syncVolume(s.volume); ok || err != nil {
			return err
		}
	}
	return inParallel(names, func(name string) error {
		f, err := s.openExisting(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// inPlace tells whether the folder that receives still stands where it was.
func (s *stage) inPlace() error {
	here, err1 := s.inbox.Stat(".")
	there, err2 := os.Stat(s.dir)
	if err1 != nil || err2 != nil || !os.SameFile(here, there) {
		return fmt.Errorf("%w: %s", ErrGone, s.dir)
	}
	return nil
}

// existing returns what stands in the inbox under a name.
func (s *stage) existing(name string) (fs.FileInfo, error) { return s.inbox.Lstat(name) }

// openExisting opens a regular file of the inbox to compare with.
func (s *stage) openExisting(name string) (*os.File, error) {
	if info, err := s.inbox.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, ErrSpecial)
	}
	return s.inbox.Open(name)
}

// link makes a symbolic link in the staging, whose target the caller has checked. It is called when no more file is
// written there: nothing is ever written through a link.
func (s *stage) link(name, target string) error {
	if err := s.check("symlink", name); err != nil {
		return err
	}
	if err := s.discard(name); err != nil {
		return err
	}
	return s.root.Symlink(target, name)
}

// record appends to the journal and makes it durable at once.
func (s *stage) record(kind byte, body ...[]byte) error {
	s.journal.put(kind, body...)
	return s.syncJournal()
}

func bigEndian(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// copyFrom copies n bytes of an existing file into a staged one.
func (s *stage) copyFrom(from io.ReaderAt, to *os.File, off, n int64) error {
	k := newBlock()
	defer k.release()
	for n > 0 {
		b := k.buf[:min(n, ChunkSize)]
		if _, err := from.ReadAt(b, off); err != nil {
			return err
		}
		if err := s.write(to, b, off); err != nil {
			return err
		}
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}
