package desktop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"time"

	"multipeer/ui/internal/x11"
)

// CopyFiles puts files into the clipboard. Under Wayland, wl-copy keeps running to serve them.
func (s *System) CopyFiles(ctx context.Context, paths []string, held func()) error {
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		if tool, err := exec.LookPath("wl-copy"); err == nil {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			c := exec.CommandContext(ctx, tool, "--type", "text/uri-list")
			c.Stdin = bytes.NewReader(x11.URIList(paths))
			if err := c.Run(); err != nil {
				return fmt.Errorf("wl-copy: %w", err)
			}
			held()
			return nil
		}
		if os.Getenv("FYNE_PLATFORM") != "x11" { // compositors pass on the clipboard of an X program only while it has the focus
			return errors.ErrUnsupported
		}
	}
	return x11.CopyFiles(ctx, paths, held)
}

// DragFiles works with X11 alone: a Wayland compositor starts a drag only for the program that got the press of the
// button, and Fyne does not pass that on.
func (s *System) DragFiles(ctx context.Context, window uintptr, paths []string, picture image.Image) error {
	if window == 0 {
		return errors.ErrUnsupported
	}
	_, err := x11.Drag(ctx, uint32(window), paths, picture)
	return err
}
