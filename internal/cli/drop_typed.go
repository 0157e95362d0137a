package cli

import (
	"os"

	"golang.org/x/term"
)

// dropTyped drops what the user has typed on the terminal and not completed with Enter. The terminal keeps it, and the
// next Enter would answer a question with it that replaced the one on the screen.
func (p *program) dropTyped() {
	switch in := p.in.(type) {
	case *os.File:
		if term.IsTerminal(int(in.Fd())) {
			flushInput(in)
		}
	case interface{ DropTyped() }: // the terminal of another process
		in.DropTyped()
	}
}
