package transfer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// This file makes data durable before it is acknowledged: the journal, the files, and the folders that contain them.

// flushJournal writes the buffered records.
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

// syncJournal makes the buffered records durable.
func (s *stage) syncJournal() error {
	if err := s.flushJournal(); err != nil {
		return err
	}
	return s.sync(s.journal.f)
}

func (s *stage) sync(f *os.File) error {
	if err := s.check("fsync", f.Name()); err != nil {
		return s.confirmed(err)
	}
	return s.confirmed(syncContent(f))
}

// confirmed treats a sync that the file system does not support as unavailable rather than failed: network shares and
// some user-space file systems do not. That is recorded; the data there is as safe as it can be.
func (s *stage) confirmed(err error) error {
	if unsupported(err) {
		s.unconfirmed.Store(true)
		return nil
	}
	return err
}

// unsupported reports whether a file system does not offer the operation.
func unsupported(err error) bool {
	for _, e := range []error{syscall.EINVAL, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.ENOTTY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// forget truncates the journal to its durable length: later records no longer count.
func (s *stage) forget(durable int64) {
	s.journal.buf = s.journal.buf[:0]
	s.journal.size = min(s.journal.size, durable)
	_ = s.journal.f.Truncate(s.journal.size)
}

// syncers is how many files are synced at once: file systems combine concurrent fsyncs into one journal commit.
const syncers = 16

// fewFiles is the largest number of files that are synced one by one rather than with the whole volume.
const fewFiles = 16

// syncFiles makes the content of files durable. It may run concurrently with the other methods.
func (s *stage) syncFiles(names []string) error {
	if err := s.check("fsync", "files"); err != nil {
		return s.confirmed(err)
	}
	if len(names) > fewFiles {
		if ok, err := s.syncVolume(); ok || err != nil {
			return err
		}
	}
	return inParallel(names, func(name string) error {
		f, err := s.root.Open(name)
		if isGone(err) { // dropped in the meantime
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if err := s.confirmed(f.Sync()); err != nil {
			return fmt.Errorf("making %q durable: %w", name, err)
		}
		return nil
	})
}

// syncVolume makes the whole volume durable at once, where the system and the file system support that.
func (s *stage) syncVolume() (ok bool, err error) {
	ok, err = syncVolume(s.volume)
	if unsupported(err) {
		return false, nil
	}
	return ok, err
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

// finishFolders sets the times of the folders, deepest first because a folder's time changes with its content, and
// makes the names in them durable. lost lists the folders whose modification time the disk does not keep.
func (s *stage) finishFolders() (lost []string, err error) {
	names := make([]string, 0, len(s.folders))
	for name := range s.folders {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, name := range names {
		dir, base, err := s.parent(name)
		kept := err == nil && s.setTime(dir, base, s.folders[name].modTime)
		if !kept && runtime.GOOS != "windows" {
			lost = append(lost, name)
		}
	}
	if err := s.check("fsync", "folders"); err != nil {
		return lost, s.confirmed(err)
	}
	if len(names) > fewFiles {
		if ok, err := s.syncVolume(); ok || err != nil {
			return lost, err
		}
	}
	return lost, inParallel(append(names, "."), func(name string) error { return s.syncDir(s.root, name) })
}

// syncInbox makes the published names durable.
func (s *stage) syncInbox(folders map[string]bool) error {
	if err := s.check("fsync", "inbox"); err != nil {
		return s.confirmed(err)
	}
	names := []string{"."}
	for f := range folders {
		names = append(names, f)
	}
	return inParallel(names, func(name string) error {
		err := s.syncDir(s.inbox, name)
		if isGone(err) && name != "." { // the user has moved or removed it since it arrived
			return nil
		}
		return err
	})
}

// syncDir makes the names in a folder durable. Windows cannot sync a folder; its file systems journal names.
func (s *stage) syncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return s.confirmed(d.Sync())
}

// syncExisting makes the content of files durable that are already in the inbox. If they are movable, the user may have
// moved or removed some since they arrived.
func (s *stage) syncExisting(names []string, movable bool) error {
	if len(names) == 0 {
		return nil
	}
	if err := s.check("fsync", "existing"); err != nil {
		return s.confirmed(err)
	}
	if len(names) > fewFiles {
		if ok, err := s.syncVolume(); ok || err != nil {
			return err
		}
	}
	return inParallel(names, func(name string) error {
		var near nearFolder
		defer near.close()
		f, _, err := s.openExisting(&near, name)
		if movable && isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return s.confirmed(f.Sync())
	})
}
