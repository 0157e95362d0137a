package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) chatCommand() *cobra.Command {
	var to string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "chat",
		Short: "Chat line by line, with everyone nearby or with one peer",
		Long: `chat sends each line of input to every nearby peer that runs chat (with --to, only to that peer), and prints the messages
that arrive. Without --to it connects to everyone it finds, like a chat room. It exits at the end of its input (Ctrl-D).`,
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
	c.Flags().StringVar(&to, "to", "", "chat with one peer: a name, an ID or the start of one, or HOST:PORT")
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
		if peer.Via == "" {
			p.out.note("inviting %s", describe(peer))
			err = e.InviteWith(ctx, peer.ID, engine.InviteOptions{Person: true})
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return errInterrupted
		case err != nil:
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
	defer func() { // these messages were already acknowledged as delivered
		cancel()
		for ev := range events {
			if m, ok := ev.(engine.Message); ok {
				p.printMessage(e, m)
			}
		}
	}()
	var invitations sync.WaitGroup
	defer invitations.Wait()
	defer cancel()
	asked := map[engine.PeerID]bool{}
	lines := readLines(ctx, p.in, maxLine)
	m := newLineSender(p, only, func() []engine.Peer { return e.Peers() }, func(v any, to engine.PeerID) (func() error, error) {
		d, err := e.Post(ctx, v, to)
		if err != nil {
			return nil, err
		}
		return func() error {
			defer context.AfterFunc(ctx, d.Cancel)() // the chat is ending
			return d.Results()[0].Err
		}, nil
	})
	lost := 0 // lines that were too long
	var inputErr error
	p.out.ask("> ")
	defer p.out.ask("")
	for {
		if m.ended && m.quiet(time.Now()) {
			if lost > 0 && inputErr == nil {
				inputErr = exit(exitFailed, fmt.Errorf("%s not sent: too long for a message", plural(int64(lost), "line was", "lines were")))
			}
			return cmp.Or(inputErr, m.err())
		}
		in, again := lines, (<-chan time.Time)(nil)
		if m.ended || !m.mayRead(time.Now()) {
			in, again = nil, time.After(100*time.Millisecond)
		}
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if p.host != nil && to == "" { // without a host, the engine invites peers automatically
				switch ev := ev.(type) {
				case engine.PeerLost:
					delete(asked, ev.Peer.ID)
				case engine.PeerRemoved: // if the peer comes back, it is invited again
					if !errors.Is(ev.Err, engine.ErrCancelled) {
						delete(asked, ev.Peer.ID)
					}
				}
				for _, peer := range peersIn(ev) {
					if peer.State == engine.Found && peer.Confirmed && peer.Via == "" && !asked[peer.ID] {
						asked[peer.ID] = true
						invitations.Go(func() { _ = e.InviteWith(ctx, peer.ID, engine.InviteOptions{}) }) // a peer that declines does not take part
					}
				}
			}
			if gone, err := p.chatEvent(e, ev, only); gone {
				return err
			}
		case r := <-m.results:
			m.take(r, time.Now())
		case <-again:
		case line, ok := <-in:
			switch {
			case !ok:
				m.end(time.Now())
				continue
			case line.err != nil:
				inputErr = exit(exitFailed, errors.New(noAnswers(line.err)))
				m.end(time.Now())
				continue
			case line.long:
				lost++
				p.notSent(line.tooLong())
			case strings.TrimSpace(line.text) != "":
				m.send(ctx, line.text, time.Now())
			}
			p.out.ask("> ")
		case <-ctx.Done():
			return nil
		}
	}
}

// sent is the outcome of a message, in JSON.
type sent struct {
	Type      string `json:"type"`
	To        string `json:"to,omitempty"`
	Delivered bool   `json:"delivered"`
	Error     string `json:"error,omitempty"`
}

// notSent reports a message that was sent to no one.
func (p *program) notSent(why error) {
	p.out.note("not sent: %v", why)
	p.out.object(sent{"sent", "", false, why.Error()})
}

// peersIn lists the peers in an event.
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

func (p *program) printMessage(e *engine.Engine, m engine.Message) {
	printMessage(p.out, m, senderOf(e, m))
}

func (p *program) chatEvent(e *engine.Engine, ev engine.Event, only []engine.PeerID) (gone bool, err error) {
	switch ev := ev.(type) {
	case engine.Snapshot:
		for _, peer := range ev.Peers {
			if peer.HasSession() { // the session existed before we watched
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
	case engine.Message:
		p.printMessage(e, ev)
	case *engine.Offer:
		p.out.note("%s is offering %s, but chat does not receive files; use 'multipeer-cli receive'", quoted(ev.Transfer.PeerName), what(ev.Transfer))
		if p.host == nil {
			_ = ev.Decline()
		}
	case *engine.Invitation:
		if p.host == nil {
			_ = ev.Decline()
		}
	case engine.Problem:
		printProblem(p.out, ev.Err)
	case engine.Conflict:
		printConflict(p.out, e, ev)
	}
	return false, nil
}
