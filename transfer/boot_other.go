//go:build !linux && !darwin

package transfer

import "os"

// bootID cannot be told here: what was not synced is sent again after a restart.
func bootID() string { return "" }

// mountID tells one mounting of a volume from another; not here.
func mountID(*os.File) string { return "" }
