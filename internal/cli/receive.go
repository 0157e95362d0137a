package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/privatefile"
	"multipeer/transfer"

	"github.com/spf13/cobra"
)

func (p *program) receiveCommand() *cobra.Command {
	var into, accept, existing string
	var once bool
	opts := engine.AcceptOptions{}
	c := &cobra.Command{
		Use:   "receive",
		Short: "Wait for files and messages, and receive them",
		Long: `receive runs until interrupted. By default it asks before it accepts an offer. With --accept verified, it accepts
offers from verified peers without asking; with --accept all, offers from everyone. It overwrites nothing in the folder,
except with --existing replace. Interrupted transfers resume when their sender is back. While it runs, it executes the other
commands that use the same profile.`,
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
				return exit(exitUsage, fmt.Errorf("--accept %q: must be ask, verified or all", accept))
			}
			var err error
			if opts.Existing, err = parseExisting(existing); err != nil {
				return err
			}
			if opts.Dir, opts.Place, err = p.folder(into); err != nil {
				return exit(exitFailed, err)
			}
			return p.with(cmd.Context(), cfg, func(ctx context.Context, e *engine.Engine) error {
				r := &receiver{program: p, e: e, accept: accept, once: once, opts: opts, bars: map[engine.TransferID]*progress{}}
				ctx, end := r.hostCommands(ctx)
				err := r.run(ctx)
				end()
				for _, t := range e.Transfers() {
					if t.Incoming && !t.State.Final() && t.State != engine.Offered && p.host == nil {
						p.out.note("incomplete: %s: what has arrived is kept, and the transfer continues when this command runs again", what(t))
					}
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&into, "into", ".", "folder to receive into; created if it is missing")
	c.Flags().StringVar(&accept, "accept", "ask", "which offers to accept: ask (decide about each one), verified (those from verified peers) or all")
	c.Flags().BoolVar(&once, "once", false, "exit after one accepted transfer has finished")
	c.Flags().StringVar(&existing, "existing", "keep", existingUsage)
	c.Flags().BoolVar(&opts.Reread, "reread", false, rereadUsage)
	c.Flags().BoolVar(&opts.KeepExec, "keep-executable", false, "keep the executable permission of received files")
	c.Flags().BoolVar(&opts.Links, "links", false, "accept symbolic links whose target is inside the same folder, if the sender sends them")
	c.Flags().Int64Var(&opts.Reserve, "reserve", 0, reserveUsage)
	return c
}

// hostCommands executes the other commands that use the profile, until end is called. It does nothing if this command
// itself runs in a host. A receive command among them answers instead of this one. The returned context also ends when
// 'serve --stop' is called.
func (r *receiver) hostCommands(ctx context.Context) (_ context.Context, end func()) {
	if r.host != nil {
		return ctx, func() {}
	}
	dir, err := r.profileDir()
	if err != nil { // open has reported it
		return ctx, func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	host := &Host{Engine: r.e, Profile: dir, OwnPort: r.port != 0, Interfaces: r.ifaces, Stop: stop, LocalSend: r.localSend}
	r.leave = func() bool { return host.receivers.Load() > 0 }
	endCommands, err := host.Start(ctx)
	if err != nil {
		r.out.note("%v", err)
	}
	r.left = host.left
	return ctx, func() {
		endCommands()
		stop()
	}
}

const (
	existingUsage = "what to do if a name already exists: keep (add a number to the new name), skip (do not receive identical files, keep both if they differ), or replace (replace files that differ)"
	rereadUsage   = "compare existing files by content, even if they appear unchanged on both sides"
	reserveUsage  = "bytes to leave free on the disk; 0 for the larger of 1 GiB and 5% of the disk, -1 for none"
)

func parseExisting(s string) (transfer.Existing, error) {
	switch s {
	case "keep":
		return transfer.KeepBoth, nil
	case "skip":
		return transfer.SkipIdentical, nil
	case "replace":
		return transfer.Replace, nil
	}
	return 0, exit(exitUsage, fmt.Errorf("--existing %q: must be keep, skip or replace", s))
}

// folder creates a receiving folder, and returns its absolute path and its place.
func (p *program) folder(into string) (dir string, at transfer.Place, err error) {
	if dir, err = p.path(into); err != nil {
		return "", "", fmt.Errorf("--into: %w", err)
	}
	if err = transfer.MakeFolder(dir, ""); err != nil {
		return "", "", fmt.Errorf("--into: %w", err)
	}
	if at, err = transfer.PlaceOf(dir); err != nil {
		return "", "", fmt.Errorf("--into: %w", err)
	}
	if err = transfer.CheckFolder(dir); err != nil {
		return "", "", fmt.Errorf("--into: %w; choose a folder that you may write to", err)
	}
	if info, statErr := os.Stat(dir); statErr == nil && privatefile.OtherOwner(info) != "" {
		p.out.note("warning: %s belongs to another user (%s), who can read and change what arrives there", place(dir), privatefile.OtherOwner(info))
	}
	return dir, at, nil
}

// receiver accepts offers by policy, or asks about them one by one.
type receiver struct {
	*program
	e      *engine.Engine
	accept string
	once   bool
	opts   engine.AcceptOptions

	questions []question
	askedAt   time.Time // when the first of them was shown
	lines     <-chan inputLine
	strangers pace
	known     paces
	ends      ends
	inputErr  error // why standard input cannot be read
	// silent means that no one can answer any more: questions are declined, or left to the host.
	silent bool
	keeper *keeper // nil if nothing is stored
	// leave reports whether another receiver answers, and left signals that one no longer does; nil means that there is
	// no other receiver.
	leave func() bool
	left  <-chan struct{}
	bars  map[engine.TransferID]*progress
	// resumed are the outgoing transfers of earlier commands that serve continues.
	resumed map[engine.TransferID]bool
}

func (r *receiver) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	if r.host != nil {
		r.host.receivers.Add(1)
		defer r.stopAnswering()
	}
	self := r.e.Self()
	r.out.object(selfJSON(self))
	r.out.note("receiving into %s as %q, ID %s", r.opts.Dir, self.Name, self.ID)
	for _, a := range r.e.Acquaintances() {
		if a.AutoAccept.Dir != "" && a.AutoAccept.Dir != r.opts.Dir {
			r.out.note("files that %s (%s) may send without asking go into %s ('multipeer-cli auto')", quoted(a.Name), a.ID.Short(), a.AutoAccept.Dir)
		}
	}
	events := make(chan engine.Event)
	go func() {
		defer close(events)
		for ev := range r.e.Watch(ctx) {
			events <- ev
		}
	}()
	defer func() { // these messages were already acknowledged as delivered
		cancel()
		for ev := range events {
			if _, ok := ev.(engine.Message); ok {
				_, _ = r.take(ev)
			}
		}
	}()
	if r.accept == "ask" {
		r.lines = readLines(ctx, r.in, maxAnswer)
	}
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return r.inputErr
			}
			if done, err := r.take(ev); done {
				return err
			}
		case <-r.left:
			r.lookAgain(ctx)
		case line, ok := <-r.answers():
			if !ok || line.err != nil {
				r.endAnswers(line.err)
				continue
			}
			if r.early() {
				continue
			}
			if line.long {
				r.out.note("line %d is %s long, which is too long for an answer", line.number, size(line.size))
			}
			switch strings.ToLower(strings.TrimSpace(line.text)) {
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
		for _, t := range ev.Transfers { // transfers that an earlier run left unfinished
			if !t.State.Final() && t.State != engine.Offered {
				_, _ = r.transfer(t)
			}
		}
	case *engine.Invitation:
		r.invitation(ev)
	case engine.InvitationClosed:
		r.drop(ev.Invitation.ID)
	case *engine.Offer:
		r.offer(ev)
	case engine.PeerAdded:
		r.out.object(peerJSON("connected", ev.Peer))
		r.noteAbout(ev.Peer.ID, "connected to %s", describe(ev.Peer))
	case engine.PeerRemoved:
		r.out.object(goneJSON(ev))
		r.noteAbout(ev.Peer.ID, "disconnected from %s", describe(ev.Peer))
	case engine.Message:
		from := senderOf(r.e, ev)
		if r.keeper == nil || r.out.json || r.may(ev.From) { // a service stores what it does not print
			printMessage(r.out, ev, from)
		}
	case engine.Problem:
		printProblem(r.out, ev.Err)
	case engine.Conflict:
		printConflict(r.out, r.e, ev)
	case engine.Transfer:
		return r.transfer(ev)
	}
	return false, nil
}

func (r *receiver) invitation(i *engine.Invitation) {
	switch {
	case r.leave != nil && r.leave():
		return
	case r.silent && r.host != nil:
		return
	case r.accept == "ask" && !r.silent:
	case r.host == nil: // the engine has already accepted those that the policy admits
		_ = i.Decline()
		return
	case r.accept == "all":
		_ = i.Accept() // ErrAnswered: the host was faster
		return
	default: // the host answers
		return
	}
	byPerson := func() error { return i.AcceptWith(engine.InviteOptions{Person: true}) }
	short := "Connect to " + describe(i.Peer)
	r.put(question{short + "?", short, i.Peer, i.ID, byPerson, i.DeclineByPerson})
}

func (r *receiver) offer(o *engine.Offer) {
	t := o.Transfer
	r.out.object(transferJSON(t))
	accept := func() error {
		opts := r.opts
		opts.Person = true
		return o.Accept(opts)
	}
	peer, _ := r.e.Peer(t.Peer)
	peer.Name = t.PeerName // the name when the peer asked, which accepting stores
	var err error
	switch {
	case r.leave != nil && r.leave(), r.silent && r.host != nil:
	case r.silent:
		r.noteAbout(t.Peer, "declined %s from %s: no answer can be read", what(t), describe(peer))
		err = o.Decline()
	case r.accept == "all", r.accept == "verified" && peer.Trust == engine.TrustVerified:
		r.noteAbout(t.Peer, "receiving %s from %s%s", what(t), describe(peer), noteOf(t))
		err = o.Accept(r.opts)
	case r.accept == "auto":
		r.noteAbout(t.Peer, "declined %s from %s: 'multipeer-cli auto' does not allow it", what(t), describe(peer))
		err = o.Decline()
	case r.accept == "verified" && r.host != nil:
		r.noteAbout(t.Peer, "leaving %s from %s, which is not verified, to the running program", what(t), describe(peer))
	case r.accept == "verified":
		r.noteAbout(t.Peer, "declined %s from %s, which is not verified", what(t), describe(peer))
		err = o.Decline()
	default:
		short := "Accept from " + describe(peer)
		r.put(question{short + ": " + quotedNames(t) + noteOf(t) + "?", short, peer, string(t.ID), accept, o.DeclineByPerson})
	}
	if err != nil {
		r.noteAbout(t.Peer, "%v", err)
	}
}

// noteOf returns the sender's note on an offer, in quotation marks. It is empty if there is none.
func noteOf(t engine.Transfer) string {
	if t.Note == "" {
		return ""
	}
	plain := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Pi, unicode.Pf, unicode.Quotation_Mark) {
			return '\''
		}
		return r
	}, strings.Join(strings.Fields(t.Note), " "))
	return ", with the note \"" + engine.CleanLine(shortName(plain)) + "\""
}

// sentEarlier prints the outcome of a transfer that serve has continued for an earlier command.
func (r *receiver) sentEarlier(t engine.Transfer) {
	if !r.resumed[t.ID] || !t.State.Final() {
		return
	}
	delete(r.resumed, t.ID)
	if err := (&progress{out: r.out}).end(t); err != nil {
		r.out.note("sending: %v", err)
	}
}

func (r *receiver) transfer(t engine.Transfer) (done bool, err error) {
	if !t.Incoming {
		r.sentEarlier(t)
		return false, nil
	}
	if t.State != engine.Offered {
		r.drop(string(t.ID))
	}
	bar := r.bars[t.ID]
	if bar == nil && t.State != engine.Offered {
		bar = &progress{out: r.out, one: !t.State.Final()}
		if r.keeper != nil {
			bar.note = func(format string, a ...any) { r.noteAbout(t.Peer, format, a...) }
		}
		r.bars[t.ID] = bar
	}
	if !t.State.Final() {
		if bar != nil {
			bar.show(t)
		}
		return false, nil
	}
	delete(r.bars, t.ID)
	if r.keeper != nil && !r.out.json && !r.ends.allow(t.Peer, r.e.Trust(t.Peer)) {
		return false, nil
	}
	err = bar.end(t)
	if r.once && chatlog.Accepted(t) && t.State != engine.Declined { // guard: once-accepted
		return true, err
	}
	if err != nil {
		r.noteAbout(t.Peer, "receiving: %v", err)
	}
	return false, nil
}
