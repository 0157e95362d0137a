// Package cli is the command-line tool: it takes a command line, and produces text or JSON and an exit code. It runs a
// command with its own engine or, if a [Host] already uses the same profile, in that host.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"multipeer/bridge/localsend"
	"multipeer/engine"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes. They are a stable interface.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitDeclined = 4
	exitPartly   = 5 // delivered, but not everything that was offered
	// exitInterrupted is 128 plus the signal number of Ctrl-C, as in shells.
	exitInterrupted = 130
)

// errInterrupted is the result of a command that was interrupted before it was done.
var errInterrupted = exit(exitInterrupted, errors.New("interrupted"))

// exitError is an error with its exit code.
type exitError struct {
	code int
	err  error
	hint string // a line of advice below the error; may be empty
}

func (e *exitError) Error() string {
	if e.hint != "" {
		return e.err.Error() + "\n" + e.hint
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code: code, err: err} }

// program is one invocation.
type program struct {
	in io.Reader
	// keyboard reports that in is typed by a person, in another process.
	keyboard      bool
	out           *printer
	profile       string
	name          string
	service       string
	peers         []string
	ifaces        []string
	port          int
	verbose       bool
	visible       string
	withLocalSend bool
	localSendPIN  string
	gives         bool               // localSendPIN is for the device that is sent to
	temporary     bool               // the identity is not that of a profile
	localSend     *localsend.Gateway // nil without --localsend
	dir           string             // base of relative paths
	host          *Host              // the host in which it runs; nil if it runs alone
	endless       bool               // the command continues even if no one reads its results
	stopped       bool               // the command has ended its host
}

// Run executes one command line and returns its exit code:
//
//	0    done
//	1    failed
//	2    wrong usage
//	3    peer not found
//	4    declined or cancelled by the other side
//	5    delivered, but not everything that was offered
//	130  interrupted before finishing
//
// When ctx ends, the command is interrupted. If standard output cannot be written, the command ends with 1.
func Run(ctx context.Context, args []string, in io.Reader, stdout, stderr io.Writer) int {
	return (&program{in: in, out: newPrinter(stdout, stderr), dir: workingDir()}).run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.out.out.onFailure(func(err error) {
		if !p.endless { // no one reads the results
			cancel(err)
			return
		}
		go p.out.note("%v; this program keeps running", err) // in a goroutine: the printer is locked
	})
	code := p.execute(ctx, args)
	if err := p.out.out.problem(); err != nil {
		p.out.failure(&exitError{code: exitFailed, err: err})
		return exitFailed
	}
	return code
}

func (p *program) execute(ctx context.Context, args []string) int {
	root := p.command()
	root.PersistentPreRunE = func(cmd *cobra.Command, given []string) error {
		if err := refuseEmpty(cmd, given); err != nil {
			return err
		}
		return p.elsewhere(cmd, args)
	}
	root.SetArgs(args)
	root.SetOut(p.out.out)
	root.SetErr(p.out.err)
	cmd, err := root.ExecuteContextC(ctx)
	if errors.Is(err, engine.ErrInUse) && p.host == nil { // in use by a program that has just started and now accepts commands
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
		// An error that does not come from a command comes from parsing the command line.
		e = &exitError{exitUsage, withSuggestions(err), "Run 'multipeer-cli --help' for the commands"}
		if slices.Contains(args, "--json") { // the flag may not have been parsed yet
			p.out.json = true
		}
	} else if len(parts(err)) > 1 {
		e = &exitError{code: gravest(err), err: err}
	}
	if p.out.out.problem() == nil { // otherwise that problem is reported
		p.out.failure(e)
	}
	return e.code
}

// gravest returns the exit code of joined errors: that of the first one that says more than that entries were left out.
func gravest(err error) int {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // what the error itself consists of
	if !ok {
		var e *exitError
		if errors.As(err, &e) {
			return e.code
		}
		return exitFailed
	}
	for _, err := range joined.Unwrap() {
		if code := gravest(err); code != exitPartly {
			return code
		}
	}
	return exitPartly
}

// withSuggestions returns an error of cobra on one line; it lists similar commands below the error.
func withSuggestions(err error) error {
	what, similar, found := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !found {
		return err
	}
	return fmt.Errorf("%s; did you mean %s?", what, strings.Join(strings.Fields(similar), " or "))
}

// refuseEmpty rejects empty arguments and flag values: most likely a shell variable is not set. An empty value would
// mean something other than what was intended, such as the current folder.
func refuseEmpty(cmd *cobra.Command, args []string) error {
	if strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) { // the shell asks what can follow
		return nil
	}
	for i, a := range args {
		if a == "" {
			return exit(exitUsage, fmt.Errorf("argument %d of %s is empty; is a shell variable unset?", i+1, cmd.Name()))
		}
	}
	var bad string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		value := valueOf(f)
		empty := value.Type() == "string" && value.String() == ""
		if list, ok := value.(pflag.SliceValue); ok {
			empty = len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
		}
		if empty && f.Name != "name" && bad == "" { // an empty name keeps the profile's name
			bad = f.Name
		}
	})
	if bad != "" {
		return exit(exitUsage, fmt.Errorf("--%s is empty; is a shell variable unset?", bad))
	}
	return nil
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "multipeer-cli",
		Short: "Messages and files between devices on the same network: no server, no account",
		Long: `multipeer-cli finds nearby devices that run Multipeer and communicates with them, without a
server or an account. The desktop app and this program use the same engine.

Exit codes: 0 done, 1 failed, 2 usage error, 3 peer not found, 4 declined or cancelled by the other side,
5 delivered but something was left out, 130 interrupted before finishing.`,
		Version: Version(), SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.StringVar(&p.profile, "profile", "", "folder that holds this peer's identity; created on first use (default: "+defaultProfileText+")")
	f.StringVar(&p.name, "name", "", "name that others see, stored in the profile")
	f.StringVar(&p.service, "service", engine.DefaultService, "service type: only peers of the same type find each other")
	f.StringArrayVar(&p.peers, "peer", nil, "connect to this address; for networks where multicast does not work (repeatable)")
	f.StringSliceVar(&p.ifaces, "interface", nil, "find peers on this network interface only (repeatable)")
	f.IntVar(&p.port, "port", 0, fmt.Sprintf("UDP port; 0 means %d, or any free port if that is taken", engine.DefaultPort))
	f.BoolVar(&p.out.json, "json", false, "print one JSON object per line to standard output, and nothing else")
	f.StringVar(&p.visible, "visible", "everyone", "who may see this peer: everyone, known or nobody")
	f.BoolVar(&p.withLocalSend, "localsend", false, "also exchange files and text with devices running LocalSend; they can see this peer")
	f.StringVar(&p.localSendPIN, "localsend-pin", "", "PIN that devices with LocalSend must enter before sending to this peer; with send, the PIN that the receiving device asks for; implies --localsend. Where other users must not read it, set "+pinVariable+" instead")
	f.BoolVar(&p.verbose, "verbose", false, "write a log to standard error")
	root.AddCommand(p.idCommand(), p.peersCommand(), p.receiveCommand(), p.sendCommand(), p.outboxCommand(), p.chatCommand(), p.pingCommand(), p.linkCommand(), p.trustCommand(), p.pairCommand(), p.autoCommand(), p.doctorCommand(), p.serveCommand(), p.historyCommand(), p.apiCommand(), manCommand())
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args = cobra.NoArgs // otherwise an unknown shell only prints the help
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	failByDefault(root)
	addExamples(root)
	p.addCompletions(root)
	nameValues(root)
	return root
}

// failByDefault gives exit code 1 to errors that a command returns without one. Errors that do not pass through here come
// from parsing the command line.
func failByDefault(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			err := run(c, args)
			var e *exitError
			var d *done
			if err == nil || errors.As(err, &e) || errors.As(err, &d) {
				return err
			}
			return exit(exitFailed, err)
		}
	}
	for _, sub := range c.Commands() {
		failByDefault(sub)
	}
}

const defaultProfileText = "multipeer in the user's configuration directory"

func (p *program) profileDir() (string, error) {
	if p.profile != "" {
		return p.profile, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the settings folder: %w; use --profile DIR", err)
	}
	return filepath.Join(dir, "multipeer"), nil
}

// path makes a path given by the user absolute.
func (p *program) path(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("the path is empty; is a shell variable unset?")
	case filepath.IsAbs(s):
		return s, nil
	case p.dir == "" && p.host != nil: // it would be relative to the host's folder
		return "", fmt.Errorf("%s: the current folder is unknown; give an absolute path", s)
	case p.dir == "":
		return s, nil
	}
	return filepath.Join(p.dir, s), nil
}

// open creates the engine; the caller must run or close it.
func (p *program) open(cfg engine.Config) (*engine.Engine, error) {
	cfg, err := p.config(cfg)
	if err != nil {
		return nil, err
	}
	e, err := engine.New(cfg)
	switch {
	case errors.Is(err, engine.ErrInvalid):
		return nil, exit(exitUsage, err)
	case errors.Is(err, engine.ErrInUse):
		return nil, exit(exitFailed, fmt.Errorf("%w ('multipeer-cli serve --stop' stops a running serve or receive)", err))
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

// config applies the flags to a configuration.
func (p *program) config(cfg engine.Config) (engine.Config, error) {
	dir, err := p.profileDir()
	if err != nil {
		return cfg, exit(exitFailed, err)
	}
	cfg.Profile = dir
	cfg.Name = p.name
	cfg.Service = p.service
	cfg.Dial = p.peers
	cfg.Interfaces = p.ifaces
	for _, name := range p.ifaces {
		if _, err := net.InterfaceByName(name); err != nil {
			p.out.note("this device has no network interface %q; it will be used as soon as it appears", name)
		}
	}
	cfg.Port = p.port
	cfg.Offers = engine.Everyone // the commands that take offers ask, or have a policy of their own
	switch p.visible {
	case "everyone":
	case "known":
		cfg.Visible = engine.VisibleToKnown
	case "nobody":
		cfg.Visible = engine.VisibleToNobody
	default:
		return cfg, exit(exitUsage, fmt.Errorf("--visible %q: must be everyone, known or nobody", p.visible))
	}
	for _, address := range p.peers {
		if _, _, err := engine.ParseAddress(address); err != nil {
			return cfg, exit(exitUsage, err)
		}
	}
	if p.verbose {
		cfg.Log = newLog(p.out.err)
	}
	if p.localSendPIN == "" {
		p.localSendPIN = os.Getenv(pinVariable)
	}
	if p.withLocalSend || p.localSendPIN != "" {
		err = p.addLocalSend(&cfg)
	}
	return cfg, err
}

// still calls f with an engine that is not running, or with the host's.
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

// with starts an engine, calls f once its port is open, and stops it afterwards. If there is a host, f gets the host's
// engine.
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
	// f ends before the engine does, so that the engine can say goodbye.
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if err := e.Start(running); err != nil {
		return exit(exitFailed, err)
	}
	err = f(ctx, e)
	if closeErr := e.Close(); err == nil && closeErr != nil {
		err = exit(exitFailed, closeErr)
	}
	return err
}

// why returns the reason of an engine's error, without the operation and the ID: the user has typed the command, and
// knows the peer by its name.
func why(err error) error {
	if op, ok := err.(*engine.OpError); ok { // a wrapped OpError is part of the outer error's text
		return op.Err
	}
	return err
}

// failed adds the exit code to an error of the engine.
func failed(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	err = why(err)
	switch {
	case errors.Is(err, engine.ErrNoPeer):
		return exit(exitNotFound, err)
	case errors.Is(err, engine.ErrDeclined), errors.Is(err, engine.ErrCancelled):
		return exit(exitDeclined, err)
	case errors.Is(err, engine.ErrInvalid):
		return exit(exitUsage, err)
	}
	return exit(exitFailed, err)
}
