// Command multipeer-cli is Multipeer without a window: it finds the devices
// nearby, sends and receives files, chats and measures, in a terminal or a
// script. Its commands, flags and exit codes are a contract (docs/cli.md).
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"multipeer/internal/cli"
)

func main() {
	// libp2p/zeroconf logs through the standard logger; what matters of it comes back as errors.
	log.SetOutput(io.Discard)
	// Never undone: a signal that comes at the end would otherwise kill what has ended well.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
