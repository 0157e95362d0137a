//go:build !linux && !darwin

package transfer

import "os"

// bootID is unknown on this system: data that was not synced is sent again after a restart.
func bootID() string { return "" }

// mountID distinguishes one mount of a volume from another; it is not available on this system.
func mountID(*os.File) string { return "" }
