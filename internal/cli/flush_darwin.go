package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput drops the input of a terminal that was not read (TIOCFLUSH in tty(4)).
func flushInput(f *os.File) {
	const read = 1 // FREAD
	_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCFLUSH, read)
}
