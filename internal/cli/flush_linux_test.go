package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"multipeer/engine"

	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal: what is written to the keyboard is typed on the terminal.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}

// TestQuestion_AnswerTypedForAnotherOneIsDropped checks that a "y" without Enter does not answer a question that replaces the
// one on the screen.
func TestQuestion_AnswerTypedForAnotherOneIsDropped(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	r := &receiver{program: &program{in: terminal, out: newPrinter(io.Discard, io.Discard)}, accept: "ask"}
	r.put(question{text: "Accept photo.jpg?", id: "1"})
	r.put(question{text: "Accept setup.exe?", id: "2", peer: engine.Peer{}})
	if _, err := keyboard.WriteString("y"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if typed, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCINQ); err == nil && typed > 0 || time.Now().After(end) { // its echo
			break
		}
	}
	r.drop("1") // withdrawn
	if _, err := keyboard.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(terminal).ReadString('\n'); err != nil || line != "\n" {
		t.Errorf("Enter reads as %q, %v", line, err)
	}
}
