package transfer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// What has to be on the disk before it is told: the journal, the files, and the folders that name them.

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
