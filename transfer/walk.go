package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// item is something found by a walk of the source: an entry and where it is, or why it is left out.
type item struct {
	entry
	local string
	index int64 // of the files that were announced
	room  int64 // bytes that it takes on the disk
	err   error
}

// dirBatch is how many names of a folder are read at once, so that memory does not grow with the folder.
const dirBatch = 1024

// walk visits paths and all that is below them, folders before their content, and yields each; an error from yield
// ends it. The source is only ever read. Links given as a path are followed; of those inside, links keeps the ones
// that stay inside.
func walk(ctx context.Context, paths []string, links bool, yield func(item) error) error {
	tops, err := topLevels(paths)
	if err != nil {
		return err
	}
	for _, t := range tops {
		if err := visit(ctx, t.local, t.name, t.info, links, yield); err != nil {
			return err
		}
	}
	return nil
}

// top is one of the paths that are sent.
type top struct {
	local, name string
	info        fs.FileInfo
}

// topLevels resolves paths. Two sources may have one name: the later one is numbered.
func topLevels(paths []string) ([]top, error) {
	var out []top
	taken := map[string]bool{}
	for _, p := range paths {
		local, name, err := topLevel(p)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(local)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p, classifySource(err))
		}
		for n := 1; ; n++ {
			if unique := numbered(name, n); !taken[unique] {
				name = unique
				break
			}
		}
		taken[name] = true
		out = append(out, top{local, name, info})
	}
	return out, nil
}

// topLevel finds the absolute path and the name to send it under.
func topLevel(p string) (local, name string, err error) {
	local, err = filepath.Abs(p)
	if err != nil {
		return "", "", fmt.Errorf("reading %s: %w", p, err)
	}
	name = sendable(filepath.Base(local))
	if filepath.Dir(local) == local || name == "" {
		return "", "", fmt.Errorf("reading %s: a whole volume has no name to send it under; name a folder in it", p)
	}
	if local, err = filepath.EvalSymlinks(local); err != nil {
		return "", "", fmt.Errorf("reading %s: %w", p, classifySource(err))
	}
	return local, name, nil
}

// sendable replaces what receivers take for an attack in a name.
func sendable(name string) string {
	if len(name) == 2 && name[1] == ':' {
		name = name[:1] + "_"
	}
	return strings.Map(func(r rune) rune {
		if r == '\\' || r == '/' || r == 0 {
			return '_'
		}
		return r
	}, name)
}

func visit(ctx context.Context, local, rel string, info fs.FileInfo, links bool, yield func(item) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	it := item{local: local, entry: entry{path: rel, modTime: info.ModTime(), stamp: stampOf(info)}}
	switch {
	case len(rel) > MaxPath || strings.Count(rel, "/")+1 > MaxDepth:
		it.err = ErrTooLong
	case info.Mode().IsRegular():
		it.size, it.room, it.exec = info.Size(), roomOf(info), info.Mode()&0o100 != 0
	case info.IsDir():
		it.kind = kindFolder
	case links && info.Mode()&fs.ModeSymlink != 0:
		it.kind = kindLink
		if it.target, it.err = readLink(local); it.err == nil && !staysInside(rel, it.target) {
			it.err = ErrSpecial
		}
	default:
		it.err = ErrSpecial
	}
	if it.err != nil || !it.folder() {
		return yield(it)
	}
	dir, err := os.Open(local)
	if err != nil {
		it.err = classifySource(err)
		return yield(it)
	}
	defer dir.Close()
	if err := yield(it); err != nil {
		return err
	}
	for {
		names, err := dir.ReadDir(dirBatch)
		slices.SortFunc(names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, d := range names {
			childLocal, childRel := filepath.Join(local, d.Name()), path.Join(rel, sendable(d.Name()))
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone since the folder was read
			}
			if err != nil {
				err = yield(item{local: childLocal, entry: entry{path: childRel}, err: classifySource(err)})
			} else {
				err = visit(ctx, childLocal, childRel, info, links, yield)
			}
			if err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil { // the rest of the folder cannot be listed; what was seen of it is sent
			return yield(item{local: local, entry: entry{path: rel}, err: fmt.Errorf("%w: %w", ErrUnreadable, err)})
		}
	}
}

func readLink(local string) (string, error) {
	target, err := os.Readlink(local)
	if err != nil {
		return "", classifySource(err)
	}
	return filepath.ToSlash(target), nil
}

// staysInside tells whether a link at rel that says target leads to something below the same top-level name. Both
// have slashes.
func staysInside(rel, target string) bool {
	if target == "" || len(target) > MaxPath || path.IsAbs(target) || strings.ContainsAny(target, "\\\x00") || len(target) > 1 && target[1] == ':' {
		return false
	}
	top, _, below := strings.Cut(rel, "/")
	to := path.Join(path.Dir(rel), target)
	return below && (to == top || strings.HasPrefix(to, top+"/"))
}

func classifySource(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return err
}

// Summary is what an offer shows of a source.
type Summary struct {
	Totals
	Names   []string // top-level names, in order
	LeftOut int64    // links, devices, unreadable folders
	Room    int64    // bytes that all takes on a disk that has holes too
}

// Check resolves the top level of paths only, in a moment: names and kinds, and the sizes of plain files.
func Check(paths []string) (Summary, error) {
	var s Summary
	if len(paths) == 0 {
		return s, errors.New("nothing to send")
	}
	tops, err := topLevels(paths)
	if err != nil {
		return s, err
	}
	for i, t := range tops {
		switch {
		case t.info.IsDir():
			s.Folders++
		case t.info.Mode().IsRegular():
			s.Files++
			s.Bytes += t.info.Size()
			s.Room += roomOf(t.info)
		default:
			return s, fmt.Errorf("reading %s: %w", paths[i], ErrSpecial)
		}
		s.Names = append(s.Names, t.name)
	}
	return s, nil
}

// Count walks paths and adds them up, calling tell now and then with what there is so far. Memory stays flat: the
// sender walks again when it sends.
func Count(ctx context.Context, paths []string, links bool, tell func(Totals)) (Summary, error) {
	var s Summary
	seen := 0
	err := walk(ctx, paths, links, func(it item) error {
		switch {
		case it.err != nil:
			s.LeftOut++
		case it.folder():
			s.Folders++
		case it.kind == kindLink:
			s.Links++
		default:
			s.Files++
			s.Bytes += it.size
			s.Room += it.room
		}
		if seen++; seen%1000 == 0 && tell != nil {
			tell(s.Totals)
		}
		return nil
	})
	return s, err
}
