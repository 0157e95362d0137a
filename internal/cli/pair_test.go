package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// shell is one invocation whose standard input and output the test controls.
type shell struct {
	t    *testing.T
	in   *io.PipeWriter
	out  chan string // lines
	code chan int
}

func start(t *testing.T, args ...string) *shell {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	s := &shell{t, inW, make(chan string, 1000), make(chan int, 1)}
	go func() {
		defer close(s.out)
		for lines := bufio.NewScanner(outR); lines.Scan(); {
			s.out <- lines.Text()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	go func() {
		s.code <- Run(ctx, args, inR, outW, os.Stderr)
		_ = outW.Close()
	}()
	return s
}

// object reads lines until one of a type and a stage arrives.
func (s *shell) object(kind, stage string) map[string]any {
	s.t.Helper()
	for line := range s.out {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["type"] == kind && (stage == "" || m["stage"] == stage) {
			return m
		}
	}
	s.t.Fatalf("no %s %s came", kind, stage)
	return nil
}

func (s *shell) say(line string) { _, _ = fmt.Fprintln(s.in, line) }

func loopback(t *testing.T) string {
	t.Helper()
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("no loopback interface")
	return ""
}

// common returns the flags of two peers that see only each other.
func common(t *testing.T) func(name string, more ...string) []string {
	service, lo, dir := enginetest.Service(), loopback(t), t.TempDir()
	return func(name string, more ...string) []string {
		return append([]string{"--profile", filepath.Join(dir, name), "--name", name, "--service", service, "--interface", lo, "--json"}, more...)
	}
}

func trustOf(t *testing.T, profile string, id any) engine.Trust {
	t.Helper()
	e, err := engine.New(engine.Config{Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	who, err := engine.ParsePeerID(fmt.Sprint(id))
	if err != nil {
		t.Fatal(err)
	}
	return e.Trust(who)
}

// TestPair_ByCode: one side requests the pairing, and the other chooses it and types the code that the first one shows;
// both save the result.
func TestPair_ByCode(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "pair", "confirm")...)
	a := start(t, args("Anna", "pair", "--to", "Ben")...)
	idA := b.object("pairing", "asked")["id"]
	b.say("y")
	shown := a.object("pairing", "compare")
	picks := b.object("pairing", "compare")
	if shown["code"] == nil || picks["code"] != nil || len(picks["choices"].([]any)) != 3 {
		t.Fatalf("%v and %v", shown, picks)
	}
	b.say(fmt.Sprint(shown["code"]))
	a.say("y")
	for s, want := range map[*shell]any{a: shown["id"], b: idA} {
		if v := s.object("verified", ""); v["id"] != want || v["trust"] != "verified" {
			t.Errorf("verified %v, want %v", v, want)
		}
	}
	if code := <-a.code; code != exitDone {
		t.Errorf("asking: exit code %d", code)
	}
	if code := <-b.code; code != exitDone {
		t.Errorf("confirming: exit code %d", code)
	}
	if got := trustOf(t, args("Ben")[1], idA); got != engine.TrustVerified {
		t.Errorf("kept as %q", got)
	}
	if got := trustOf(t, args("Anna")[1], shown["id"]); got != engine.TrustVerified {
		t.Errorf("kept as %q", got)
	}
}

// TestPair_WrongCodeEndsItOnBothSides: a code that differs from the one shown ends the pairing on both sides, with a
// warning.
func TestPair_WrongCodeEndsItOnBothSides(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "pair", "confirm")...)
	a := start(t, args("Anna", "pair", "--to", "Ben")...)
	b.object("pairing", "asked")
	b.say("y")
	shown := a.object("pairing", "compare")
	b.object("pairing", "compare")
	b.say("000 00x") // not a code at all: the question is repeated
	b.say("12345")
	other := "111 111"
	if shown["code"] == other {
		other = "222 222"
	}
	b.say(other)
	for _, s := range []*shell{a, b} {
		if e := fmt.Sprint(s.object("pairing", "failed")["error"]); !strings.Contains(e, "do not match") {
			t.Error(e)
		}
		if code := <-s.code; code != exitFailed {
			t.Errorf("exit code %d", code)
		}
	}
}

// TestPairConfirm_AfterAReset: a device that was set up again has the same name and another key, and may be confirmed
// by that name.
func TestPairConfirm_AfterAReset(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "pair", "confirm")...)
	a := start(t, args("Anna", "pair", "--to", "Ben")...)
	b.object("pairing", "asked")
	b.say("y")
	shown := a.object("pairing", "compare")
	b.object("pairing", "compare")
	b.say(fmt.Sprint(shown["code"]))
	a.say("y")
	<-a.code
	<-b.code
	again := args("Ben", "pair", "--to", "Anna")
	again[1] += "-again"
	confirm := start(t, args("Anna", "pair", "confirm", "--to", "Ben")...)
	ask := start(t, again...)
	ask.object("pairing", "waiting")
	confirm.object("pairing", "asked")
}

// TestPair_ByLink verifies in one step.
func TestPair_ByLink(t *testing.T) {
	args := common(t)
	a := start(t, args("Anna", "--visible", "nobody", "pair", "link")...)
	m := make(chan map[string]any, 1)
	go func() { m <- a.object("link", "") }()
	select {
	case l := <-m:
		b := start(t, args("Ben", "pair", "--to", "-")...)
		b.say(fmt.Sprint(l["link"]))
		b.object("verified", "")
		a.object("verified", "")
		for _, s := range []*shell{a, b} {
			if code := <-s.code; code != exitDone {
				t.Errorf("exit code %d", code)
			}
		}
	case code := <-a.code:
		if code != exitFailed {
			t.Fatalf("exit code %d", code)
		}
		t.Skip("no address but loopback")
	}
}

// TestPair_LinkAsAnArgumentIsRefused: links are rejected as arguments, which every program on the machine can read.
func TestPair_LinkAsAnArgumentIsRefused(t *testing.T) {
	args := common(t)
	for _, link := range []string{"multipeer://x/?at=127.0.0.1:1&s=y", " Multipeer://x/?s=y", "multipeer:x"} {
		var said strings.Builder
		code := Run(t.Context(), args("Ben", "pair", "--to", link), strings.NewReader(""), io.Discard, &said)
		if code != exitUsage || !strings.Contains(said.String(), "pair --to -'") || strings.Contains(said.String(), link) {
			t.Errorf("%q: exit code %d, %q", link, code, said.String())
		}
	}
	for in, want := range map[string]int{"": exitFailed, "no link\n": exitUsage, strings.Repeat("x", 10_000): exitUsage} {
		if code := Run(t.Context(), args("Ben", "pair", "--to", "-"), strings.NewReader(in), io.Discard, io.Discard); code != want {
			t.Errorf("%.20q: exit code %d, want %d", in, code, want)
		}
	}
}
