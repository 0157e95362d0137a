//go:build !linux && !darwin && !windows

package login

// On cannot be told here.
func (e Entry) On() (bool, error) { return false, ErrNoSystem }

func (e Entry) write([]string) error { return ErrNoSystem }

func (e Entry) remove() error { return ErrNoSystem }
