// Command multipeer-cli is Multipeer without a window: it finds the devices
// nearby, sends and receives files, chats and measures, in a terminal or a
// script. Its commands, flags and exit codes are a contract:
//
//	0  done
//	1  failed
//	2  wrong usage
//	3  peer not found
//	4  declined or cancelled by the other side
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// libp2p/zeroconf logs through the standard logger; what matters of it comes back as errors.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
