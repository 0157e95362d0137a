package main

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) sendCommand() *cobra.Command {
	var to string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "send --to PEER PATH...",
		Short: "Send files and folders; ends when the other side has them on its disk",
		Long: `send offers files and folders to a peer and waits for its answer and for the receipt: then every byte
is verified and durable under its final name on the other disk.

PEER is a name, an ID or a unique start of one, or HOST:PORT.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return p.with(cmd.Context(), engine.Config{Hidden: true}, func(ctx context.Context, e *engine.Engine) error {
				return p.send(ctx, e, to, wait, paths)
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "the peer: a name, an ID or its start, or HOST:PORT")
	c.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the peer to appear")
	_ = c.MarkFlagRequired("to")
	return c
}

func (p *program) send(ctx context.Context, e *engine.Engine, to string, wait time.Duration, paths []string) error {
	peer, err := p.find(ctx, e, to, wait)
	if err != nil {
		return err
	}
	reach, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	offered, err := e.Offer(reach, peer.ID, paths...)
	if err != nil {
		return failed(fmt.Errorf("sending to %s: %w", describe(peer), err))
	}
	p.out.note("offering %s to %s", what(offered), describe(peer))
	bar := &progress{out: p.out}
	for ev := range e.Watch(context.WithoutCancel(ctx)) {
		t, ok := transferIn(ev, offered.ID)
		if ok && t.State.Final() {
			return bar.end(t)
		}
		if ok {
			bar.show(t)
		}
	}
	return exit(exitFailed, fmt.Errorf("sending to %s: interrupted; nothing of it is kept there", describe(peer)))
}

// transferIn finds a transfer in an event.
func transferIn(ev engine.Event, id engine.TransferID) (engine.Transfer, bool) {
	switch ev := ev.(type) {
	case engine.TransferChanged:
		return ev.Transfer, ev.Transfer.ID == id
	case engine.Snapshot:
		for _, t := range ev.Transfers {
			if t.ID == id {
				return t, true
			}
		}
	}
	return engine.Transfer{}, false
}
