package cli

import (
	"context"
	"strings"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) peersCommand() *cobra.Command {
	var lookFor time.Duration
	var search bool
	c := &cobra.Command{
		Use: "peers", Short: "List nearby peers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{Hidden: true}, func(ctx context.Context, e *engine.Engine) error {
				if search {
					if _, err := e.Search(ctx); err != nil {
						p.out.note("searching for peers: %v", err)
					}
				}
				select {
				case <-time.After(lookFor):
				case <-ctx.Done():
				}
				peers := e.Peers()
				for _, peer := range peers {
					p.out.object(peerJSON("peer", peer))
					var addrs []string
					for _, a := range peer.Addrs {
						addrs = append(addrs, a.String())
					}
					state := peer.State.String()
					if peer.Confirmed {
						state = "reached"
					}
					if peer.Err != nil {
						state = "unreachable: " + peer.Err.Error()
					}
					like := ""
					if !peer.LooksLike.IsZero() {
						like = ", warning: has the name of another device that you know, " + peer.LooksLike.Short()
					}
					p.out.line("%s  %s  %s  by %s  %s%s%s", quoted(peer.Name), peer.ID, strings.Join(addrs, " "), peer.How, state, trustText(peer.Trust)+viaText(peer), like)
				}
				if ctx.Err() != nil {
					return errInterrupted
				}
				if len(peers) == 0 && e.Problem() != nil {
					p.out.note("no peer was found within %v: %v", lookFor, e.Problem())
				} else if len(peers) == 0 {
					p.out.note("no peer was found within %v; is Multipeer running on the other device, on the same network? Run 'multipeer-cli doctor' to find out more", lookFor)
				}
				return nil
			})
		},
	}
	c.Flags().DurationVar(&lookFor, "for", 3*time.Second, "how long to look for peers")
	c.Flags().BoolVar(&search, "search", false, "also probe every address of small networks, for networks without multicast")
	return c
}

func trustText(t engine.Trust) string {
	if t == engine.TrustUnknown {
		return ""
	}
	return ", " + string(t)
}
