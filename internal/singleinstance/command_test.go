package singleinstance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// program listens with a profile until the test ends.
func program(t *testing.T, do func(context.Context, Command, Streams) int) (profile string, end func()) {
	t.Helper()
	profile = privateDir(t)
	l, err := ListenCommands(profile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx, do) }()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return profile, end
}

// TestCommand_RunsInTheOtherProcess: arguments, folder, input, both outputs and the exit code are passed on, whatever
// their size.
func TestCommand_RunsInTheOtherProcess(t *testing.T) {
	profile, _ := program(t, func(_ context.Context, c Command, s Streams) int {
		fmt.Fprintf(s.Out, "%q in %s, tty %v\n", c.Args, c.Dir, c.TTY)
		n, err := io.Copy(s.Out, s.In)
		fmt.Fprintf(s.Err, "%d %v", n, err)
		return 4
	})
	in := strings.Repeat("line\n", 100_000)
	var out, errs bytes.Buffer
	code, there, err := Call(t.Context(), profile, Command{Args: []string{"a b", "ü\n"}, Dir: "/x", TTY: true}, Streams{In: strings.NewReader(in), Out: &out, Err: &errs})
	if code != 4 || !there || err != nil {
		t.Fatal(code, there, err)
	}
	if want := "[\"a b\" \"ü\\n\"] in /x, tty true\n" + in; out.String() != want {
		t.Errorf("%d bytes of output, want %d", out.Len(), len(want))
	}
	if want := fmt.Sprintf("%d <nil>", len(in)); errs.String() != want {
		t.Errorf("standard error %q, want %q", errs.String(), want)
	}
}

// TestCommand_ReadsNoMoreInputThanItAsksFor: the remaining input may belong to another command.
func TestCommand_ReadsNoMoreInputThanItAsksFor(t *testing.T) {
	profile, _ := program(t, func(context.Context, Command, Streams) int { return 0 })
	in := strings.NewReader("for the next command")
	if code, there, err := Call(t.Context(), profile, Command{}, Streams{In: in, Out: io.Discard, Err: io.Discard}); code != 0 || !there || err != nil {
		t.Fatal(code, there, err)
	}
	if in.Len() != len("for the next command") {
		t.Error("the input was read")
	}
}

// TestCommand_Interruptions covers interrupts by the caller and by the program, and a caller that disconnects; also
// while no one reads the input or the output.
func TestCommand_Interruptions(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	do := func(ctx context.Context, c Command, s Streams) int {
		started <- struct{}{}
		if c.Dir == "reads" {
			_, err := bufio.NewReader(s.In).ReadString('\n')
			ended <- err
			return 7
		}
		<-ctx.Done()
		fmt.Fprint(s.Out, "interrupted")
		ended <- ctx.Err()
		return 7
	}
	for _, dir := range []string{"waits", "reads"} {
		profile, end := program(t, do)
		ctx, cancel := context.WithCancel(t.Context())
		type result struct {
			code int
			err  error
		}
		got := make(chan result, 1)
		call := func() {
			r, _ := io.Pipe()
			code, _, err := Call(ctx, profile, Command{Dir: dir}, Streams{In: r, Out: io.Discard, Err: io.Discard})
			got <- result{code, err}
		}
		go call()
		<-started
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("%s: the command was not interrupted", dir)
		}
		if r := <-got; r.code != 7 || r.err != nil {
			t.Errorf("%s: the caller's interruption: %+v", dir, r)
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		go call()
		<-started
		end()
		<-ended
		if r := <-got; r.code != 7 || r.err != nil {
			t.Errorf("%s: the program's end: %+v", dir, r)
		}
		if _, there, _ := Call(t.Context(), profile, Command{}, Streams{}); there {
			t.Error("it listens after its end")
		}
	}
	// The caller is killed.
	profile, _ := program(t, do)
	l, err := dial(profile, commandSocket)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(l, `{"dir":"waits"}`)
	<-started
	_ = l.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the command outlives its caller")
	}
}

// TestCommand_OneTooManyIsRejected: one command too many is rejected with the reason, and the running ones continue.
func TestCommand_OneTooManyIsRejected(t *testing.T) {
	running := make(chan struct{}, commandsAtOnce)
	release := make(chan struct{})
	profile, _ := program(t, func(ctx context.Context, _ Command, _ Streams) int { running <- struct{}{}; <-release; return 7 })
	codes := make(chan int, commandsAtOnce)
	for range commandsAtOnce {
		go func() {
			code, _, _ := Call(t.Context(), profile, Command{}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
			codes <- code
		}()
	}
	for range commandsAtOnce {
		<-running
	}
	if _, there, err := Call(t.Context(), profile, Command{}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}); !there || err == nil || !strings.Contains(err.Error(), "32 commands") {
		t.Error(there, err)
	}
	close(release)
	for range commandsAtOnce {
		if code := <-codes; code != 7 {
			t.Errorf("a command ended with %d", code)
		}
	}
}

// TestCommand_StoppedProgramGivesAnError: a suspended program accepts the command and never answers.
func TestCommand_StoppedProgramGivesAnError(t *testing.T) {
	profile := privateDir(t)
	l, err := ListenCommands(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	_, there, err := Call(t.Context(), profile, Command{}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	if !there || err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(there, err)
	}
	if took := time.Since(began); took > 2*patience {
		t.Errorf("it took %v", took)
	}
}

// TestCommand_ProgramThatEndsHasNotBegunIt: a program that exits before it begins the command does not run it. Then no
// program listens, or the next one runs the command.
func TestCommand_ProgramThatEndsHasNotBegunIt(t *testing.T) {
	for name, next := range map[string]bool{"nothing follows": false, "another follows": true} {
		t.Run(name, func(t *testing.T) {
			profile := privateDir(t)
			l, err := ListenCommands(profile)
			if err != nil {
				t.Fatal(err)
			}
			ran := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer close(ran)
				conn, err := l.l.Accept() // the program is exiting: it accepts the connection and does not answer
				if err != nil {
					t.Error(err)
					return
				}
				_ = l.Close()
				var second *Commands
				if next {
					if second, err = ListenCommands(profile); err != nil {
						t.Error(err)
					}
				}
				_ = conn.Close()
				if second != nil {
					second.Run(ctx, func(context.Context, Command, Streams) int { return 7 })
				}
			}()
			code, there, err := Call(t.Context(), profile, Command{Args: []string{"id"}}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
			if err != nil || there != next || next && code != 7 {
				t.Errorf("%d, there %v, %v", code, there, err)
			}
			cancel()
			<-ran
		})
	}
}

// TestCommand_ReadErrorIsNoEnd: input that cannot be read to its end must not look complete.
func TestCommand_ReadErrorIsNoEnd(t *testing.T) {
	got := make(chan error, 1)
	profile, _ := program(t, func(_ context.Context, _ Command, s Streams) int {
		b, err := io.ReadAll(s.In)
		if string(b) != "partial" {
			t.Errorf("read %q", b)
		}
		got <- err
		return 0
	})
	in := io.MultiReader(strings.NewReader("partial"), iotest.ErrReader(errors.New("input/output error")))
	if _, _, err := Call(t.Context(), profile, Command{}, Streams{In: in, Out: io.Discard, Err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err == nil || err.Error() != "input/output error" {
		t.Errorf("the command got %v", err)
	}
}
