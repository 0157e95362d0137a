package transfer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
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

// record appends to the journal and makes it durable at once.
func (s *stage) record(kind byte, body ...[]byte) error {
	s.journal.put(kind, body...)
	return s.syncJournal()
}

func bigEndian(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
