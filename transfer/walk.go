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
	err   error
}

// dirBatch is how many names of a folder are read at once, so that memory does not grow with the folder.
const dirBatch = 1024

// walk visits paths and all that is below them, folders before their content, and yields each; an error from yield
// ends it. The source is only ever read. Links given as a path are followed, links inside are left out.
func walk(ctx context.Context, paths []string, yield func(item) error) error {
	tops, err := topLevels(paths)
	if err != nil {
		return err
	}
	for _, t := range tops {
		if err := visit(ctx, t.local, t.name, t.info, yield); err != nil {
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

func visit(ctx context.Context, local, rel string, info fs.FileInfo, yield func(item) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	it := item{local: local, entry: entry{path: rel, folder: info.IsDir(), modTime: info.ModTime(), exec: info.Mode()&0o100 != 0}}
	switch {
	case len(rel) > MaxPath || strings.Count(rel, "/")+1 > MaxDepth:
		it.err = ErrTooLong
	case info.Mode().IsRegular():
		it.size = info.Size()
	case !info.IsDir():
		it.err = ErrSpecial
	}
	if it.err != nil || !it.folder {
		return yield(it)
	}
	it.exec = false
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
				err = visit(ctx, childLocal, childRel, info, yield)
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
		default:
			return s, fmt.Errorf("reading %s: %w", paths[i], ErrSpecial)
		}
		s.Names = append(s.Names, t.name)
	}
	return s, nil
}

// Count walks paths and adds them up, calling tell now and then with what there is so far. Memory stays flat: the
// sender walks again when it sends.
func Count(ctx context.Context, paths []string, tell func(Totals)) (Summary, error) {
	var s Summary
	seen := 0
	err := walk(ctx, paths, func(it item) error {
		switch {
		case it.err != nil:
			s.LeftOut++
		case it.folder:
			s.Folders++
		default:
			s.Files++
			s.Bytes += it.size
		}
		if seen++; seen%1000 == 0 && tell != nil {
			tell(s.Totals)
		}
		return nil
	})
	return s, err
}
