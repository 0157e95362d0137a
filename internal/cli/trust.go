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
		Short: "Set how far a peer's key is trusted: verified, seen, blocked or unknown",
		Long: `trust stores your decision about a peer. LEVEL is verified, seen, blocked or unknown. ID is the whole ID, as
'multipeer-cli id' prints it on the other device. Before you mark a peer as verified, compare the IDs, or have the ID
sent over a channel that you trust.`,
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
				return exit(exitUsage, fmt.Errorf("trust %q: must be verified, seen, blocked or unknown", args[1]))
			}
			if err := p.still(func(e *engine.Engine) error { return failed(e.SetTrust(id, level)) }); err != nil {
				return err
			}
			p.out.object(struct {
				Type  string `json:"type"`
				ID    string `json:"id"`
				Trust string `json:"trust"`
			}{"trust", id.String(), args[1]})
			p.out.line("%s is now %s", id, args[1])
			return nil
		},
	}
}
