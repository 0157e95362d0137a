package transfer

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
)

// Entry is a file, folder or link that a Listing has found.
type Entry struct {
	Path   string // relative, with slashes
	Size   int64  // of a file, in bytes
	Folder bool
	Err    error // why it is left out; nil if it is not
}

// Entries yields the entries of the listing, folders before their content, as Fill finds them. The error, which comes
// last, is that of Fill or of ctx.
func (l *Listing) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := l.each(ctx, func(e listed) error {
			out := Entry{Path: e.path, Size: e.size, Folder: e.kind == kindFolder}
			switch {
			case e.why != 0:
				out.Err = reasonErr(e.why)
			case e.kind == kindLink:
				out.Err = ErrSpecial
			}
			if !yield(out, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough { //nolint:errorlint // the sentinel itself
			yield(Entry{}, err)
		}
	}
}

// errEnough ends a walk whose reader needs no further entries.
var errEnough = fmt.Errorf("%w: enough", ErrCancelled)

// Open opens a listed file for reading and returns its current state. It follows no links and never leaves the listed
// folders. The caller closes the file. ErrVanished means that a different entry now has its name.
func (l *Listing) Open(path string) (*os.File, fs.FileInfo, error) {
	if _, err := splitPath(path); err != nil {
		return nil, nil, err
	}
	src := newSource(l.tops)
	defer src.close()
	return src.open(path, nil)
}
