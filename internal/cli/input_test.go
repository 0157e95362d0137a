package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

func collect(t *testing.T, in io.Reader, limit int) (out []inputLine) {
	t.Helper()
	for l := range readLines(t.Context(), in, limit) {
		out = append(out, l)
	}
	return out
}

// TestInput_ContinuesAfterATooLongLine: reading continues, and the line is reported with its number and size.
func TestInput_ContinuesAfterATooLongLine(t *testing.T) {
	broken := errors.New("input/output error")
	fits := strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		in   io.Reader
		want []inputLine
	}{
		"nothing":         {strings.NewReader(""), nil},
		"empty lines":     {strings.NewReader("\n\r\n"), []inputLine{{number: 1, size: 1}, {number: 2, size: 2}}},
		"no break":        {strings.NewReader("a\nb"), []inputLine{{number: 1, text: "a", size: 2}, {number: 2, text: "b", size: 1}}},
		"just fits":       {strings.NewReader(fits + "\r\nb\n"), []inputLine{{number: 1, text: fits, size: 102}, {number: 2, text: "b", size: 2}}},
		"one too many":    {strings.NewReader("a\n" + fits + "x\nb\n"), []inputLine{{number: 1, text: "a", size: 2}, {number: 2, size: 102, long: true}, {number: 3, text: "b", size: 2}}},
		"far too many":    {strings.NewReader(strings.Repeat("y", 1<<20) + "\nb"), []inputLine{{number: 1, size: 1<<20 + 1, long: true}, {number: 2, text: "b", size: 1}}},
		"long at the end": {strings.NewReader("a\n" + strings.Repeat("y", 200_000)), []inputLine{{number: 1, text: "a", size: 2}, {number: 2, size: 200_000, long: true}}},
		"read error":      {io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), []inputLine{{number: 1, text: "a", size: 2}, {number: 2, err: broken}}},
		"byte by byte":    {iotest.OneByteReader(strings.NewReader("a\n" + fits + "x\nb\n")), []inputLine{{number: 1, text: "a", size: 2}, {number: 2, size: 102, long: true}, {number: 3, text: "b", size: 2}}},
	} {
		got := collect(t, c.in, 100)
		if len(got) != len(c.want) {
			t.Errorf("%s: %d lines, want %d: %+v", name, len(got), len(c.want), got)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: line %d is %+v, want %+v", name, i+1, got[i], c.want[i])
			}
		}
	}
}

// TestInput_TooLongLineTakesNoMemory: a skipped line is not kept.
func TestInput_TooLongLineTakesNoMemory(t *testing.T) {
	before, after := new(runtime.MemStats), new(runtime.MemStats)
	in := bufio.NewReaderSize(io.LimitReader(endless{}, 64<<20), 64<<10)
	runtime.ReadMemStats(before)
	line, err := readLine(in, maxLine)
	runtime.ReadMemStats(after)
	if !line.long || line.size != 64<<20 || err != io.EOF {
		t.Errorf("%+v, %v", line, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("%d bytes for a line of 64 MiB", took)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestInput_TooLongLineIsNamed(t *testing.T) {
	got := inputLine{number: 3, size: 1_100_001, long: true}.tooLong().Error()
	if want := "line 3 is 1.1 MB long; a message can have at most 1,048,560 bytes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// brokenWriter fails after a number of bytes.
type brokenWriter struct {
	room int
	err  error
}

func (w *brokenWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.room)
	if w.room -= n; n < len(b) {
		return n, w.err
	}
	return n, nil
}

// TestOutput_WriteErrorGivesAnExitCode: each command that prints returns an exit code and a message, wherever the
// output breaks.
func TestOutput_WriteErrorGivesAnExitCode(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "p")
	id := "aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73"
	commands := map[string][]string{
		"id": {"id"}, "help": {"--help"}, "help of a command": {"send", "--help"}, "completion": {"completion", "bash"}, "trust": {"trust", id, "verified"}, "auto": {"auto", id},
		"history": {"history"}, "a failure": {"send", "--to", "x", "missing"},
	}
	for _, reason := range []error{syscall.EPIPE, syscall.ENOSPC, os.ErrClosed} {
		for name, args := range commands {
			for _, asJSON := range []bool{false, true} {
				for _, room := range []int{0, 7} {
					args := append([]string{"--profile", profile}, args...)
					if asJSON {
						args = append(args, "--json")
					}
					var whole, said strings.Builder
					code := Run(t.Context(), args, strings.NewReader(""), &whole, io.Discard)
					if whole.Len() <= room {
						continue // it prints nothing there, or the output fits
					}
					got := Run(t.Context(), args, strings.NewReader(""), &brokenWriter{room, reason}, &said)
					if got != exitFailed || !strings.Contains(said.String(), "standard output: "+reason.Error()) {
						t.Errorf("%s (json %v, room for %d, else %d): exit code %d, %q", name, asJSON, room, code, got, said.String())
					}
				}
			}
		}
	}
}

// TestArguments_EmptyOnesAreRefused: empty arguments are rejected with the likely reason, because they would have
// another meaning.
func TestArguments_EmptyOnesAreRefused(t *testing.T) {
	dir := t.TempDir()
	profile := filepath.Join(dir, "p")
	for _, args := range [][]string{
		{"send", "--to", "x", ""},
		{"send", "--to", "x", dir, ""},
		{"send", "--to", "", dir},
		{"receive", "--into", ""},
		{"receive", "--into="},
		{"serve", "--into", ""},
		{"serve", "--at-login", "on", "--into", ""},
		{"serve", "--at-login", ""},
		{"auto", "x", "--up-to", "1GB", "--into", ""},
		{"auto", "x", "--up-to", ""},
		{"auto", ""},
		{"chat", "--to", ""},
		{"ping", "--to", ""},
		{"pair", "--to", ""},
		{"pair", "confirm", "--to", ""},
		{"doctor", "--to", ""},
		{"history", "--with", ""},
		{"history", "--search", ""},
		{"outbox", "--drop", ""},
		{"trust", "", "seen"},
		{"id", "--profile", ""},
		{"id", "--interface", ""},
		{"id", "--peer", ""},
		{"id", "--service", ""},
		{"man", ""},
	} {
		if args[0] != "id" || args[1] != "--profile" {
			args = append([]string{"--profile", profile}, args...)
		}
		var said strings.Builder
		if code := Run(t.Context(), args, strings.NewReader(""), io.Discard, &said); code != exitUsage || !strings.Contains(said.String(), "is a shell variable unset?") {
			t.Errorf("%q: exit code %d, %q", args, code, said.String())
		}
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("%v was made", found)
	}
}

// TestChat_ContinuesAfterATooLongLine: the lines before and after it arrive, and the exit code reports that one did
// not.
func TestChat_ContinuesAfterATooLongLine(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "chat")...)
	a := start(t, args("Anna", "chat", "--to", "Ben")...)
	b.object("connected", "")
	long := strings.Repeat("x", 1_100_000)
	go func() { a.say("first"); a.say(long); a.say("last"); _ = a.in.Close() }()
	for _, want := range []string{"first", "last"} {
		if got := fmt.Sprint(b.object("message", "")["body"]); got != "map[text:"+want+"]" {
			t.Errorf("%s, want %s", got, want)
		}
	}
	refused, delivered := 0, 0 // a refusal is known at once, a delivery once it is confirmed
	for range 3 {
		switch sent := a.object("sent", ""); {
		case sent["delivered"] == true:
			delivered++
		case sent["error"] == "line 2 is 1.1 MB long; a message can have at most 1,048,560 bytes":
			refused++
		default:
			t.Errorf("%v", sent)
		}
	}
	if refused != 1 || delivered != 2 {
		t.Errorf("%d refused, %d delivered", refused, delivered)
	}
	if code := <-a.code; code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	_ = b.in.Close()
	if code := <-b.code; code != exitDone {
		t.Errorf("the other side: exit code %d", code)
	}
}

// TestPrompt_ContinuesAfterATooLongLine: a line that is too long does not stop further questions.
func TestPrompt_ContinuesAfterATooLongLine(t *testing.T) {
	args := common(t)
	b := start(t, args("Ben", "receive", "--once", "--into", t.TempDir())...)
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, args("Anna", "send", "--to", "Ben", file)...)
	b.object("transfer", "")
	go func() { b.say(strings.Repeat("x", 1_100_000)); b.say("y") }()
	for who, s := range map[string]*shell{"sender": a, "receiver": b} {
		go func() {
			for range s.out {
			}
		}()
		if code := <-s.code; code != exitDone {
			t.Errorf("the %s: exit code %d", who, code)
		}
	}
}

// TestInput_ReadErrorGivesAnExitCode: a read error gives an exit code if the command needs input.
func TestInput_ReadErrorGivesAnExitCode(t *testing.T) {
	args := common(t)
	var said strings.Builder
	in := iotest.ErrReader(syscall.EIO)
	if code := Run(t.Context(), args("Anna", "chat"), in, io.Discard, &said); code != exitFailed || !strings.Contains(said.String(), "standard input cannot be read: input/output error") {
		t.Errorf("chat: exit code %d, %q", code, said.String())
	}
}
