//go:build !linux && !windows

package desktop

// dock is empty on these systems: the window title shows the progress.
type dock struct{}

// ShowProgress does nothing on these systems.
func (s *System) ShowProgress(float64) error { return nil }
