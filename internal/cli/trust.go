package cli

import (
	"fmt"
	"slices"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust [list | PEER LEVEL]",
		Short: "List known devices, or set how far you trust one",
		Long: `trust stores your decision about a device. LEVEL is verified, seen, blocked or unknown. PEER is the name or the ID of a
device that you have accepted, verified or blocked before, or the full ID of any other device, as printed by
'multipeer-cli id' on that device. seen means accepted but not verified; unknown forgets the device. Before you mark a
device as verified, compare the IDs, or have the ID sent over a channel that you trust.

Without arguments, trust lists the devices that you have accepted, verified or blocked.`,
		Args:              listOr(2, "trust PEER verified|seen|blocked|unknown, or trust list"),
		ValidArgsFunction: p.completeTrust,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return p.still(p.listKnown)
			}
			level := engine.Trust(args[1])
			switch {
			case args[1] == "unknown":
				level = engine.TrustUnknown
			case !slices.Contains([]engine.Trust{engine.TrustVerified, engine.TrustSeen, engine.TrustBlocked}, level):
				return exit(exitUsage, fmt.Errorf("%q is not a trust level; use verified, seen, blocked or unknown", engine.CleanLine(args[1])))
			}
			return p.still(func(e *engine.Engine) error {
				known, err := knownDevice(e, args[0])
				if err != nil {
					return err
				}
				if err := e.SetTrust(known.ID, level); err != nil {
					return failed(err)
				}
				p.out.object(struct {
					Type  string `json:"type"`
					ID    string `json:"id"`
					Trust string `json:"trust"`
				}{"trust", known.ID.String(), args[1]})
				p.out.line("%s is now %s", known.ID, args[1])
				return nil
			})
		},
	}
}
