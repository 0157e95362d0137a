package transfer

import "golang.org/x/sys/unix"

// renameNew renames without replacing anything.
func renameNew(from int, name string, into int, final string) error {
	return unix.Renameat2(from, name, into, final, unix.RENAME_NOREPLACE)
}
