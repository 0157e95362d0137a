package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) idCommand() *cobra.Command {
	return &cobra.Command{
		Use: "id", Short: "Print this peer's ID and name", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.still(func(e *engine.Engine) error {
				self := e.Self()
				p.out.object(selfJSON(self))
				p.out.line("%s  %s", self.ID, self.Name)
				return nil
			})
		},
	}
}

func selfJSON(self engine.Self) any {
	return struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name"`
	}{"self", self.ID.String(), self.Name}
}

func (p *program) peersCommand() *cobra.Command {
	var lookFor time.Duration
	var search bool
	c := &cobra.Command{
		Use: "peers", Short: "List who is around", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{Hidden: true}, func(ctx context.Context, e *engine.Engine) error {
				if search {
					awaitRunning(ctx, e)
					if _, err := e.Search(ctx); err != nil {
						p.out.note("the search: %v", err)
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
						like = ", careful: the name of another device that you know, " + peer.LooksLike.Short()
					}
					p.out.line("%s  %s  %s  by %s  %s%s%s", peer.Name, peer.ID, strings.Join(addrs, " "), peer.How, state, trustText(peer.Trust), like)
				}
				if ctx.Err() != nil {
					return errInterrupted
				}
				if len(peers) == 0 && e.Problem() != nil {
					p.out.note("nobody found within %v: %v", lookFor, e.Problem())
				} else if len(peers) == 0 {
					p.out.note("nobody found within %v; is Multipeer running on the other device, on the same network?", lookFor)
				}
				return nil
			})
		},
	}
	c.Flags().DurationVar(&lookFor, "for", 3*time.Second, "how long to look")
	c.Flags().BoolVar(&search, "search", false, "ask every address of small networks too, where multicast does not work")
	return c
}

func trustText(t engine.Trust) string {
	if t == engine.TrustUnknown {
		return ""
	}
	return ", " + string(t)
}

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

// isAddress distinguishes HOST:PORT and IP addresses from names and IDs.
func isAddress(s string) bool {
	host, _, err := engine.ParseAddress(s)
	if err != nil {
		return false
	}
	colon := strings.Contains(s, ":")
	return colon || strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == ""
}

func describe(p engine.Peer) string { return fmt.Sprintf("%s (%s)", p.Name, p.ID.Short()) }
