// Package examples tests the example programs that have no tests of their own, as processes on the loopback interface.
package examples

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine/enginetest"
)

// build returns the path of an example.
func build(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// running is a running example.
type running struct {
	t     *testing.T
	in    io.WriteCloser
	lines *bufio.Scanner
}

func start(t *testing.T, program, name, service string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, append([]string{"-name", name, "-service", service, "-interface", "lo"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &running{t, in, bufio.NewScanner(out)}
}

// expect waits for a line, and returns it.
func (r *running) expect(start string) string {
	r.t.Helper()
	for r.lines.Scan() {
		if strings.HasPrefix(r.lines.Text(), start) {
			return r.lines.Text()
		}
		r.t.Logf("skipped %q", r.lines.Text())
	}
	r.t.Fatalf("%q did not come: %v", start, r.lines.Err())
	return ""
}

func TestRPC_CallsWhatIsListed(t *testing.T) {
	program, service := build(t, "rpc"), enginetest.Service()
	start(t, program, "Ben", service).expect("serving as Ben")
	start(t, program, "Anna", service, "Ben", "add", "1", "2.5").expect("3.5")
	if line := start(t, program, "Eva", service, "Ben", "eval", `"1"`).expect(""); !strings.Contains(line, "no such function") {
		t.Error(line)
	}
}

func TestWhiteboard_LateJoinerGetsAll(t *testing.T) {
	program, service := build(t, "whiteboard"), enginetest.Service()
	anna := start(t, program, "Anna", service)
	for n := range 1200 {
		fmt.Fprintf(anna.in, "note %d\n", n)
	}
	board := anna.expect("1200 ")
	ben := start(t, program, "Ben", service)
	if got := ben.expect("1200 "); got != board {
		t.Errorf("%s here, %s there", board, got)
	}
	fmt.Fprintln(ben.in, "one more")
	if here, there := ben.expect("1201 "), anna.expect("1201 "); here != there {
		t.Errorf("%s here, %s there", here, there)
	}
}

func TestDropfolder_FilesGoBothWaysOnce(t *testing.T) {
	program, service := build(t, "dropfolder"), enginetest.Service()
	a, b := t.TempDir(), t.TempDir()
	anna, ben := start(t, program, "Anna", service, a), start(t, program, "Ben", service, b)
	for path, text := range map[string]string{filepath.Join(a, "one.txt"): "one", filepath.Join(b, "two.txt"): "two"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	anna.expect("sent one.txt to Ben")
	ben.expect("sent two.txt to Anna")
	time.Sleep(2 * time.Second) // long enough to send them back
	for _, dir := range []string{a, b} {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(names) != 2 {
			t.Errorf("%s holds %q, %v", dir, names, err)
		}
	}
}
