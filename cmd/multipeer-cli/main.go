// Command multipeer-cli is Multipeer without a window: it finds the devices nearby, sends and receives files, chats and
// measures latency, in a terminal or a script. Its commands, flags and exit codes are a stable interface (docs/cli.md).
package main

import (
	"io"
	"log"
	"os"

	"multipeer/internal/cli"
)

func main() {
	// libp2p/zeroconf logs through the standard logger; everything relevant is returned as errors.
	log.SetOutput(io.Discard)
	os.Exit(cli.Main())
}
