package desktop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// This file uses only tools that come with macOS and no C code, so that the window builds on every system.

// HasTray always reports true: macOS has the menu bar.
func (s *System) HasTray() bool { return true }

// Notify passes the text as arguments, not as part of the script. "--" ends the options, since a name may begin with a
// dash. The notification has no buttons.
func (s *System) Notify(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "osascript", "-e", "on run a\ndisplay notification (item 2 of a) with title (item 1 of a)\nend run", "--", n.Title, n.Body).Run()
}

// Pick uses the system's own dialog.
func (s *System) Pick(ctx context.Context, folder bool) ([]string, error) {
	script := "set out to \"\"\nrepeat with f in (choose file with multiple selections allowed)\nset out to out & POSIX path of f & linefeed\nend repeat\nreturn out"
	if folder {
		script = "return POSIX path of (choose folder)"
	}
	out, err := exec.CommandContext(ctx, "osascript", "-e", script).Output()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && strings.Contains(string(failed.Stderr), "-128"): // cancelled
		return nil, nil
	case err != nil:
		return nil, ErrNoPicker
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), nil
}

// Reveal selects the file in the Finder.
func (s *System) Reveal(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "open", "-R", path).Run()
}

// SetClipboardPicture has a script read the picture from a temporary file.
func (s *System) SetClipboardPicture(ctx context.Context, png []byte) error {
	dir, path, err := pictureFile(png)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "osascript", "-e", "on run a\nset the clipboard to (read (POSIX file (item 1 of a)) as «class PNGf»)\nend run", "--", path).Run()
}

// CopyFiles has a script put the files into the pasteboard.
func (s *System) CopyFiles(ctx context.Context, paths []string, held func()) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	const script = `ObjC.import("AppKit")
function run(paths) {
	const board = $.NSPasteboard.generalPasteboard
	board.clearContents
	if (!board.writeObjects($(paths.map(p => $.NSURL.fileURLWithPath(p))))) throw "the pasteboard refused the files"
}`
	args := append([]string{"-l", "JavaScript", "-e", script, "--"}, paths...)
	if err := exec.CommandContext(ctx, "osascript", args...).Run(); err != nil {
		return fmt.Errorf("osascript: %w", err)
	}
	held()
	return nil
}

// ClipboardPicture has a script write the clipboard picture to a temporary PNG file, and reads that file.
func (s *System) ClipboardPicture(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "clipboard.png")
	script := "on run a\nset d to the clipboard as «class PNGf»\nset f to open for access POSIX file (item 1 of a) with write permission\nwrite d to f\nclose access f\nend run"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if exec.CommandContext(ctx, "osascript", "-e", script, "--", path).Run() != nil {
		return nil, ErrNoPicture
	}
	return os.ReadFile(path)
}
