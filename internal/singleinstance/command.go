package singleinstance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"multipeer/internal/rawpath"
)

// Commands reach the program that uses a profile over a second socket: the caller sends a Command and then frames. The
// program answers with frames: the first one states whether it runs the command, the last one contains the exit code.
// All are JSON values, one per line.

const (
	commandSocket = "control.sock"
	// maxChunk is how much of a stream goes into a frame, in bytes.
	maxChunk = 32 << 10
	// commandsAtOnce limits how many commands run at the same time.
	commandsAtOnce = 32
	// leave is how long an interrupted command may take to end.
	leave = 15 * time.Second
)

// Command is a command line of the command-line tool, to be run by another process of the same user.
type Command struct {
	Args []string `json:"args"`
	Dir  string   `json:"dir"` // base of relative paths
	TTY  bool     `json:"tty"` // its standard error is a terminal
	// OutColumns and ErrColumns are the widths of the terminals that standard output and standard error are; 0 if it is
	// not a terminal.
	OutColumns int `json:"out_columns,omitempty"`
	ErrColumns int `json:"err_columns,omitempty"`
	// Typed reports that its standard input is a terminal.
	Typed bool `json:"typed,omitempty"`
}

// ErrInterrupted is the cause of the end of a command's context when its caller interrupts it or is gone.
var ErrInterrupted = errors.New("the caller has interrupted the command")

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// DropTyped, given to Call, drops what was typed on the terminal and not read. The In of a running command has it as
	// a method. It may be nil.
	DropTyped func()
}

// frame is one step of a command, in either direction.
type frame struct {
	Begun     bool   `json:"begun,omitempty"` // from the program, first: it runs the command
	Full      bool   `json:"full,omitempty"`  // or it does not, because too many commands are running
	In        []byte `json:"in,omitempty"`    // to the command: its standard input
	EOF       bool   `json:"eof,omitempty"`
	Fail      string `json:"fail,omitempty"` // to the command: why standard input cannot be read
	Interrupt bool   `json:"interrupt,omitempty"`
	Want      bool   `json:"want,omitempty"` // from the program: it wants input; sent once for each In or EOF
	Drop      bool   `json:"drop,omitempty"` // from the program: what was typed and not read is to be dropped
	Out       []byte `json:"out,omitempty"`
	Err       []byte `json:"err,omitempty"`
	Code      *int   `json:"code,omitempty"`
}

// Call runs a command in the program that uses the profile, and returns its exit code; found is false if no program
// does. Standard input is read only when the command reads it. When ctx ends, the command is interrupted and has 15 s
// to end. A goroutine that is blocked reading In may be left behind.
//
// If the program exits before it begins the command, Call tries again: it reaches the next program, or finds that none
// is listening.
func Call(ctx context.Context, profile string, c Command, s Streams) (code int, found bool, err error) {
	for deadline := time.Now().Add(patience); ; {
		code, found, err = call(ctx, profile, c, s)
		if !errors.Is(err, errNotBegun) || time.Now().After(deadline) {
			return code, found, err
		}
		select {
		case <-time.After(endingPause):
		case <-ctx.Done():
			return code, found, err
		}
	}
}

// errNotBegun reports that the program exited before it began the command.
var errNotBegun = errors.New("the program that used this profile has just exited; try again")

// endingPause is the time between two attempts to reach a program that is exiting.
const endingPause = 50 * time.Millisecond

func call(ctx context.Context, profile string, c Command, s Streams) (code int, found bool, err error) {
	conn, err := dial(profile, commandSocket)
	if err != nil {
		return 0, false, nil // no program listens
	}
	defer conn.Close()
	var mu sync.Mutex
	enc := json.NewEncoder(conn)
	send := func(v any) error {
		mu.Lock()
		defer mu.Unlock()
		return enc.Encode(v)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(patience)) // for example if the program is suspended
	c.Args, c.Dir = rawpath.EncodeAll(c.Args), rawpath.Encode(c.Dir)
	switch err := send(c); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, true, fmt.Errorf("the running program does not respond: %w", err)
	case err != nil:
		return 0, true, fmt.Errorf("%w: %w", errNotBegun, err)
	}
	_ = conn.SetWriteDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Now().Add(leave))
		_ = send(frame{Interrupt: true})
	})()
	wants := make(chan struct{}, 1)
	defer close(wants)
	go func() { // it may stay blocked in Read
		buf := make([]byte, maxChunk)
		for range wants {
			n, err := s.In.Read(buf)
			f := frame{In: buf[:n], EOF: errors.Is(err, io.EOF)}
			if err != nil && !f.EOF {
				f.Fail = err.Error()
			}
			if send(f) != nil {
				return
			}
		}
	}()
	dec := json.NewDecoder(conn)
	var first frame
	begin := time.AfterFunc(patience, func() { _ = conn.SetDeadline(time.Now()) })
	err = dec.Decode(&first)
	switch {
	case !begin.Stop():
		return 0, true, errors.New("the program that uses this profile does not answer; resume it if it is suspended, or quit it")
	case err != nil:
		return 0, true, fmt.Errorf("%w: %w", errNotBegun, err)
	case first.Full:
		return 0, true, fmt.Errorf("%d commands are already running with this profile; wait until one has ended", commandsAtOnce)
	case !first.Begun:
		return 0, true, errors.New("the program that uses this profile is a different version of Multipeer; quit it, then try again")
	}
	for {
		var f frame
		if err := dec.Decode(&f); err != nil {
			return 0, true, fmt.Errorf("the program that ran the command has exited: %w", err)
		}
		if f.Drop && s.DropTyped != nil {
			s.DropTyped()
		}
		_, _ = s.Out.Write(f.Out)
		_, _ = s.Err.Write(f.Err)
		if f.Want {
			select {
			case wants <- struct{}{}:
			default: // already requested
			}
		}
		if f.Code != nil {
			return *f.Code, true, nil
		}
	}
}

// Commands accepts commands.
type Commands struct{ l net.Listener }

// ListenCommands starts to listen for commands with the profile, as Listen does for launches.
func ListenCommands(profile string) (*Commands, error) {
	l, err := listen(profile, commandSocket)
	if err != nil {
		return nil, err
	}
	return &Commands{l}, nil
}

// Close closes Commands that were never run.
func (l *Commands) Close() error { return l.l.Close() }

// Run calls do for each command, on its own goroutine, until ctx ends; then it interrupts the running ones and waits
// for them. The context passed to do ends when the caller interrupts the command or disconnects; do returns the exit
// code.
func (l *Commands) Run(ctx context.Context, do func(context.Context, Command, Streams) int) {
	full := func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(patience))
		_ = json.NewEncoder(conn).Encode(frame{Full: true})
		_ = json.NewDecoder(conn).Decode(&Command{}) // closing a connection with unread data discards what was written
	}
	serve(ctx, l.l, commandsAtOnce, full, func(conn net.Conn) {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		dec := json.NewDecoder(conn)
		var c Command
		if dec.Decode(&c) != nil {
			return
		}
		c.Args, c.Dir = rawpath.DecodeAll(c.Args), rawpath.Decode(c.Dir)
		_ = conn.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		// If ctx ends, writing ends too, in case the caller does not read.
		defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(leave)) })()
		var mu sync.Mutex
		enc := json.NewEncoder(conn)
		send := func(f frame) error {
			mu.Lock()
			defer mu.Unlock()
			return enc.Encode(f)
		}
		if send(frame{Begun: true}) != nil {
			return
		}
		in := &input{ctx: ctx, want: func() error { return send(frame{Want: true}) }, drop: func() { _ = send(frame{Drop: true}) }, came: make(chan frame, 1)}
		var heard sync.WaitGroup
		heard.Go(func() {
			defer cancel(ErrInterrupted) // the caller has disconnected
			for {
				var f frame
				if dec.Decode(&f) != nil {
					return
				}
				if f.Interrupt {
					cancel(ErrInterrupted)
					continue
				}
				select {
				case in.came <- f:
				default: // not requested
				}
			}
		})
		code := do(ctx, c, Streams{
			In:  in,
			Out: writer(func(b []byte) error { return send(frame{Out: b}) }),
			Err: writer(func(b []byte) error { return send(frame{Err: b}) }),
		})
		_ = send(frame{Code: &code})
		_ = conn.Close()
		heard.Wait()
	})
}

// input is the standard input of a command. Each read requests more from the caller. It ends with the command.
type input struct {
	ctx  context.Context
	want func() error
	drop func()
	came chan frame
	rest []byte
	end  error // after rest; nil if more may come
}

// DropTyped drops what was typed on the caller's terminal and not read.
func (i *input) DropTyped() { i.drop() }

func (i *input) Read(b []byte) (int, error) {
	for len(i.rest) == 0 {
		if i.end != nil {
			return 0, i.end
		}
		if err := i.want(); err != nil {
			return 0, err
		}
		select {
		case f := <-i.came:
			i.rest = f.In
			switch {
			case f.EOF:
				i.end = io.EOF
			case f.Fail != "":
				i.end = errors.New(f.Fail)
			}
		case <-i.ctx.Done():
			return 0, context.Cause(i.ctx)
		}
	}
	n := copy(b, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

// writer sends the written data in chunks.
type writer func([]byte) error

func (w writer) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), maxChunk)]
		if err := w(part); err != nil {
			return n, err
		}
		n, b = n+len(part), b[len(part):]
	}
	return n, nil
}
