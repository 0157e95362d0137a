//go:build !linux && !darwin && !windows

package cli

import "os"

// flushInput does nothing on this system.
func flushInput(*os.File) {}
