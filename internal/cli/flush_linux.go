package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput drops the input of a terminal that was not read (tcflush in termios(3)).
func flushInput(f *os.File) { _ = unix.IoctlSetInt(int(f.Fd()), unix.TCFLSH, unix.TCIFLUSH) }
