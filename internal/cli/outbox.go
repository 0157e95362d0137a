package cli

import (
	"context"
	"fmt"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) outboxCommand() *cobra.Command {
	var drop []string
	var deliver bool
	c := &cobra.Command{
		Use:   "outbox",
		Short: "List what waits to be sent, deliver it, or take it out",
		Long: `outbox lists the transfers that were interrupted or whose peers were not there. With --deliver it stays until all of
them have arrived; --drop takes some out.`,
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
				for _, t := range waiting(e) {
					p.out.object(transferJSON(t))
					p.out.line("%s  %s to %s, %s", t.ID, what(t), t.PeerName, t.State)
				}
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&drop, "drop", nil, "take a transfer out, by its ID (repeatable)")
	c.Flags().BoolVar(&deliver, "deliver", false, "stay until everything in the outbox has arrived")
	return c
}

// waiting lists what the outbox holds.
func waiting(e *engine.Engine) []engine.Transfer {
	var out []engine.Transfer
	for _, t := range e.Transfers() {
		if !t.Incoming && !t.State.Final() {
			out = append(out, t)
		}
	}
	return out
}

func (p *program) dropFromOutbox(e *engine.Engine, id engine.TransferID) error {
	for _, t := range waiting(e) {
		if t.ID == id {
			e.Cancel(id)
			return nil
		}
	}
	return exit(exitUsage, fmt.Errorf("the outbox holds no %s", engine.CleanLine(string(id))))
}

func (p *program) deliverOutbox(ctx context.Context, e *engine.Engine) error {
	s := &sending{program: p, e: e, wait: 1 << 62, bars: map[engine.TransferID]*progress{}}
	open := map[engine.TransferID]bool{}
	for _, t := range waiting(e) {
		open[t.ID] = true
		s.bars[t.ID] = &progress{out: p.out}
		if err := e.Resume(t.ID); err != nil {
			return failed(err)
		}
	}
	for id := range open {
		s.bars[id].one = len(open) == 1
	}
	return s.follow(ctx, open)
}
