// Package cli is the terminal program: a command line goes in, text or JSON and
// an exit code come out. It runs a command with an engine of its own, or, if a
// [Host] runs with the same profile already, in that one.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

// Exit codes, a contract.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitDeclined = 4
)

// exitError is an error with the exit code it stands for.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code, err} }

// program is one invocation.
type program struct {
	in      io.Reader
	out     *printer
	profile string
	name    string
	service string
	peers   []string
	ifaces  []string
	port    int
	verbose bool
	visible string
	dir     string // in which relative paths begin
	host    *Host  // in which it runs; nil is alone
}

// Run executes one command line and returns its exit code:
//
//	0  done
//	1  failed
//	2  wrong usage
//	3  peer not found
//	4  declined or cancelled by the other side
//
// The end of ctx interrupts it.
func Run(ctx context.Context, args []string, in io.Reader, stdout, stderr io.Writer) int {
	return (&program{in: in, out: newPrinter(stdout, stderr), dir: workingDir()}).run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.elsewhere(cmd, args) }
	root.SetArgs(args)
	root.SetOut(p.out.out)
	root.SetErr(p.out.err)
	cmd, err := root.ExecuteContextC(ctx)
	if errors.Is(err, engine.ErrInUse) && p.host == nil { // by a program that has just begun, and listens by now
		if elsewhere := p.elsewhere(cmd, args); elsewhere != nil {
			err = elsewhere
		}
	}
	if err == nil {
		return exitDone
	}
	var d *done
	if errors.As(err, &d) {
		return d.code
	}
	var e *exitError
	if !errors.As(err, &e) {
		// What does not come from a command comes from reading the command line.
		e = &exitError{exitUsage, fmt.Errorf("%w\nRun 'multipeer-cli --help' for the commands", err)}
	}
	p.out.failure(e)
	return e.code
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "multipeer-cli",
		Short: "Messages and files between devices on the same network: no server, no account",
		Long: `multipeer-cli finds the devices nearby that run Multipeer and talks to them, with no server
and no account. The window and this program are the same engine.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 peer not found, 4 declined or cancelled by the other side.`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVar(&p.profile, "profile", "", "folder with this peer's identity; made on first use (default: "+defaultProfileText+")")
	f.StringVar(&p.name, "name", "", "name that others see, kept in the profile")
	f.StringVar(&p.service, "service", engine.DefaultService, "service type: only peers of the same type find each other")
	f.StringArrayVar(&p.peers, "peer", nil, "connect to HOST:PORT, where peers cannot be found by multicast (repeatable)")
	f.StringSliceVar(&p.ifaces, "interface", nil, "find peers on these network interfaces only")
	f.IntVar(&p.port, "port", 0, fmt.Sprintf("UDP port; 0 is %d, or any free one if that is taken", engine.DefaultPort))
	f.BoolVar(&p.out.json, "json", false, "one JSON object a line on standard output, and nothing else there")
	f.StringVar(&p.visible, "visible", "everyone", "who may see this peer: everyone, known or nobody")
	f.BoolVar(&p.verbose, "verbose", false, "log what happens to standard error")
	root.AddCommand(p.idCommand(), p.peersCommand(), p.receiveCommand(), p.sendCommand(), p.outboxCommand(), p.chatCommand(), p.pingCommand(), p.trustCommand(), p.pairCommand(), p.autoCommand(), p.doctorCommand(), p.serveCommand(), p.historyCommand(), manCommand())
	return root
}

const defaultProfileText = "multipeer in the system's folder for settings"

func (p *program) profileDir() (string, error) {
	if p.profile != "" {
		return p.profile, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for settings: %w; give --profile DIR", err)
	}
	return filepath.Join(dir, "multipeer"), nil
}

// path makes a path that a person has given whole.
func (p *program) path(s string) string {
	if filepath.IsAbs(s) || p.dir == "" {
		return s
	}
	return filepath.Join(p.dir, s)
}

// open makes the engine; the caller runs or closes it.
func (p *program) open(cfg engine.Config) (*engine.Engine, error) {
	dir, err := p.profileDir()
	if err != nil {
		return nil, exit(exitFailed, err)
	}
	cfg.Profile, cfg.Name, cfg.Service, cfg.Dial, cfg.Interfaces, cfg.Port = dir, p.name, p.service, p.peers, p.ifaces, p.port
	switch p.visible {
	case "everyone":
	case "known":
		cfg.Visible = engine.VisibleToKnown
	case "nobody":
		cfg.Visible = engine.VisibleToNobody
	default:
		return nil, exit(exitUsage, fmt.Errorf("--visible %q: everyone, known or nobody", p.visible))
	}
	for _, address := range p.peers {
		if _, _, err := engine.ParseAddress(address); err != nil {
			return nil, exit(exitUsage, err)
		}
	}
	if p.verbose {
		cfg.Log = slog.New(slog.NewTextHandler(p.out.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	e, err := engine.New(cfg)
	switch {
	case errors.Is(err, engine.ErrInvalid):
		return nil, exit(exitUsage, err)
	case errors.Is(err, engine.ErrInUse):
		return nil, exit(exitFailed, fmt.Errorf("%w ('multipeer-cli serve --stop' ends a serve)", err))
	case err != nil:
		return nil, exit(exitFailed, err)
	}
	if p.name != "" {
		if err := e.SetName(p.name); err != nil {
			_ = e.Close()
			return nil, exit(exitFailed, err)
		}
	}
	return e, nil
}

// still gives f an engine that does not run, or the host's.
func (p *program) still(f func(*engine.Engine) error) error {
	if p.host != nil {
		return p.inHost(f)
	}
	e, err := p.open(engine.Config{})
	if err != nil {
		return err
	}
	return errors.Join(f(e), e.Close())
}

func (p *program) inHost(f func(*engine.Engine) error) error {
	if p.name != "" {
		if err := p.host.Engine.SetName(p.name); err != nil {
			return exit(exitUsage, err)
		}
	}
	return f(p.host.Engine)
}

// with runs an engine around f, unless a host does. The engine's own failure ends f.
func (p *program) with(ctx context.Context, cfg engine.Config, f func(context.Context, *engine.Engine) error) error {
	if p.host != nil {
		return p.inHost(func(e *engine.Engine) error {
			for _, address := range p.peers {
				if _, err := p.dial(ctx, e, address); err != nil {
					return err
				}
			}
			return f(ctx, e)
		})
	}
	e, err := p.open(cfg)
	if err != nil {
		return err
	}
	// f ends before the engine does, so that it can take leave.
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		err := e.Run(running)
		if err != nil {
			cancel(exit(exitFailed, err))
		}
		ended <- err
	}()
	err = f(ctx, e)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	end()
	if runErr := <-ended; err == nil && runErr != nil {
		err = exit(exitFailed, runErr)
	}
	return err
}

// find waits until the peer that a person means is around.
func (p *program) find(ctx context.Context, e *engine.Engine, who string, wait time.Duration) (engine.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if isAddress(who) {
		return p.dial(ctx, e, who)
	}
	var why, problem error
	for ev := range e.WatchState(ctx) {
		switch ev := ev.(type) {
		case engine.Snapshot:
			problem = ev.Problem
		case engine.Problem:
			problem = ev.Err
		}
		peer, err := e.FindPeer(who)
		if err == nil {
			return peer, nil
		}
		if why = err; !errors.Is(err, engine.ErrNoPeer) {
			return engine.Peer{}, exit(exitUsage, err)
		}
	}
	what := fmt.Sprintf("no peer %q was found within %v", engine.CleanLine(who), wait)
	var here []string
	for _, peer := range e.Peers() {
		here = append(here, describe(peer))
	}
	switch {
	case why != nil && why != engine.ErrNoPeer: // another one has its name
		why = fmt.Errorf("%w; to reach that one all the same, give its ID", why)
	case problem != nil:
		why = fmt.Errorf("%s: %w", what, problem)
	case len(here) > 0:
		why = fmt.Errorf("%s, but %s; see 'multipeer-cli peers'", what, strings.Join(here[:min(len(here), 5)], ", "))
	default:
		why = fmt.Errorf("%s; see 'multipeer-cli doctor', or connect with --to HOST:PORT", what)
	}
	return engine.Peer{}, exit(exitNotFound, why)
}

func (p *program) dial(ctx context.Context, e *engine.Engine, address string) (engine.Peer, error) {
	if _, _, err := engine.ParseAddress(address); err != nil {
		return engine.Peer{}, exit(exitUsage, err)
	}
	for {
		id, err := e.Dial(ctx, address)
		if err == nil {
			if peer, ok := e.Peer(id); ok {
				return peer, nil
			}
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				err = engine.ErrTimeout
			}
			if unknown := new(net.DNSError); errors.As(err, &unknown) {
				return engine.Peer{}, exit(exitNotFound, fmt.Errorf("%s is no name that can be resolved here: check how it is written, or give the IP address", engine.CleanLine(unknown.Name)))
			}
			return engine.Peer{}, exit(exitNotFound, fmt.Errorf("nobody answers at %s: %w; is Multipeer running there, and does its firewall let UDP through?", engine.CleanLine(address), err))
		}
	}
}

// failed gives an error of the engine its exit code.
func failed(err error) error {
	var e *exitError
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, engine.ErrNoPeer):
		return exit(exitNotFound, err)
	case errors.Is(err, engine.ErrDeclined), errors.Is(err, engine.ErrCancelled):
		return exit(exitDeclined, err)
	case errors.Is(err, engine.ErrInvalid):
		return exit(exitUsage, err)
	}
	return exit(exitFailed, err)
}
