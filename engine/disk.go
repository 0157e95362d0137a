package engine

import "multipeer/transfer"

// FreeSpace returns how many bytes this user can still write to the disk of a folder. If the folder does not exist,
// its nearest existing parent counts. The error comes from the file system.
func FreeSpace(dir string) (uint64, error) { return transfer.FreeSpace(dir) }

// CheckFolder reports whether files can be received into an existing folder, by writing to it. The error is ErrDenied
// or ErrReadOnly with the folder, or comes from the file system. It may be called concurrently.
func CheckFolder(dir string) error { return transfer.CheckFolder(dir) }
