package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"multipeer/engine"
	"multipeer/internal/keep"

	"github.com/spf13/cobra"
)

func (p *program) receiveCommand() *cobra.Command {
	var into, accept, existing string
	var once bool
	opts := engine.AcceptOptions{}
	c := &cobra.Command{
		Use:   "receive",
		Short: "Stay and receive files and messages",
		Long: `receive stays until it is interrupted and takes what others offer: after asking on the terminal (ask),
from verified peers without asking and from nobody else (verified), or from everyone (all).
Nothing in the folder is overwritten but with --existing replace. What was interrupted goes on when its sender is back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := engine.Config{}
			switch accept {
			case "ask":
				cfg.Accept = engine.Known
			case "verified":
				cfg.Accept = engine.Verified
			case "all":
				cfg.Accept = engine.Everyone
			default:
				return exit(exitUsage, fmt.Errorf("--accept %q: ask, verified or all", accept))
			}
			var err error
			if opts.Existing, err = parseExisting(existing); err != nil {
				return err
			}
			dir, err := p.folder(into)
			if err != nil {
				return exit(exitFailed, err)
			}
			return p.with(cmd.Context(), cfg, func(ctx context.Context, e *engine.Engine) error {
				opts.Dir = dir
				r := &receiver{program: p, e: e, accept: accept, once: once, opts: opts, bars: map[engine.TransferID]*progress{}}
				err := r.run(ctx)
				for _, t := range e.Transfers() {
					if t.Incoming && !t.State.Final() && t.State != engine.Offered && p.host == nil {
						p.out.note("%s is not whole: what has arrived stays, and goes on when this runs again", what(t))
					}
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&into, "into", ".", "folder to receive into; made if it is missing")
	c.Flags().StringVar(&accept, "accept", "ask", "ask, verified or all")
	c.Flags().BoolVar(&once, "once", false, "end after one finished transfer")
	c.Flags().StringVar(&existing, "existing", "keep", existingUsage)
	c.Flags().BoolVar(&opts.KeepExec, "keep-executable", false, "let files that are executable there be executable here")
	c.Flags().BoolVar(&opts.Links, "links", false, "take symbolic links that stay inside their folder, if the sender sends them")
	c.Flags().Int64Var(&opts.Reserve, "reserve", 0, reserveUsage)
	return c
}

const (
	existingUsage = "what becomes of a name that is taken: keep (number the newcomer), skip (leave out files that are the same), replace"
	reserveUsage  = "bytes that stay free on the disk; 0 for the larger of 1 GiB and a twentieth of it, -1 for none"
)

func parseExisting(s string) (engine.Existing, error) {
	switch s {
	case "keep":
		return engine.KeepBoth, nil
	case "skip":
		return engine.SkipIdentical, nil
	case "replace":
		return engine.Replace, nil
	}
	return 0, exit(exitUsage, fmt.Errorf("--existing %q: keep, skip or replace", s))
}

// folder makes a folder that receives, and returns its whole path.
func (p *program) folder(into string) (string, error) {
	dir := p.path(into)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("--into: %w", err)
	}
	return dir, nil
}

// receiver takes offers by policy, or by asking one question after the other.
type receiver struct {
	*program
	e      *engine.Engine
	accept string
	once   bool
	opts   engine.AcceptOptions

	questions []question
	lines     <-chan string
	keeper    *keeper     // nil keeps nothing
	leave     func() bool // whether another receiver answers; nil is never
	bars      map[engine.TransferID]*progress
}

// question waits for a yes or no.
type question struct {
	text    string
	id      string // of the invitation or offer
	accept  func() error
	decline func() error
}

func (r *receiver) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	if r.host != nil {
		r.host.receivers.Add(1)
		defer r.host.receivers.Add(-1)
	}
	self := r.e.Self()
	r.out.object(selfJSON(self))
	r.out.note("receiving into %s as %q, ID %s", r.opts.Dir, self.Name, self.ID)
	for _, a := range r.e.Acquaintances() {
		if a.AutoAccept.Dir != "" && a.AutoAccept.Dir != r.opts.Dir {
			r.out.note("what %s (%s) may send without asking goes into %s ('multipeer-cli auto')", a.Name, a.ID.Short(), a.AutoAccept.Dir)
		}
	}
	events := make(chan engine.Event)
	go func() {
		defer close(events)
		for ev := range r.e.Watch(ctx) {
			events <- ev
		}
	}()
	defer func() { // what came meanwhile was delivered
		cancel()
		for ev := range events {
			if _, ok := ev.(engine.MessageReceived); ok {
				_, _ = r.take(ev)
			}
		}
	}()
	if r.accept == "ask" {
		r.lines = readLines(ctx, r.in)
	}
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if done, err := r.take(ev); done {
				return err
			}
		case line, ok := <-r.answers():
			if !ok {
				r.lines = nil
				r.accept = "verified" // nobody can answer any more
				if r.host != nil {
					r.out.note("nobody can be asked here (standard input has ended); leaving it to the program that runs")
					r.questions = nil
					continue
				}
				r.out.note("nobody can be asked (standard input has ended); declining")
				for len(r.questions) > 0 {
					r.reply(false)
				}
				continue
			}
			switch strings.ToLower(strings.TrimSpace(line)) {
			case "y", "yes":
				r.reply(true)
			case "n", "no":
				r.reply(false)
			default:
				r.askNext()
			}
		}
	}
}

// answers is where lines are read from while a question is open; nil otherwise.
func (r *receiver) answers() <-chan string {
	if len(r.questions) == 0 {
		return nil
	}
	return r.lines
}

// readLines reads on a goroutine of its own, which a terminal may keep waiting beyond the end of the program.
func readLines(ctx context.Context, in interface{ Read([]byte) (int, error) }) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		s.Buffer(nil, engine.MaxMessage)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

func (r *receiver) put(q question) {
	r.questions = append(r.questions, q)
	if len(r.questions) == 1 {
		r.askNext()
	}
}

func (r *receiver) askNext() {
	if len(r.questions) == 0 {
		r.out.ask("")
		return
	}
	r.out.ask(r.questions[0].text + " [y/n] ")
}

func (r *receiver) reply(yes bool) {
	q := r.questions[0]
	r.questions = r.questions[1:]
	r.out.ask("")
	do := q.decline
	if yes {
		do = q.accept
	}
	if err := do(); err != nil {
		r.out.note("%v", err)
	}
	r.askNext()
}

// drop removes a question that has no one to answer it to any more.
func (r *receiver) drop(id string) {
	for i, q := range r.questions {
		if q.id == id {
			r.questions = append(r.questions[:i], r.questions[i+1:]...)
			if i == 0 {
				r.askNext()
			}
			return
		}
	}
}

// take handles one event; done ends the program.
func (r *receiver) take(ev engine.Event) (done bool, err error) {
	if r.keeper != nil {
		r.keeper.take(ev)
	}
	switch ev := ev.(type) {
	case engine.Snapshot:
		for _, i := range ev.Invitations {
			r.invitation(i)
		}
		for _, o := range ev.Offers {
			r.offer(o)
		}
		for _, t := range ev.Transfers { // what an earlier run has left
			if !t.State.Final() && t.State != engine.Offered {
				_, _ = r.transfer(t)
			}
		}
	case engine.InvitationReceived:
		r.invitation(ev.Invitation)
	case engine.InvitationClosed:
		r.drop(ev.Invitation.ID)
	case engine.OfferReceived:
		r.offer(ev.Offer)
	case engine.PeerAdded:
		r.out.object(peerJSON("connected", ev.Peer))
		r.out.note("connected to %s", describe(ev.Peer))
	case engine.PeerRemoved:
		r.out.object(goneJSON(ev))
		r.out.note("disconnected from %s", describe(ev.Peer))
	case engine.MessageReceived:
		printMessage(r.out, ev.Message)
	case engine.Problem:
		printProblem(r.out, ev.Err)
	case engine.TransferChanged:
		return r.transfer(ev.Transfer)
	}
	return false, nil
}

// careful warns of a name that belongs to a peer that is better known.
func (r *receiver) careful(p engine.Peer) {
	if !p.LooksLike.IsZero() {
		r.out.note("careful: %s is another device than the one of that name that you know (%s)", describe(p), p.LooksLike.Short())
	}
}

func (r *receiver) invitation(i *engine.Invitation) {
	switch {
	case r.leave != nil && r.leave():
		return
	case r.accept == "ask":
	case r.host == nil: // whom the policy admits was accepted by the engine
		_ = i.Decline()
		return
	case r.accept == "all":
		_ = i.Accept() // ErrAnswered: the host was faster
		return
	default: // the host's to answer
		return
	}
	r.careful(i.Peer)
	r.put(question{fmt.Sprintf("Connect with %s?", describe(i.Peer)), i.ID, i.Accept, i.Decline})
}

func (r *receiver) offer(o *engine.Offer) {
	t := o.Transfer
	r.out.object(transferJSON(t))
	accept := func() error { return o.Accept(r.opts) }
	peer, _ := r.e.Peer(t.Peer)
	var err error
	switch {
	case r.leave != nil && r.leave():
	case r.accept == "all", r.accept == "verified" && peer.Trust == engine.TrustVerified:
		r.out.note("taking %s from %s", what(t), describe(peer))
		err = accept()
	case r.accept == "auto":
		r.out.note("declined %s from %s, which 'multipeer-cli auto' does not let send", what(t), describe(peer))
		err = o.Decline()
	case r.accept == "verified" && r.host != nil:
		r.out.note("leaving %s from %s, which is not verified, to the program that runs", what(t), describe(peer))
	case r.accept == "verified":
		r.out.note("declined %s from %s, which is not verified", what(t), describe(peer))
		err = o.Decline()
	default:
		r.careful(peer)
		r.put(question{fmt.Sprintf("Take %s from %s?", what(t), describe(peer)), string(t.ID), accept, o.Decline})
	}
	if err != nil {
		r.out.note("%v", err)
	}
}

func (r *receiver) transfer(t engine.Transfer) (done bool, err error) {
	if !t.Incoming {
		return false, nil
	}
	if t.State != engine.Offered {
		r.drop(string(t.ID))
	}
	bar := r.bars[t.ID]
	switch {
	case bar == nil && !t.State.Final() && t.State != engine.Offered:
		bar = &progress{out: r.out, one: true}
		r.bars[t.ID] = bar
	case bar == nil && t.State.Final():
		bar = &progress{out: r.out}
	}
	if !t.State.Final() {
		if bar != nil {
			bar.show(t)
		}
		return false, nil
	}
	delete(r.bars, t.ID)
	err = bar.end(t)
	if r.once && t.State != engine.Declined {
		return true, err
	}
	if err != nil {
		r.out.note("%v", err)
	}
	return false, nil
}

func printMessage(out *printer, m engine.Message) {
	out.object(struct {
		Type string          `json:"type"`
		From string          `json:"from"`
		Name string          `json:"name"`
		Body json.RawMessage `json:"body"`
	}{"message", m.From.String(), m.Name, m.Body})
	text, _ := keep.Text(m.Body)
	out.line("%s: %s", m.Name, text)
}

func printProblem(out *printer, err error) {
	if err != nil {
		out.note("finding peers: %v", err)
	}
}
