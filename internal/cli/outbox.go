package cli

import (
	"context"
	"fmt"
	"slices"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) outboxCommand() *cobra.Command {
	var drop []string
	var deliver bool
	c := &cobra.Command{
		Use:   "outbox",
		Short: "List, deliver or remove pending transfers",
		Long: `outbox lists the transfers that were interrupted or are waiting for an offline peer, and those that were accepted here
and are waiting for their sender. With --deliver it runs until everything in the outbox has arrived; --drop cancels a
transfer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if deliver {
				return p.with(cmd.Context(), engine.Config{}, p.deliverOutbox)
			}
			return p.still(func(e *engine.Engine) error {
				for _, id := range drop {
					if err := p.dropFromOutbox(e, engine.TransferID(id)); err != nil {
						return err
					}
				}
				for _, t := range unfinished(e) {
					p.out.object(transferJSON(t))
					direction := "to"
					if t.Incoming {
						direction = "from"
					}
					p.out.line("%s  %s %s %s, %s", t.ID, what(t), direction, quoted(t.PeerName), t.State)
				}
				if len(unfinished(e)) == 0 {
					p.out.note("no transfer is waiting")
				}
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&drop, "drop", nil, "cancel the transfer with this ID (repeatable)")
	c.Flags().BoolVar(&deliver, "deliver", false, "run until everything in the outbox has arrived")
	return c
}

// waiting lists the outgoing transfers that have not ended.
func waiting(e *engine.Engine) []engine.Transfer {
	return slices.DeleteFunc(unfinished(e), func(t engine.Transfer) bool { return t.Incoming })
}

// unfinished lists the transfers that have not ended, except incoming offers that were not accepted.
func unfinished(e *engine.Engine) []engine.Transfer {
	return slices.DeleteFunc(e.Transfers(), func(t engine.Transfer) bool {
		return t.State.Final() || t.Incoming && t.State == engine.Offered
	})
}

func (p *program) dropFromOutbox(e *engine.Engine, id engine.TransferID) error {
	for _, t := range unfinished(e) {
		if t.ID == id {
			return e.Cancel(id)
		}
	}
	return exit(exitUsage, fmt.Errorf("the outbox has no transfer %q", engine.CleanLine(string(id))))
}

func (p *program) deliverOutbox(ctx context.Context, e *engine.Engine) error {
	s := newSending(p)
	s.e, s.wait = e, 1<<62
	for _, t := range waiting(e) {
		s.open[t.ID] = true
		s.bars[t.ID] = &progress{out: p.out}
		if err := e.Resume(t.ID); err != nil {
			return failed(err)
		}
	}
	for id := range s.open {
		s.bars[id].one = len(s.open) == 1
	}
	return s.follow(ctx)
}
