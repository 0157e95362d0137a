package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// flushInput drops the input of a console that was not read.
func flushInput(f *os.File) { _ = windows.FlushConsoleInputBuffer(windows.Handle(f.Fd())) }
