//go:build !linux && !darwin && !windows

package desktop

import (
	"context"
	"errors"
	"path/filepath"
)

var errNotHere = errors.New("not supported on this system")

// HasTray always reports false on these systems.
func (s *System) HasTray() bool { return false }

// Notify always fails: notifications are untested on these systems.
func (s *System) Notify(context.Context, Notice) error { return errNotHere }

// Pick leaves the choice to Fyne's dialog.
func (s *System) Pick(context.Context, bool) ([]string, error) { return nil, ErrNoPicker }

// Reveal opens the folder.
func (s *System) Reveal(path string) error { return s.Open(filepath.Dir(path)) }

// SetClipboardPicture always fails on these systems.
func (s *System) SetClipboardPicture(context.Context, []byte) error { return errNotHere }

// CopyFiles always fails on these systems.
func (s *System) CopyFiles(context.Context, []string, func()) error { return errors.ErrUnsupported }

// ClipboardPicture always fails on these systems.
func (s *System) ClipboardPicture(context.Context) ([]byte, error) { return nil, ErrNoPicture }
