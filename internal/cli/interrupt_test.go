package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// interrupted runs a command, interrupts it after a while, and returns its output.
func interrupted(t *testing.T, after time.Duration, args ...string) (code int, out, said string) {
	t.Helper()
	in, w := io.Pipe() // never ends, like a terminal
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer time.AfterFunc(after, stop).Stop()
	var o, e strings.Builder
	code = Run(ctx, args, in, &o, &e)
	return code, o.String(), e.String()
}

// TestInterrupt_IsReportedByEachCommand: interrupted commands report the interruption, and nothing about a firewall;
// commands that normally end by an interrupt succeed.
func TestInterrupt_IsReportedByEachCommand(t *testing.T) {
	args := common(t)
	plain := func(more ...string) []string {
		a := args("Anna", more...)
		for i, s := range a {
			if s == "--json" {
				return append(a[:i:i], a[i+1:]...)
			}
		}
		return a
	}
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"send", "--to", "Nobody", file},
		{"send", "--to", "127.0.0.1:9", file},
		{"send", "--to", "no.such.host.invalid", file},
		{"peers", "--for", "30s"},
		{"pair", "--to", "Nobody"},
		{"pair", "confirm"},
		{"chat", "--to", "Nobody"},
		{"ping", "--to", "Nobody"},
		{"ping", "--to", "127.0.0.1:9"},
	} {
		code, _, said := interrupted(t, 500*time.Millisecond, plain(c...)...)
		if code != exitInterrupted || !strings.HasSuffix(said, "multipeer-cli: interrupted\n") || strings.Contains(said, "firewall") || strings.Contains(said, "nobody") {
			t.Errorf("%q: exit code %d, %q", c, code, said)
		}
	}
	for _, c := range [][]string{{"receive", "--into", t.TempDir()}, {"chat"}, {"serve", "--into", t.TempDir()}} {
		if code, _, said := interrupted(t, 500*time.Millisecond, plain(c...)...); code != exitDone {
			t.Errorf("%q: exit code %d, %q", c, code, said)
		}
	}
}

// TestPing_InterruptedPrintsItsFigures: an interrupted ping prints its figures so far.
func TestPing_InterruptedPrintsItsFigures(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "receive", "--into", t.TempDir())...)
	b.object("self", "")
	code, out, said := interrupted(t, 4*time.Second, args("Anna", "ping", "--to", "Ben", "-n", "1000000")...)
	var figures struct {
		Type  string
		Count int
	}
	line, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(line), &figures); err != nil || figures.Type != "ping" || figures.Count < 1 || figures.Count >= 1_000_000 || code != exitInterrupted {
		t.Errorf("exit code %d, %q, %q: %v", code, out, said, err)
	}
}

// TestSend_InterruptedBeforeAnAnswerWithdraws checks that an interrupted send leaves no offer behind that no one has accepted,
// and reports that.
func TestSend_InterruptedBeforeAnAnswerWithdraws(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "receive", "--into", t.TempDir())...) // it answers nothing
	b.object("self", "")
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, said := interrupted(t, 4*time.Second, args("Anna", "send", "--to", "Ben", file)...)
	if code != exitInterrupted || !strings.Contains(said, "sending: interrupted before Ben accepted; the offer was withdrawn") {
		t.Errorf("exit code %d, %q", code, said)
	}
}

// TestSend_ChangedAfterItArrivedIsSentAgain: the first run is interrupted when the file has just arrived, mostly before
// its receipt has, and the file changes. The same command again sends the new version, under a free name.
func TestSend_ChangedAfterItArrivedIsSentAgain(t *testing.T) {
	args := common(t)
	inbox := t.TempDir()
	b := start(t, args("Ben", "receive", "--accept", "all", "--into", inbox)...)
	b.object("self", "")
	const rounds = 4
	early := 0
	for i := range rounds {
		name := fmt.Sprintf("report%d.txt", i)
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte("first"), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		go func() {
			defer cancel()
			for ctx.Err() == nil {
				if _, err := os.Stat(filepath.Join(inbox, name)); err == nil {
					return
				}
			}
		}()
		var out, said strings.Builder
		if code := Run(ctx, args("Anna", "send", "--to", "Ben", file), strings.NewReader(""), &out, &said); code == exitInterrupted {
			early++
		}
		cancel()
		if err := os.WriteFile(file, []byte("second version"), 0o600); err != nil {
			t.Fatal(err)
		}
		said.Reset()
		if code := Run(t.Context(), args("Anna", "send", "--to", "Ben", file), strings.NewReader(""), &out, &said); code != exitDone {
			t.Fatalf("exit code %d: %s", code, said.String())
		}
		second, err := os.ReadFile(filepath.Join(inbox, fmt.Sprintf("report%d (2).txt", i)))
		if string(second) != "second version" {
			t.Errorf("the second version is %q, %v; %s", second, err, said.String())
		}
	}
	t.Logf("%d of %d runs were interrupted before their receipt", early, rounds)
}
