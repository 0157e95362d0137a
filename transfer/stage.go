package transfer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// PartialDir is the hidden folder, in the folder that receives, in which everything stays until it is whole.
	PartialDir = ".multipeer-partial"
	// orphans of a crash are removed after this time.
	orphanAge = 7 * 24 * time.Hour
)

// stage is the receiving folder and a hidden folder of this transfer in it. It is the only owner of an os.Root
// that writes, and all its paths come from a plan.
type stage struct {
	dir     string
	inbox   *os.Root
	name    string // of the hidden folder, in the inbox
	root    *os.Root
	folders map[string]time.Time // made in root, with their time of change
}

func openStage(dir string, expect int64) (*stage, error) {
	inbox, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	s := &stage{dir: dir, inbox: inbox, folders: map[string]time.Time{}}
	if err := s.open(expect); err != nil {
		_ = inbox.Close()
		return nil, err
	}
	return s, nil
}

func (s *stage) open(expect int64) error {
	if err := checkSpace(s.inbox, expect); err != nil {
		return err
	}
	var err error
	for range 3 { // another transfer that ends may remove the common folder in between
		if err = s.inbox.Mkdir(PartialDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("preparing %s: %w", s.dir, err)
		}
		info, statErr := s.inbox.Lstat(PartialDir)
		if statErr == nil && !info.IsDir() {
			return fmt.Errorf("preparing %s: %s is in the way; remove it", s.dir, PartialDir)
		}
		s.name = path.Join(PartialDir, strings.ToLower(rand.Text()))
		if err = s.inbox.Mkdir(s.name, 0o700); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("preparing %s: %w", s.dir, err)
	}
	s.removeOrphans()
	s.root, err = s.inbox.OpenRoot(s.name)
	return err
}

// room tells whether the disk still has its reserve.
func (s *stage) room() error { return checkSpace(s.inbox, 0) }

// removeOrphans deletes what crashed transfers left, a week later, and nothing outside the hidden folder.
func (s *stage) removeOrphans() {
	d, err := s.inbox.Open(PartialDir)
	if err != nil {
		return
	}
	defer d.Close()
	entries, _ := d.ReadDir(-1)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > orphanAge {
			_ = s.inbox.RemoveAll(path.Join(PartialDir, e.Name()))
		}
	}
}

// remove deletes the staging and gives the folder up.
func (s *stage) remove() {
	_ = s.root.Close()
	_ = s.inbox.RemoveAll(s.name)
	_ = s.inbox.Remove(PartialDir) // fails while another transfer is under way
	_ = s.inbox.Close()
}

func (s *stage) mkdir(name string, modTime time.Time) error {
	if err := s.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	s.folders[name] = modTime
	return nil
}

func (s *stage) create(name string) (*os.File, error) {
	return s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

func (s *stage) discard(name string) error { return s.root.Remove(name) }

// seal gives a finished file its time and mode, makes it durable and closes it.
func (s *stage) seal(f *os.File, name string, e entry, keepExec bool) error {
	err := func() error {
		if keepExec && e.exec && runtime.GOOS != "windows" {
			if err := f.Chmod(0o744); err != nil {
				return err
			}
		}
		if err := s.root.Chtimes(name, time.Time{}, clampTime(e.modTime)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("making %q durable: %w", name, err)
		}
		return nil
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

// syncFolders gives the folders their times, the deepest first since a folder's time changes with its content,
// and makes the names in them durable.
func (s *stage) syncFolders() error {
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
	var wg sync.WaitGroup
	limit, errs := make(chan struct{}, syncers), make([]error, len(names))
	for i, name := range names {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			errs[i] = syncDir(s.root, name)
		})
	}
	wg.Wait()
	return errors.Join(append(errs, syncDir(s.root, "."))...)
}

// syncInbox makes the published names durable.
func (s *stage) syncInbox() error { return syncDir(s.inbox, ".") }

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

// publish gives a staged entry its final name, numbered if that is taken, and returns it. It never replaces
// anything: whoever else creates the name first keeps it.
func (s *stage) publish(t topEntry) (string, error) {
	here, err1 := s.inbox.Stat(".")
	there, err2 := os.Stat(s.dir)
	if err1 != nil || err2 != nil || !os.SameFile(here, there) {
		return "", fmt.Errorf("the folder %s was moved or replaced meanwhile", s.dir)
	}
	from := path.Join(s.name, t.saved)
	for n := 1; n <= maxNumber; n++ {
		to := numbered(t.saved, n)
		var err error
		if t.folder {
			err = s.publishFolder(from, to)
		} else {
			err = s.publishFile(from, to)
		}
		if !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
	return "", fmt.Errorf("%w: %q exists too often", ErrBadName, t.saved)
}

// publishFile links the final name, which fails if it is there. File systems without links get an empty
// reservation of our own first, which the rename then replaces.
func (s *stage) publishFile(from, to string) error {
	err := s.inbox.Link(from, to)
	if err == nil {
		return s.inbox.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := s.inbox.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := s.inbox.Rename(from, to); err != nil {
		_ = s.inbox.Remove(to)
		return err
	}
	return nil
}

// publishFolder reserves the name by making the folder, which fails if it is there, and renames over it: a rename
// replaces an empty folder and no other.
func (s *stage) publishFolder(from, to string) error {
	if err := s.inbox.Mkdir(to, 0o755); err != nil {
		return err
	}
	err := s.inbox.Rename(from, to)
	if err != nil { // Windows does not rename over a folder
		if err = s.inbox.Remove(to); err == nil {
			err = s.inbox.Rename(from, to)
		}
	}
	if err != nil && errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("somebody else used the name meanwhile: %v", err)
	}
	return err
}
