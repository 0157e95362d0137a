//go:build !linux

package transfer

import "os"

// syncVolume is not available on this system.
func syncVolume(*os.File) (ok bool, err error) { return false, nil }

func syncContent(f *os.File) error { return f.Sync() }
