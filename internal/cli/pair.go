package cli

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"regexp"
	"slices"
	"strings"
	"time"

	"multipeer/engine"

	"github.com/boombuler/barcode/qr"
	"github.com/spf13/cobra"
)

func (p *program) pairCommand() *cobra.Command {
	var to string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "pair --to PEER",
		Short: "Verify a peer's key by comparing six digits, or with a link",
		Long: `pair asks a peer to compare codes. Run 'multipeer-cli pair confirm' on the other device, or press Verify in the app there.
This device prints six digits, and the other device asks its user to type or pick them. When both users have confirmed,
each device stores the other as verified. PEER is a name, an ID or HOST:PORT.

With a multipeer:// link, the two devices verify each other in one step. Use '--to -' to read the link from standard input: it contains a secret, and other
programs can see command-line arguments. Answers are read from standard input; you have one minute for each.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return exit(exitUsage, errors.New("specify the peer with --to, or run 'pair confirm' to wait for one"))
			}
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(to)), "multipeer:") {
				return exit(exitUsage, errors.New("other users of this machine can read a link on the command line, and the secret in it; run 'multipeer-cli pair --to -' and paste a new link"))
			}
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				if to == "-" {
					return p.readLink(ctx, e)
				}
				peer, err := p.find(ctx, e, to, wait)
				if err != nil {
					return err
				}
				return newPairer(p, e).ask(ctx, peer.ID)
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "peer: a name, an ID or the start of one, or HOST:PORT; - reads a link from standard input")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to look for the peer")

	var from string
	confirm := &cobra.Command{
		Use: "confirm", Short: "Wait up to two minutes for a pairing request, then compare codes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				return newPairer(p, e).confirm(ctx, from)
			})
		},
	}
	confirm.Flags().StringVar(&from, "to", "", "pair with this peer only: its name, its ID or the start of its ID")
	link := &cobra.Command{
		Use: "link", Short: "Print a link and its QR code; they pair one device, and expire after two minutes", Args: cobra.NoArgs,
		Long: `link prints a multipeer:// link. The first device that opens it within two minutes is connected and verified, and
verifies this device too. Do not show the link to anyone else.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				return newPairer(p, e).link(ctx)
			})
		},
	}
	c.AddCommand(confirm, link)
	return c
}

// readLink verifies a peer with the link in the first line of standard input.
func (p *program) readLink(ctx context.Context, e *engine.Engine) error {
	p.out.ask("Paste the link: ")
	defer p.out.ask("")
	select {
	case line, ok := <-readLines(ctx, p.in, maxAnswer):
		switch {
		case !ok:
			return exit(exitFailed, errors.New("no link was read: standard input has ended"))
		case line.err != nil:
			return exit(exitFailed, errors.New(noAnswers(line.err)))
		case line.long:
			return exit(exitUsage, fmt.Errorf("the line is %s long, too long for a link", size(line.size)))
		}
		p.out.ask("")
		return p.openLink(ctx, e, line.text)
	case <-ctx.Done():
		return errInterrupted
	}
}

// openLink verifies a peer in one step.
func (p *program) openLink(ctx context.Context, e *engine.Engine, link string) error {
	if _, err := engine.ParseLink(link); err != nil {
		return exit(exitUsage, err)
	}
	id, err := e.OpenLink(ctx, link)
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return failed(err)
	}
	peer, here := e.Peer(id)
	if !here {
		peer = engine.Peer{ID: id, Name: id.Short(), Trust: engine.TrustVerified}
	}
	p.verified(peer)
	return nil
}

func (p *program) verified(peer engine.Peer) {
	p.out.object(peerJSON("verified", peer))
	p.out.line("%s is now verified: %s", quoted(peer.Name), peer.ID)
}

// pairer is one run of pair.
type pairer struct {
	*program
	e        *engine.Engine
	lines    <-chan inputLine
	askedAt  time.Time        // when question was shown
	question func()           // shows the open question
	picked   engine.PeerID    // zero until a peer is chosen
	asking   []engine.Pairing // peers that wait to be chosen; the question is about the first
	codes    *engine.Pairing  // set while the question is about the codes
}

func newPairer(p *program, e *engine.Engine) *pairer { return &pairer{program: p, e: e} }

// pairingObject is a pairing in JSON.
type pairingObject struct {
	Type    string   `json:"type"`
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Stage   string   `json:"stage"`
	Code    string   `json:"code,omitempty"`
	Choices []string `json:"choices,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func (r *pairer) show(p engine.Pairing) {
	o := pairingObject{Type: "pairing", ID: p.Peer.String(), Name: p.Name, Stage: p.Stage.String(), Code: p.Code, Choices: p.Choices}
	if p.Err != nil {
		o.Error = p.Err.Error()
	}
	r.out.object(o)
}

// ask runs the side that requests the pairing.
func (r *pairer) ask(ctx context.Context, id engine.PeerID) error {
	news := r.e.WatchState(ctx)
	r.picked = id
	if err := r.e.Pair(ctx, id); err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return failed(err)
	}
	return r.follow(ctx, news, func(p engine.Pairing) bool { return p.Peer == id })
}

// confirm runs the side that waits for a request.
func (r *pairer) confirm(ctx context.Context, who string) error {
	news := r.e.WatchState(ctx)
	until := r.e.OpenPairing()
	r.out.note("waiting until %s for a device that asks to pair", until.Format("15:04:05"))
	return r.follow(ctx, news, func(p engine.Pairing) bool {
		if who == "" {
			return true
		}
		return r.means(who, p)
	})
}

// means reports whether a pairing is with the peer that the user specified. A device that was set up again has the same
// name but a different key; it counts, because the question about it contains a warning. The start of another peer's ID
// does not count as a name.
func (r *pairer) means(who string, p engine.Pairing) bool {
	peer, err := r.e.FindPeer(who)
	if err == nil && peer.ID == p.Peer {
		return true
	}
	begins := func(id engine.PeerID) bool { return id != p.Peer && id.HasPrefix(who) }
	if err == nil && begins(peer.ID) || errors.Is(err, engine.ErrInvalid) || slices.ContainsFunc(r.e.Acquaintances(), func(a engine.Acquaintance) bool { return begins(a.ID) }) {
		return false
	}
	return strings.EqualFold(p.Name, who)
}

// link shows a link, and waits until someone has used it.
func (r *pairer) link(ctx context.Context) error {
	news := r.e.WatchState(ctx)
	link, err := r.e.NewPairingLink()
	if errors.Is(err, engine.ErrNoNetwork) {
		return exit(exitFailed, errors.New("this machine has no address that another device could reach; connect it to a network"))
	}
	if err != nil {
		return failed(err)
	}
	r.out.object(struct {
		Type string `json:"type"`
		Link string `json:"link"`
	}{"link", link})
	if picture, err := drawQR(link); err == nil && r.out.tty {
		r.out.line("%s", verbatim(picture))
	}
	r.out.line("%s", verbatim(link))
	return r.follow(ctx, news, func(engine.Pairing) bool { return false })
}

// drawQR draws two rows of a QR code with each line of text.
func drawQR(s string) (string, error) {
	code, err := qr.Encode(s, qr.L, qr.Auto)
	if err != nil {
		return "", err
	}
	const quiet = 2
	n := code.Bounds().Dx()
	dark := func(x, y int) bool {
		if x < 0 || y < 0 || x >= n || y >= n {
			return false
		}
		return color.Gray16Model.Convert(code.At(x, y)) == color.Black
	}
	var b strings.Builder
	for y := -quiet; y < n+quiet; y += 2 {
		for x := -quiet; x < n+quiet; x++ { // light modules on a dark terminal, as scanners expect
			switch top, bottom := dark(x, y), dark(x, y+1); {
			case top && bottom:
				b.WriteRune(' ')
			case top:
				b.WriteRune('▄')
			case bottom:
				b.WriteRune('▀')
			default:
				b.WriteRune('█')
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n"), nil
}

// follow guides the user through the pairing for which counts returns true, until it ends. Only one question is open at
// a time: about the codes, or about which peer to pair with.
func (r *pairer) follow(ctx context.Context, news func(func(engine.Event) bool), counts func(engine.Pairing) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan engine.Event)
	go func() {
		defer close(events)
		for ev := range news {
			select {
			case events <- ev:
			case <-ctx.Done():
				return
			}
		}
	}()
	r.lines = readLines(ctx, r.in, maxAnswer)
	var inputErr error // why standard input has ended
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return errInterrupted
			}
			switch ev := ev.(type) {
			case engine.Pairing:
				if p := ev; counts(p) || p.Stage == engine.PairingDone {
					if done, err := r.take(ctx, p); done {
						return err
					}
				}
			case engine.Self:
				if ev.Running && ev.PairingUntil.IsZero() && r.picked.IsZero() {
					return exit(exitFailed, errors.New("the two minutes are over, or pairing failed too many times; run this command again when the other device is ready"))
				}
			}
		case line, ok := <-r.lines:
			if !ok || line.err != nil {
				r.lines, inputErr = nil, line.err
				break
			}
			if line.long {
				r.out.note("line %d is %s long, which is too long for an answer", line.number, size(line.size))
			}
			if err := r.answer(ctx, strings.TrimSpace(line.text)); err != nil {
				r.out.note("%v", err)
			}
		case <-ctx.Done():
			return errInterrupted
		}
		if r.lines == nil && (r.codes != nil || len(r.asking) > 0) {
			return exit(exitFailed, fmt.Errorf("no answer: %s", noAnswers(inputErr)))
		}
	}
}

func called(p engine.Pairing) string { return describe(engine.Peer{ID: p.Peer, Name: p.Name}) }

// take reports a stage; done ends the program.
func (r *pairer) take(ctx context.Context, p engine.Pairing) (done bool, err error) {
	r.show(p)
	mine := p.Peer == r.picked
	first := len(r.asking) == 0
	r.asking = slices.DeleteFunc(r.asking, func(q engine.Pairing) bool { return q.Peer == p.Peer })
	if r.codes != nil && r.codes.Peer == p.Peer && p.Stage < engine.PairingCompare {
		r.out.ask("") // the displayed codes belong to an attempt that has ended; this event replaced its last one
		return true, failed(fmt.Errorf("pairing with %s: %w; %s has started another attempt, so run this command again", called(p), engine.ErrCancelled, called(p)))
	}
	switch p.Stage {
	case engine.PairingAsked:
		r.asking = append(r.asking, p)
		if first && r.picked.IsZero() {
			r.askNext()
		}
		return false, nil
	case engine.PairingWaiting:
		r.out.note("waiting for %s: on that device, press Verify or run 'multipeer-cli pair confirm'", called(p))
	case engine.PairingCompare:
		r.codes = &p
		if p.Code != "" {
			r.out.line("%s", p.Code)
			r.prompt("This is the code. Type y once it has been entered on %s, n if the codes differ: ", called(p))
		} else {
			r.prompt("Type the six digits that %s shows, or n if it shows none: ", called(p))
		}
	case engine.PairingConfirmed:
		r.out.note("waiting for confirmation on %s", called(p))
	case engine.PairingDone:
		r.settle(ctx, p.Peer)
		peer, here := r.e.Peer(p.Peer)
		if !here { // the peer is done and has disconnected
			peer = engine.Peer{ID: p.Peer, Name: p.Name, Trust: engine.TrustVerified}
		}
		r.verified(peer)
		return true, nil
	case engine.PairingFailed:
		if !mine {
			if r.picked.IsZero() {
				r.askNext()
			}
			return false, nil
		}
		r.out.ask("")
		r.settle(ctx, p.Peer)
		err := fmt.Errorf("pairing with %s: %w", called(p), p.Err)
		if errors.Is(p.Err, engine.ErrMismatch) {
			err = fmt.Errorf("%w; another device may be intercepting the connection, so neither side was marked as verified. Try again in ten minutes on another network", err)
		}
		return true, failed(err)
	}
	return false, nil
}

// askNext asks about the first waiting peer.
func (r *pairer) askNext() {
	if len(r.asking) == 0 {
		r.out.ask("")
		return
	}
	p := r.asking[0]
	peer := engine.Peer{ID: p.Peer, Name: p.Name, LooksLike: r.e.LooksLike(p.Peer, p.Name)}
	r.prompt("%sCompare codes with %s? [y/n] ", careful(peer), called(p))
}

// prompt shows a question and records the time.
func (r *pairer) prompt(format string, args ...any) {
	r.dropTyped()
	r.askedAt, r.question = time.Now(), func() { r.out.ask(format, args...) }
	r.question()
}

// settle makes sure that the other side has received everything before the program exits and closes the connection.
func (r *pairer) settle(ctx context.Context, id engine.PeerID) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = r.e.Ping(ctx, id, engine.PingReliable)
}

var sixDigits = regexp.MustCompile(`^[0-9]{3} ?[0-9]{3}$`)

// answer applies the user's answer to the open question.
func (r *pairer) answer(ctx context.Context, line string) error {
	yes := strings.EqualFold(line, "y") || strings.EqualFold(line, "yes")
	no := strings.EqualFold(line, "n") || strings.EqualFold(line, "no")
	asked := r.codes != nil || len(r.asking) > 0 && r.picked.IsZero()
	if asked && line != "" && r.typed() && time.Since(r.askedAt) < tooSoon { // guard: pair-answers
		r.out.note("that was typed before you could read the question; please answer again")
		r.question()
		return nil
	}
	switch p := r.codes; {
	case p != nil && line == "": // an accidental Enter is not an answer
		return nil
	case p != nil && p.Code == "" && !no && !sixDigits.MatchString(line):
		r.out.ask("%q is not a code. Type the six digits that %s shows, or n if it shows none: ", line, called(*p))
		return nil
	case p != nil:
		r.codes = nil
		r.out.ask("")
		switch {
		case no, p.Code != "" && !yes:
			return r.e.RejectPairing(p.Peer)
		case p.Code != "":
			return r.e.ConfirmPairing(p.Peer, p.Code)
		}
		return r.e.ConfirmPairing(p.Peer, line)
	case len(r.asking) == 0 || !r.picked.IsZero():
		return nil
	case yes:
		r.picked = r.asking[0].Peer
		r.asking = nil
		r.out.ask("")
		return r.e.Pair(ctx, r.picked)
	case no:
		r.e.CancelPairing(r.asking[0].Peer) // the event that ends this pairing makes us ask about the next peer
		return nil
	}
	r.askNext()
	return nil
}
