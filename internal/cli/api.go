package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"multipeer/engine"
	"multipeer/internal/rpc"

	"github.com/spf13/cobra"
)

// apiCommand serves a program in another language. Without --profile, the program has a temporary identity, which is
// discarded when it exits. With --profile, it uses the identity of the profile, in the program that already uses the
// profile if there is one.
func (p *program) apiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "api",
		Short: "Let a program in any language use the engine: JSON-RPC 2.0 on standard input and output",
		Long: `api gives the program that starts it access to the engine: JSON-RPC 2.0, one message per line, on standard input and
output. It exits when standard input ends. It opens no port or socket.
docs/json-rpc.md describes the methods. The Python package multipeer is built on it.

Without --profile, the program gets a temporary identity, which is discarded when api exits.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := rpc.Serve(cmd.Context(), p.in, p.out.out, p.openForProgram)
			switch {
			case err == nil, errors.Is(err, context.Canceled):
				return nil
			}
			return exit(exitFailed, err)
		},
	}
}

// differs returns the name of a setting that a program has asked for and the host does not have; empty if there is none.
func (h *Host) differs(cfg engine.Config) string {
	self := h.Engine.Self()
	for _, s := range []struct {
		name    string
		differs bool
	}{
		{"service", cfg.Service != "" && cfg.Service != self.Service},
		{"name", cfg.Name != "" && cfg.Name != self.Name},
		{"visible", cfg.Visible != engine.VisibleToAll && cfg.Visible != self.Visible},
		{"port", cfg.Port != 0 && cfg.Port != self.Port},
		{"interfaces", len(cfg.Interfaces) > 0 && !slices.Equal(cfg.Interfaces, h.Interfaces)},
		{"info", len(cfg.Info) > 0 && !maps.Equal(cfg.Info, self.Info)},
		{"context", cfg.Context != nil},
		{"max_peers", cfg.MaxPeers != 0},
	} {
		if s.differs {
			return s.name
		}
	}
	return ""
}

// openForProgram creates the engine with the settings of the program and of the command line.
func (p *program) openForProgram(cfg engine.Config) (e *engine.Engine, hosted bool, err error) {
	if p.host != nil {
		if setting := p.host.differs(cfg); setting != "" {
			return nil, false, fmt.Errorf("%s: %w: Multipeer is already running with this profile and keeps the settings it was started with", setting, engine.ErrInvalid)
		}
		return p.host.Engine, true, nil
	}
	p.temporary = p.profile == ""
	settings, err := p.config(engine.Config{})
	if err != nil {
		return nil, false, err
	}
	if p.temporary {
		settings.Profile = ""
	}
	if cfg.Name == "" {
		cfg.Name = settings.Name
	}
	if cfg.Service == "" {
		cfg.Service = settings.Service
	}
	if cfg.Port == 0 {
		cfg.Port = settings.Port
	}
	if cfg.Visible == engine.VisibleToAll {
		cfg.Visible = settings.Visible
	}
	if len(cfg.Interfaces) == 0 {
		cfg.Interfaces = settings.Interfaces
	}
	cfg.Dial = append(settings.Dial, cfg.Dial...)
	cfg.Profile, cfg.Log, cfg.Gateways = settings.Profile, settings.Log, settings.Gateways
	e, err = engine.New(cfg)
	return e, false, err
}
