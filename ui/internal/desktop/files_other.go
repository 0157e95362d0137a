//go:build !linux

package desktop

import (
	"context"
	"errors"
	"image"
)

// DragFiles always fails on these systems: Fyne has no drags to other programs.
func (s *System) DragFiles(context.Context, uintptr, []string, image.Image) error {
	return errors.ErrUnsupported
}
