package main

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine/enginetest"
)

// TestChat runs two programs that find each other over loopback, say a word each, and leave.
func TestChat(t *testing.T) {
	program := filepath.Join(t.TempDir(), "chat")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	service := enginetest.Service()
	type talker struct {
		in    io.WriteCloser
		lines *bufio.Scanner
		cmd   *exec.Cmd
	}
	start := func(name string) *talker {
		cmd := exec.CommandContext(ctx, program, "-name", name, "-service", service, "-interface", "lo")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return &talker{in, bufio.NewScanner(out), cmd}
	}
	expect := func(who *talker, want string) {
		t.Helper()
		for who.lines.Scan() {
			if strings.HasPrefix(who.lines.Text(), want) {
				return
			}
			t.Logf("skipped %q", who.lines.Text())
		}
		t.Fatalf("%q did not come: %v", want, who.lines.Err())
	}
	a, b := start("one"), start("two")
	expect(a, "Added: two on ")
	expect(b, "Added: one on ")
	_, _ = io.WriteString(a.in, "good morning\n")
	expect(b, `one: "good morning"`)
	_, _ = io.WriteString(b.in, "good evening\n")
	expect(a, `two: "good evening"`)
	_ = b.in.Close()
	expect(a, "Removed: two")
	_ = a.in.Close()
	for _, who := range []*talker{a, b} {
		if err := who.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
