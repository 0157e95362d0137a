//go:build !linux

package desktop

// dock is empty here: the title of the window shows the progress.
type dock struct{}

// ShowProgress does nothing here.
func (s *System) ShowProgress(float64) error { return nil }
