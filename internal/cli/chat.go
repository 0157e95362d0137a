package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/internal/keep"

	"github.com/spf13/cobra"
)

func (p *program) chatCommand() *cobra.Command {
	var to string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "chat",
		Short: "Chat line by line, with everyone nearby or with one peer",
		Long: `chat sends each line to everyone who chats nearby, or with --to to one peer, and prints what comes. Without
--to it connects with everyone who is there, as a room does. It ends with the input (Ctrl-D).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := engine.Config{Invite: engine.Everyone, Accept: engine.Everyone}
			if to != "" {
				cfg = engine.Config{}
			}
			return p.with(cmd.Context(), cfg, func(ctx context.Context, e *engine.Engine) error {
				return p.chat(ctx, e, to, wait)
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "chat with this peer only: a name, an ID or its start, or HOST:PORT")
	c.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the peer to appear")
	return c
}

func (p *program) chat(ctx context.Context, e *engine.Engine, to string, wait time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var only []engine.PeerID
	if to != "" {
		peer, err := p.find(ctx, e, to, wait)
		if err != nil {
			return err
		}
		p.out.note("inviting %s", describe(peer))
		if err := e.Invite(ctx, peer.ID); err != nil {
			return failed(fmt.Errorf("inviting %s: %w", describe(peer), err))
		}
		only = []engine.PeerID{peer.ID}
	}
	events := make(chan engine.Event)
	go func() {
		defer close(events)
		for ev := range e.Watch(ctx) {
			events <- ev
		}
	}()
	defer func() { // what came meanwhile was delivered
		cancel()
		for ev := range events {
			if m, ok := ev.(engine.MessageReceived); ok {
				printMessage(p.out, m.Message)
			}
		}
	}()
	var invitations sync.WaitGroup
	defer invitations.Wait()
	defer cancel()
	asked := map[engine.PeerID]bool{}
	lines := readLines(ctx, p.in)
	p.out.ask("> ")
	defer p.out.ask("")
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if p.host != nil && to == "" { // else the engine does it
				switch ev := ev.(type) {
				case engine.PeerLost:
					delete(asked, ev.Peer.ID)
				case engine.PeerRemoved: // it may come back, and is in the room again then
					if !errors.Is(ev.Err, engine.ErrCancelled) {
						delete(asked, ev.Peer.ID)
					}
				}
				for _, peer := range peersIn(ev) {
					if peer.State == engine.Found && peer.Confirmed && !asked[peer.ID] {
						asked[peer.ID] = true
						invitations.Go(func() { _ = e.Invite(ctx, peer.ID) }) // who declines is not in the room
					}
				}
			}
			if gone, err := p.chatEvent(ev, only); gone {
				return err
			}
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if strings.TrimSpace(line) != "" {
				p.say(ctx, e, line, only)
			}
			p.out.ask("> ")
		case <-ctx.Done():
			return nil
		}
	}
}

// say sends a line and tells of everyone who did not get it.
func (p *program) say(ctx context.Context, e *engine.Engine, line string, only []engine.PeerID) {
	results, err := e.Send(ctx, keep.Words{Text: line}, only...)
	type sent struct {
		Type      string `json:"type"`
		To        string `json:"to,omitempty"`
		Delivered bool   `json:"delivered"`
		Error     string `json:"error,omitempty"`
	}
	if err != nil {
		p.out.note("not sent: %v", err)
		p.out.object(sent{"sent", "", false, err.Error()})
	}
	for _, r := range results {
		if r.Err != nil {
			name := r.Peer.Short()
			if peer, ok := e.Peer(r.Peer); ok {
				name = describe(peer)
			}
			p.out.note("not delivered to %s: %v", name, r.Err)
		}
		p.out.object(sent{"sent", r.Peer.String(), r.Err == nil, errorText(r.Err)})
	}
}

// peersIn lists the peers that an event tells of.
func peersIn(ev engine.Event) []engine.Peer {
	switch ev := ev.(type) {
	case engine.PeerChanged:
		return []engine.Peer{ev.Peer}
	case engine.Snapshot:
		return ev.Peers
	}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (p *program) chatEvent(ev engine.Event, only []engine.PeerID) (gone bool, err error) {
	switch ev := ev.(type) {
	case engine.Snapshot:
		for _, peer := range ev.Peers {
			if peer.HasSession() { // up before we watched
				p.out.object(peerJSON("connected", peer))
				p.out.note("%s is here", describe(peer))
			}
		}
	case engine.PeerAdded:
		p.out.object(peerJSON("connected", ev.Peer))
		p.out.note("%s is here", describe(ev.Peer))
	case engine.PeerRemoved:
		p.out.object(goneJSON(ev))
		p.out.note("%s has left", describe(ev.Peer))
		if len(only) > 0 && ev.Peer.ID == only[0] {
			return true, failed(fmt.Errorf("%s has left: %w", describe(ev.Peer), ev.Err))
		}
	case engine.MessageReceived:
		printMessage(p.out, ev.Message)
	case engine.OfferReceived:
		p.out.note("%s offers %s; chat takes no files, use 'multipeer-cli receive'", ev.Offer.Transfer.PeerName, what(ev.Offer.Transfer))
		if p.host == nil {
			_ = ev.Offer.Decline()
		}
	case engine.InvitationReceived:
		if p.host == nil {
			_ = ev.Invitation.Decline()
		}
	case engine.Problem:
		printProblem(p.out, ev.Err)
	}
	return false, nil
}
