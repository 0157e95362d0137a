package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// top is one of the paths that are sent.
type top struct {
	asked string // as it was given
	local string // absolute, without links
	name  string // the name under which it is sent
	info  fs.FileInfo
	base  fs.FileInfo // the folder to open: the path itself, or the parent of a file
	gone  error       // why it cannot be sent
}

// topLevels resolves paths. If two of them have the same name, the later one is numbered.
func topLevels(paths []string) ([]top, error) {
	var out []top
	taken := map[string]bool{}
	for _, p := range paths {
		if p == "" {
			return nil, fmt.Errorf("reading %q: the path is empty; specify a file or folder", p)
		}
		t, err := resolve(p)
		if err != nil {
			return nil, err
		}
		wanted := t.name
		for n := 1; ; n++ {
			t.name = numbered(wanted, n, maxName)
			if !taken[t.name] {
				break
			}
		}
		taken[t.name] = true
		out = append(out, t)
	}
	return out, nil
}

// resolve finds where a path leads, and whether that can be sent.
func resolve(p string) (top, error) {
	local, err := filepath.Abs(p)
	if err != nil {
		return top{}, fmt.Errorf("reading %s: %w", p, err)
	}
	t := top{asked: p, local: local, name: offerable(filepath.Base(local))}
	if filepath.Dir(local) == local {
		return t, fmt.Errorf("reading %s: a whole volume has no name to send it under; specify a folder in it", p)
	}
	t.gone = t.open()
	return t, nil
}

// offerable returns a name as an offer can show it: bytes that are not UTF-8 are written in hex.
func offerable(name string) string {
	var b strings.Builder
	for i, r := range name {
		_, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", name[i])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// open collects what has to be known about a path before a walk.
func (t *top) open() error {
	var err error
	if t.local, err = resolveLinks(t.local); errors.As(err, new(*foreignLink)) {
		return fmt.Errorf("%w: %w", ErrSpecial, err)
	} else if err != nil {
		return sourceError(err)
	}
	if t.info, err = os.Lstat(t.local); err != nil {
		return sourceError(err)
	}
	folder := t.local
	if !t.info.IsDir() {
		folder = filepath.Dir(t.local)
	}
	if t.base, err = os.Lstat(folder); err != nil {
		return sourceError(err)
	}
	if t.isPrivate() {
		t.info = nil
		return ErrPrivate
	}
	src := newSource([]top{*t})
	defer src.close()
	if t.info.IsDir() {
		dir, err := src.openDir(t.name)
		if err != nil {
			return sourceError(err)
		}
		return dir.Close()
	}
	it := src.look(t.name, false)
	if it.err != nil {
		return it.err
	}
	f, _, err := src.open(t.name, it.info)
	if err != nil {
		return sourceError(err)
	}
	return f.Close()
}

// source reads what is below the tops and nothing else: each folder is opened relative to its parent, so that a link
// that replaces a folder during the transfer cannot lead elsewhere. Only one goroutine may use it.
type source struct {
	tops map[string]top
	name string   // of the top that is open
	root *os.Root // its folder
	near nearFolder

	times map[uint64]bool // by the number of a disk: see keepsChangeTimes
}

func newSource(tops []top) *source {
	s := &source{tops: map[string]top{}, times: map[uint64]bool{}}
	for _, t := range tops {
		s.tops[t.name] = t
	}
	return s
}

func (s *source) close() {
	s.near.close()
	if s.root != nil {
		_ = s.root.Close()
	}
	s.root, s.name = nil, ""
}

// locate opens the folder that holds the entry at rel, and returns the entry's name in it.
func (s *source) locate(rel string) (*openFolder, string, error) {
	name, below, deep := strings.Cut(rel, "/")
	t, known := s.tops[name]
	if !known {
		return nil, "", ErrVanished
	}
	if t.gone != nil && t.info == nil {
		return nil, "", t.gone
	}
	if s.root == nil || s.name != name {
		s.close()
		folder := t.local
		if !t.info.IsDir() {
			folder = filepath.Dir(t.local)
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, "", err
		}
		s.root, s.name = root, name
		if now, err := root.Stat("."); err != nil || !os.SameFile(now, t.base) { // guard: source-swapped
			s.close()
			return nil, "", fmt.Errorf("%w: the folder %s was replaced", ErrVanished, folder)
		}
	}
	switch {
	case !deep && t.info.IsDir():
		folder, _, err := s.near.parent(s.root, "")
		return folder, ".", err
	case !deep:
		below = filepath.Base(t.local)
	}
	return s.near.parent(s.root, below)
}

// look returns the entry at rel in its current state.
func (s *source) look(rel string, links bool) item {
	it := item{entry: entry{path: rel}}
	if len(rel) > MaxPath || strings.Count(rel, "/")+1 > MaxDepth {
		it.err = ErrTooLong
		return it
	}
	root, name, err := s.locate(rel)
	if err != nil {
		it.err = sourceError(err)
		return it
	}
	info, err := root.Lstat(name)
	if err != nil {
		it.err = sourceError(err)
		return it
	}
	it.describe(info)
	it.steady = it.steady && s.tracks(root.handle, info)
	switch {
	case info.Mode().IsRegular():
		if it.size == 0 && s.unsized(rel, info) {
			it.err = ErrUnsized
		}
	case info.IsDir():
		it.kind = kindFolder
	case links && info.Mode()&fs.ModeSymlink != 0:
		it.kind = kindLink
		target, err := root.Readlink(name)
		it.target = filepath.ToSlash(target)
		switch {
		case err != nil:
			it.err = sourceError(err)
		case !staysInside(rel, it.target):
			it.err = ErrSpecial
		}
	default:
		it.err = ErrSpecial
	}
	return it
}

// describe records the state of the entry.
func (it *item) describe(info fs.FileInfo) {
	it.modTime, it.stamp, it.info = info.ModTime(), stampOf(info), info
	if info.Mode().IsRegular() {
		it.size = info.Size()
		it.onDisk = onDisk(info)
		it.exec = info.Mode()&0o100 != 0
		it.steady = isSteady(info)
	}
}

// openFile opens the regular file at rel, and returns its current state; the file is nil if it cannot be sent.
func (s *source) openFile(rel string) (*os.File, item) {
	it := item{entry: entry{path: rel}}
	f, info, err := s.open(rel, nil)
	if err != nil {
		it.err = err
		return nil, it
	}
	it.describe(info)
	it.steady = it.steady && s.tracks(f, info)
	if it.size == 0 && hasContent(f) {
		_ = f.Close()
		it.err = ErrUnsized
		return nil, it
	}
	return f, it
}

// unsized reports whether a file has content but no size, as those of /proc do.
func (s *source) unsized(rel string, info fs.FileInfo) bool {
	f, _, err := s.open(rel, info)
	if err != nil {
		return false
	}
	defer f.Close()
	return hasContent(f)
}

// open opens the regular file at rel for reading, and returns its current state. It follows no link and does not wait
// for the other end of a pipe. found is the entry found there a moment ago; nil if unknown.
func (s *source) open(rel string, found fs.FileInfo) (*os.File, fs.FileInfo, error) {
	folder, name, err := s.locate(rel)
	if err != nil {
		return nil, nil, sourceError(err)
	}
	f, info, err := folder.openRegular(name, found)
	if err != nil && err != ErrSpecial { //nolint:errorlint // the sentinel itself
		err = sourceError(err)
	}
	return f, info, err
}

// openDir opens the folder at rel to list it.
func (s *source) openDir(rel string) (*os.File, error) {
	root, name, err := s.locate(rel)
	if err != nil {
		return nil, err
	}
	dir, err := root.OpenFile(name, readFlags, 0)
	if err != nil {
		return nil, err
	}
	opened, err := dir.Stat()
	if err == nil {
		var entry fs.FileInfo
		if entry, err = root.Lstat(name); err == nil && !os.SameFile(opened, entry) {
			err = fmt.Errorf("%w: %s is a link, or was replaced", ErrVanished, rel)
		}
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}

// tracks reports whether the time of the last change of a file can be trusted. in is the file, or the folder that holds
// it.
func (s *source) tracks(in *os.File, info fs.FileInfo) bool {
	device, known := deviceOf(info)
	if !known {
		return false
	}
	tracks, asked := s.times[device]
	if !asked {
		if folder, err := in.Stat(); err == nil {
			of, _ := deviceOf(folder)
			tracks = of == device && keepsChangeTimes(in)
		}
		s.times[device] = tracks
	}
	return tracks
}
