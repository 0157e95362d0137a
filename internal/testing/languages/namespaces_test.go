//go:build linux

package languages

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/internal/testing/load"
	"multipeer/internal/testing/netlab"
)

// speaker is a chat program in a network namespace.
type speaker struct {
	name string
	in   io.WriteCloser

	mu  sync.Mutex
	out bytes.Buffer
}

func (s *speaker) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

// said reports whether the program has printed a string. The prompt of the Python example may come before it.
func (s *speaker) said(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.ReplaceAll(s.out.String(), "Message: ", ""), text)
}

// say types a line.
func (s *speaker) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// await waits until the program has printed a string.
func (s *speaker) await(t *testing.T, text string) {
	t.Helper()
	if !load.Within(30*time.Second, 20*time.Millisecond, func() bool { return s.said(text) }) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("%s did not print %q, but %q", s.name, text, s.out.String())
	}
}

// speak starts a chat program on a host.
func speak(t *testing.T, h *netlab.Host, name string, args ...string) *speaker {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := &speaker{name: name}
	c := h.Command(t.Context(), args...)
	c.Env = append(os.Environ(), "MULTIPEER_CLI="+program, "PYTHONPATH="+absolute(t, root, "python"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "MULTIPEER_ARGS=")
	c.Stdout, c.Stderr = s, s
	c.WaitDelay = 5 * time.Second
	if s.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.in.Close() // ends the program
		_ = c.Wait()
	})
	return s
}

// TestPython_OriginalExampleChatsWithGo: the minimal example of the Pythonista module, unchanged, runs in two network
// namespaces, and the chat of examples/chat in a third. Everyone sees everyone's lines.
func TestPython_OriginalExampleChatsWithGo(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		netlab.Missing(t, "no python3")
	}
	chat := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-o", chat, "multipeer/examples/chat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
	lan := netlab.New(t, 3)
	example := absolute(t, root, "python", "tests", "original", "chat.py")
	anna, ben := speak(t, lan.Host(1), "Anna", "python3", example), speak(t, lan.Host(2), "Ben", "python3", example)
	anna.say(t, "Anna")
	ben.say(t, "Ben")
	gopher := speak(t, lan.Host(3), "Gopher", chat, "-name", "Gopher")

	everyone := []*speaker{anna, ben, gopher}
	for _, s := range everyone {
		for _, other := range everyone {
			switch {
			case s == other:
			case s == gopher:
				s.await(t, "Added: "+other.name)
			default:
				s.await(t, "Added peer "+other.name)
			}
		}
	}
	for _, s := range everyone {
		s.say(t, "hello from "+s.name)
	}
	for _, s := range everyone {
		for _, other := range everyone {
			switch {
			case s == other:
			case s == gopher:
				s.await(t, other.name+`: "hello from `+other.name+`"`)
			default:
				s.await(t, "Message from "+other.name+" - hello from "+other.name)
			}
		}
	}
}
