package cli

import (
	"fmt"
	"slices"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust ID LEVEL",
		Short: "Decide about a peer's key: verified, seen, blocked or unknown",
		Long: `trust keeps what you decide about a peer. ID is the whole ID, as 'multipeer-cli id' prints it on the
other device: to mark a peer verified, compare it or have it sent over a way that you trust.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := engine.ParsePeerID(args[0])
			if err != nil {
				return exit(exitUsage, err)
			}
			level := engine.Trust(args[1])
			switch {
			case args[1] == "unknown":
				level = engine.TrustUnknown
			case !slices.Contains([]engine.Trust{engine.TrustVerified, engine.TrustSeen, engine.TrustBlocked}, level):
				return exit(exitUsage, fmt.Errorf("trust %q: verified, seen, blocked or unknown", args[1]))
			}
			if err := p.still(func(e *engine.Engine) error { return failed(e.SetTrust(id, level)) }); err != nil {
				return err
			}
			p.out.object(struct {
				Type  string `json:"type"`
				ID    string `json:"id"`
				Trust string `json:"trust"`
			}{"trust", id.String(), args[1]})
			p.out.line("%s is %s now", id, args[1])
			return nil
		},
	}
}
