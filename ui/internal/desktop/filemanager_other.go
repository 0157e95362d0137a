//go:build !windows

package desktop

import "errors"

// FileManager is not supported: on these systems the packages add the program to the file managers.
func (s *System) FileManager() (bool, error) { return false, errors.ErrUnsupported }

// SetFileManager is not supported on these systems.
func (s *System) SetFileManager(bool) error { return errors.ErrUnsupported }
