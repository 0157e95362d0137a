//go:build !unix

package transfer

import "os"

// openSource opens a file to read.
func openSource(path string) (*os.File, error) { return os.Open(path) }
