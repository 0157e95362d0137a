//go:build !linux && !darwin && !windows

package autostart

// On is not supported on this system.
func (e Entry) On() (bool, error) { return false, ErrNoSystem }

func (e Entry) write([]string) error { return ErrNoSystem }

func (e Entry) remove() error { return ErrNoSystem }
