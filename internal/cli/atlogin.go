package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"multipeer/engine"
	"multipeer/internal/autostart"
	"multipeer/internal/singleinstance"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// This file runs serve as a service: the system starts it at login, and a command stops it.

// noConsole is a flag of serve, for Windows.
const noConsole = "no-console"

// endWait is how long a service may take to exit, and beginWait how long it may take until it listens.
const endWait = 30 * time.Second

var beginWait = 15 * time.Second

// atLogin makes the system run serve at login with the flags of cmd, and starts it now; if on is false, it undoes both.
func (p *program) atLogin(cmd *cobra.Command, on bool, into string) error {
	ctx := cmd.Context()
	if !on {
		entry := autostart.Entry{Service: true}
		was, err := entry.On()
		if err == nil {
			err = entry.Set(false)
		}
		if err == nil && was { // for systems that do not stop it on their own
			err = p.stopServe(ctx)
		}
		if err != nil {
			return exit(exitFailed, fmt.Errorf("--at-login off: %w", err))
		}
		p.out.object(serviceJSON{"service", false, ""})
		p.out.line("serve no longer starts when you log in")
		return nil
	}
	args, err := p.serviceArgs(cmd, into)
	if err != nil {
		return exit(exitFailed, fmt.Errorf("--at-login on: %w", err))
	}
	entry := autostart.Entry{Args: args, Service: true}
	e, err := p.open(engine.Config{}) // opening the engine reports any error now, not at the next login
	switch {
	case err == nil:
		err = e.Close()
	case errors.Is(err, engine.ErrInUse):
		if was, _ := entry.On(); !was {
			return exit(exitFailed, errors.New("only one program at a time can use a profile, and another one is using this profile; quit the app or run 'multipeer-cli serve --stop', then try again"))
		}
		err = p.stopServe(ctx) // the new one replaces it
	}
	if err != nil {
		return err
	}
	if err := entry.Set(true); err != nil {
		return exit(exitFailed, fmt.Errorf("--at-login on: %w", err))
	}
	if !p.awaitHost(ctx) {
		return exit(exitFailed, fmt.Errorf("serve did not start within %v, but is set to start when you log in; 'multipeer-cli %s' shows why it did not start, and 'multipeer-cli serve --at-login off' stops it from starting at login", beginWait, strings.Join(args, " ")))
	}
	p.out.object(serviceJSON{"service", true, into})
	p.out.line("serve is running and will start whenever you log in; it receives into %s", into)
	return nil
}

type serviceJSON struct {
	Type string `json:"type"`
	On   bool   `json:"on"`
	Into string `json:"into,omitempty"`
}

// serviceArgs returns a command line that has the same meaning in any folder.
func (p *program) serviceArgs(cmd *cobra.Command, into string) ([]string, error) {
	profile, err := p.profileDir()
	if err != nil {
		return nil, err
	}
	if profile, err = p.path(profile); err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	if !filepath.IsAbs(profile) || !filepath.IsAbs(into) {
		return nil, errors.New("cannot determine the current folder; use absolute paths for --into and --profile")
	}
	args := []string{"serve", "--profile=" + profile, "--into=" + into}
	if runtime.GOOS == "windows" {
		args = append(args, "--"+noConsole)
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch v := valueOf(f).(type) {
		case pflag.SliceValue:
			for _, s := range v.GetSlice() {
				args = append(args, "--"+f.Name+"="+s)
			}
		default:
			switch f.Name {
			case "profile", "into", "at-login", "json", "name": // the name is stored in the profile
			default:
				args = append(args, "--"+f.Name+"="+v.String())
			}
		}
	})
	return args, nil
}

// stop implements serve --stop. In the running program it stops that program; in any other it asks the running program
// to end.
func (p *program) stop(ctx context.Context) error {
	switch {
	case p.host == nil:
		return p.stopServe(ctx)
	case p.host.Stop == nil:
		return exit(exitFailed, errors.New("the app is using this profile; quit it"))
	}
	p.stopped = true
	p.host.Stop()
	return nil
}

// stopServe stops the serve command that uses the profile, and returns when the profile is free. It is not an error if
// none runs.
func (p *program) stopServe(ctx context.Context) error {
	var said strings.Builder
	code, there, err := p.askRunning(ctx, &said, "serve", "--stop")
	switch {
	case !there:
	case err != nil:
		return exit(exitFailed, err)
	case code != exitDone:
		return exit(code, errors.New(strings.TrimPrefix(strings.TrimSpace(said.String()), "multipeer-cli: ")))
	}
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	for {
		e, err := p.open(engine.Config{})
		if err == nil {
			return e.Close()
		}
		if !errors.Is(err, engine.ErrInUse) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return exit(exitFailed, fmt.Errorf("the program that is using this profile did not stop: %w", err))
		}
	}
}

// awaitHost waits until a program accepts commands for the profile.
func (p *program) awaitHost(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, beginWait)
	defer cancel()
	for {
		code, there, err := p.askRunning(ctx, io.Discard, "id")
		if there && err == nil && code == exitDone {
			return true
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

// askRunning runs a command in the program that uses the profile, if there is one, and writes its errors to said.
func (p *program) askRunning(ctx context.Context, said io.Writer, args ...string) (code int, there bool, err error) {
	dir, err := p.profileDir()
	if err != nil {
		return 0, true, err
	}
	return singleinstance.Call(ctx, dir, singleinstance.Command{Args: args, Dir: p.dir}, singleinstance.Streams{In: strings.NewReader(""), Out: io.Discard, Err: said})
}
