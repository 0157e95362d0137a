package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main runs the command line of this process, with its streams and signals, and returns the exit code. It closes
// standard output, because some file systems report only then that data was not written.
func Main() int {
	// Otherwise a write to a closed pipe kills the process silently.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// Signals stay caught until the end: otherwise a late signal could kill a process that has succeeded.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err := os.Stdout.Close(); err != nil && code == exitDone {
		fmt.Fprintf(os.Stderr, "multipeer-cli: writing to standard output: %v\n", err)
		code = exitFailed
	}
	return code
}
