//go:build !linux && !darwin && !windows

package ui

import (
	"context"
	"errors"
	"path/filepath"
)

var errNotHere = errors.New("this system does not offer it")

// HasTray is never so here.
func (s *system) HasTray() bool { return false }

// Notify does nothing: nobody has tried it on this system.
func (s *system) Notify(context.Context, string, string) error { return errNotHere }

// Pick leaves it to Fyne's dialog.
func (s *system) Pick(context.Context, bool) ([]string, error) { return nil, errNoPicker }

// Reveal opens the folder.
func (s *system) Reveal(path string) error { return s.Open(filepath.Dir(path)) }

// ClipboardPicture knows none here.
func (s *system) ClipboardPicture(context.Context) ([]byte, error) { return nil, errNoPicture }
