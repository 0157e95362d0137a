//go:build !linux

package load

import "time"

// spin does not measure on this system.
func spin(time.Duration) (wall, cpu time.Duration) { return 0, 0 }
