package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/singleinstance"

	"github.com/spf13/cobra"
)

// Host is a program that uses a profile: the window, serve or receive. While it runs, command lines for that profile are
// executed in it, with its engine, because only one engine at a time can use a profile.
type Host struct {
	Engine  *engine.Engine
	History *history.Store // of the program's conversations; nil if it stores none
	Profile string         // the folder of the profile
	OwnPort bool           // the user has chosen the port
	// Interfaces are the network interfaces that the program was configured to use; none means all.
	Interfaces []string
	Stop       func() // ends the program; nil if only the user can
	// LocalSend is the program's gateway to devices with LocalSend; nil if it has none.
	LocalSend *localsend.Gateway

	receivers atomic.Int32  // number of commands that receive files and answer invitations in place of the host
	left      chan struct{} // signals that one of these commands no longer answers; set by Start
}

// answersAgain is called when a command that answered in place of the host no longer does so.
func (h *Host) answersAgain() {
	h.receivers.Add(-1)
	select {
	case h.left <- struct{}{}:
	default:
	}
}

// Start accepts command lines. Call it as soon as the engine runs. The caller must call end before the engine ends: it
// interrupts running commands and waits for them and their output. The error is the reason why no commands can be
// accepted; the host can continue without them.
func (h *Host) Start(ctx context.Context) (end func(), err error) {
	h.left = make(chan struct{}, 1)
	l, err := singleinstance.ListenCommands(h.Profile)
	if err != nil {
		return func() {}, fmt.Errorf("other multipeer-cli commands cannot use this profile while this one is running: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		awaitRunning(ctx, h.Engine)
		l.Run(ctx, h.run)
	}()
	return func() { cancel(); <-done }, nil
}

// run executes one command line. A panic ends only this command, not the host.
func (h *Host) run(ctx context.Context, c singleinstance.Command, s singleinstance.Streams) (code int) {
	out := newPrinter(s.Out, s.Err)
	out.tty = c.TTY
	out.columns = func() (int, int) { return c.OutColumns, c.ErrColumns }
	defer func() {
		if fault := recover(); fault != nil {
			_, _ = fmt.Fprintf(s.Err, "multipeer-cli: an internal error in this program; please report it: %v\n%s", fault, debug.Stack())
			code = exitFailed
		}
	}()
	p := &program{in: s.In, out: out, dir: c.Dir, host: h, keyboard: c.Typed}
	code = p.run(ctx, c.Args)
	if code == exitDone && ctx.Err() != nil && !errors.Is(context.Cause(ctx), singleinstance.ErrInterrupted) && !p.stopped {
		out.note("Multipeer is quitting; this command stopped before it finished")
		return exitFailed
	}
	return code
}

// alone marks the commands that need no engine, or their own one.
var alone = map[string]string{"alone": "yes"}

// elsewhere runs the command line in the program that uses the profile, if there is one.
func (p *program) elsewhere(cmd *cobra.Command, args []string) error {
	if p.host != nil {
		return p.hosted(cmd)
	}
	dir, err := p.profileDir()
	if err != nil || cmd.Annotations["alone"] != "" || cmd.Name() == "api" && p.profile == "" {
		return nil // the command itself reports the error
	}
	outColumns, errColumns := p.out.columns()
	command := singleinstance.Command{Args: args, Dir: p.dir, TTY: p.out.tty, OutColumns: outColumns, ErrColumns: errColumns, Typed: p.typed()}
	code, there, err := singleinstance.Call(cmd.Context(), dir, command, singleinstance.Streams{In: p.in, Out: p.out.out, Err: p.out.err, DropTyped: p.dropTyped})
	switch {
	case !there:
		return nil
	case err != nil:
		return exit(exitFailed, err)
	}
	return &done{code}
}

// done is the result of a command that ran in another process and has printed everything.
type done struct{ code int }

func (d *done) Error() string { return fmt.Sprintf("exit code %d", d.code) }

// hosted rejects commands and flags that need their own engine.
func (p *program) hosted(cmd *cobra.Command) error {
	if cmd.Annotations["alone"] != "" && !cmd.Flags().Changed("stop") { // serve --stop is meant for the running program
		return exit(exitUsage, fmt.Errorf("%s cannot run while another program uses this profile; quit that program, or use another --profile", cmd.Name()))
	}
	for _, name := range []string{"service", "interface", "port", "visible", "verbose", "localsend", "localsend-pin"} {
		if cmd.Flags().Changed(name) {
			return exit(exitUsage, fmt.Errorf("--%s: Multipeer is already running with this profile and keeps the settings it was started with; quit it, or use another --profile", name))
		}
	}
	return nil
}

// workingDir returns the base for relative paths, or "" if it is unknown.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}

// awaitRunning waits until the port is open.
func awaitRunning(ctx context.Context, e *engine.Engine) {
	for range e.WatchState(ctx) {
		if e.Self().Running {
			return
		}
	}
}
