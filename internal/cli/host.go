package cli

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/instance"

	"github.com/spf13/cobra"
)

// Host is a program that runs with a profile: the window, or serve. While it does, the command lines that are given for
// the profile run in it, with its engine: a profile has one engine at a time.
type Host struct {
	Engine  *engine.Engine
	History *history.Store // of its conversations
	Profile string         // its folder
	OwnPort bool           // somebody has chosen its port
	// Interfaces are those that it was told to use; none is all.
	Interfaces []string
	Stop       func() // ends it; nil if a person does that

	receivers atomic.Int32 // commands that take files and answer invitations in its place
}

// Start takes command lines from the moment the engine runs. The caller calls end, before the engine ends: it interrupts
// those that are not done, and waits for them and their last words. An error says why there can be none; the host goes on
// without.
func (h *Host) Start(ctx context.Context) (end func(), err error) {
	l, err := instance.ListenCommands(h.Profile)
	if err != nil {
		return func() {}, fmt.Errorf("multipeer-cli cannot be used beside this program: %w", err)
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

func (h *Host) run(ctx context.Context, c instance.Command, s instance.Streams) int {
	out := newPrinter(s.Out, s.Err)
	out.tty = c.TTY
	return (&program{in: s.In, out: out, dir: c.Dir, host: h}).run(ctx, c.Args)
}

// alone marks the commands that need no engine, or one of their own.
var alone = map[string]string{"alone": "yes"}

// elsewhere runs the command line in the program that runs with the profile, if there is one.
func (p *program) elsewhere(cmd *cobra.Command, args []string) error {
	if p.host != nil {
		return p.hosted(cmd)
	}
	dir, err := p.profileDir()
	if err != nil || cmd.Annotations["alone"] != "" {
		return nil // the command itself says it
	}
	code, there, err := instance.Call(cmd.Context(), dir, instance.Command{Args: args, Dir: p.dir, TTY: p.out.tty}, instance.Streams{In: p.in, Out: p.out.out, Err: p.out.err})
	switch {
	case !there:
		return nil
	case err != nil:
		return exit(exitFailed, err)
	}
	return &done{code}
}

// done is the end of a command that ran elsewhere, and has said all there is to say.
type done struct{ code int }

func (d *done) Error() string { return fmt.Sprintf("exit code %d", d.code) }

// hosted refuses what only a program with an engine of its own can decide.
func (p *program) hosted(cmd *cobra.Command) error {
	if cmd.Annotations["alone"] != "" && !cmd.Flags().Changed("stop") { // serve --stop is for who runs
		return exit(exitUsage, fmt.Errorf("%s does not run in another program", cmd.Name()))
	}
	for _, name := range []string{"service", "interface", "port", "visible", "verbose"} {
		if cmd.Flags().Changed(name) {
			return exit(exitUsage, fmt.Errorf("--%s: Multipeer runs already with this profile, and what it was started with counts; end it, or give another --profile", name))
		}
	}
	return nil
}

// workingDir is where relative paths begin; empty if that cannot be known, and then they do not.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}
