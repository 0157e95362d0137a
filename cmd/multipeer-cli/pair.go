package main

import (
	"context"
	"errors"
	"fmt"
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
		Short: "Verify a peer's key by comparing six digits, or by a link",
		Long: `pair asks a peer to compare codes. Run 'multipeer-cli pair confirm' on the other device, or press Verify
in its window: this one prints six digits, and the other wants them typed, or picked. When both have said yes each keeps the
other as verified. PEER is a name, an ID, HOST:PORT, or a multipeer:// link, which verifies in one step. What is asked for
is read from standard input; each question waits for a minute.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return exit(exitUsage, errors.New("name the peer with --to, or run 'pair confirm' to wait for one"))
			}
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				if strings.HasPrefix(to, "multipeer:") {
					return p.openLink(ctx, e, to)
				}
				peer, err := p.find(ctx, e, to, wait)
				if err != nil {
					return err
				}
				return newPairer(p, e).ask(ctx, peer.ID)
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "the peer: a name, an ID or the start of it, HOST:PORT, or a link")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to look for it")

	var from string
	confirm := &cobra.Command{
		Use: "confirm", Short: "Wait for two minutes for a peer that asks to be paired, and compare", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				return newPairer(p, e).confirm(ctx, from)
			})
		},
	}
	confirm.Flags().StringVar(&from, "to", "", "pair with this peer only: its name, ID or the start of it")
	link := &cobra.Command{
		Use: "link", Short: "Print a link and its QR code that pair one device within two minutes", Args: cobra.NoArgs,
		Long: `link prints a multipeer:// link. Whoever opens it within two minutes, the first one, is connected and verified, and
so is this device there. Show it to nobody else.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), engine.Config{}, func(ctx context.Context, e *engine.Engine) error {
				return newPairer(p, e).link(ctx)
			})
		},
	}
	c.AddCommand(confirm, link)
	return c
}

// openLink verifies in one step.
func (p *program) openLink(ctx context.Context, e *engine.Engine, link string) error {
	if _, err := engine.ParseLink(link); err != nil {
		return exit(exitUsage, err)
	}
	for range e.Watch(ctx) { // until the port is open
		if e.Self().Running {
			break
		}
	}
	id, err := e.OpenLink(ctx, link)
	if err != nil {
		return failed(err)
	}
	peer, _ := e.Peer(id)
	p.verified(peer)
	return nil
}

func (p *program) verified(peer engine.Peer) {
	p.out.object(peerJSON("verified", peer))
	p.out.line("%s is verified now: %s", peer.Name, peer.ID)
}

// pairer is one run of pair.
type pairer struct {
	*program
	e     *engine.Engine
	lines <-chan string
	asked map[engine.PeerID]bool // and not picked
}

func newPairer(p *program, e *engine.Engine) *pairer {
	return &pairer{program: p, e: e, asked: map[engine.PeerID]bool{}}
}

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

func (r *pairer) tell(p engine.Pairing) {
	o := pairingObject{Type: "pairing", ID: p.Peer.String(), Name: p.Name, Stage: p.Stage.String(), Code: p.Code, Choices: p.Choices}
	if p.Err != nil {
		o.Error = p.Err.Error()
	}
	r.out.object(o)
}

// ask is the side that begins.
func (r *pairer) ask(ctx context.Context, id engine.PeerID) error {
	news := r.e.Watch(ctx)
	if err := r.e.Pair(ctx, id); err != nil {
		return failed(err)
	}
	return r.follow(ctx, news, func(p engine.Pairing) bool { return p.Peer == id })
}

// confirm is the side that waits.
func (r *pairer) confirm(ctx context.Context, who string) error {
	news := r.e.Watch(ctx)
	until := r.e.OpenPairing()
	r.out.note("waiting until %s for a device that asks to be paired", until.Format("15:04:05"))
	return r.follow(ctx, news, func(p engine.Pairing) bool {
		if who == "" {
			return true
		}
		peer, err := r.e.FindPeer(who)
		return err == nil && peer.ID == p.Peer
	})
}

// link shows a link until somebody has used it.
func (r *pairer) link(ctx context.Context) error {
	news := r.e.Watch(ctx)
	for range r.e.Watch(ctx) {
		if r.e.Self().Running {
			break
		}
	}
	link := r.e.PairingLink()
	if link == "" {
		return exit(exitFailed, errors.New("this machine has no address that another device could reach; connect it to a network"))
	}
	r.out.object(struct {
		Type string `json:"type"`
		Link string `json:"link"`
	}{"link", link})
	if picture, err := drawQR(link); err == nil && r.out.tty {
		r.out.line("%s", picture)
	}
	r.out.line("%s", link)
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
		red, _, _, _ := code.At(x, y).RGBA()
		return red == 0
	}
	var b strings.Builder
	for y := -quiet; y < n+quiet; y += 2 {
		for x := -quiet; x < n+quiet; x++ { // light on a dark terminal, as scanners want it
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

// follow leads the person through the pairing that counts, to its end.
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
	r.lines = readLines(ctx, r.in)
	var now *engine.Pairing // a question is open about it
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return failed(engine.ErrCancelled)
			}
			switch ev := ev.(type) {
			case engine.PairingChanged:
				if p := ev.Pairing; counts(p) || p.Stage == engine.PairingDone {
					q, done, err := r.take(ctx, p)
					if done {
						return err
					}
					if q || now != nil && now.Peer == p.Peer {
						if now = nil; q {
							now = &p
						}
					}
				}
			case engine.SelfChanged:
				if ev.Self.PairingUntil.IsZero() && len(r.e.Pairings()) == 0 && now == nil {
					return exit(exitNotFound, errors.New("the two minutes are over, or pairing has failed too often; run this again when the other device is ready"))
				}
			}
		case line, ok := <-r.lines:
			if !ok {
				r.lines = nil
				if now != nil {
					r.e.CancelPairing(now.Peer)
					return exit(exitFailed, errors.New("nobody can be asked: standard input has ended"))
				}
				continue
			}
			if now != nil {
				p := *now
				now = nil
				r.out.ask("")
				if err := r.answer(ctx, p, strings.TrimSpace(line)); err != nil {
					r.out.note("%v", err)
				}
			}
		case <-ctx.Done():
			return failed(engine.ErrCancelled)
		}
	}
}

// take tells a stage; question tells that a line of the person answers it.
func (r *pairer) take(ctx context.Context, p engine.Pairing) (question, done bool, err error) {
	r.tell(p)
	peer, _ := r.e.Peer(p.Peer)
	name := fmt.Sprintf("%s (%s)", p.Name, p.Peer.Short())
	switch p.Stage {
	case engine.PairingAsked:
		if !peer.LooksLike.IsZero() {
			r.out.note("careful: %s is another device than the %s that you know (%s)", name, p.Name, peer.LooksLike.Short())
		}
		r.out.ask(fmt.Sprintf("Compare codes with %s? [y/n] ", name))
		return true, false, nil
	case engine.PairingWaiting:
		r.out.note("waiting for %s: press Verify there, or run 'multipeer-cli pair confirm'", name)
	case engine.PairingCompare:
		if p.Code != "" {
			r.out.line("%s", p.Code)
			r.out.ask(fmt.Sprintf("This is the code. Type y when it was taken on %s, n if the codes differ: ", name))
		} else {
			r.out.ask(fmt.Sprintf("Type the six digits that %s shows, or n if it shows none: ", name))
		}
		return true, false, nil
	case engine.PairingConfirmed:
		r.out.note("waiting for the yes of %s", name)
	case engine.PairingDone:
		r.settle(ctx, p.Peer)
		r.verified(peer)
		return false, true, nil
	case engine.PairingFailed:
		r.out.ask("")
		r.settle(ctx, p.Peer)
		err := fmt.Errorf("pairing with %s: %w", name, p.Err)
		if errors.Is(p.Err, engine.ErrMismatch) {
			err = fmt.Errorf("%w; another device may be between the two. Nobody is trusted; try again in ten minutes, on another network", err)
		}
		return false, true, failed(err)
	}
	return false, false, nil
}

// settle makes sure that the other side has heard all, before the program ends and the conn with it.
func (r *pairer) settle(ctx context.Context, id engine.PeerID) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if ping, err := r.e.NewPinger(ctx, id, engine.PingReliable); err == nil {
		_, _ = ping.Ping(ctx)
		ping.Close()
	}
}

// answer does what the person has said.
func (r *pairer) answer(ctx context.Context, p engine.Pairing, line string) error {
	yes := strings.EqualFold(line, "y") || strings.EqualFold(line, "yes")
	switch {
	case p.Stage == engine.PairingAsked && yes:
		return r.e.Pair(ctx, p.Peer)
	case p.Stage == engine.PairingAsked:
		r.e.CancelPairing(p.Peer)
		return nil
	case p.Code != "" && yes:
		return r.e.ConfirmPairing(p.Peer, "")
	case p.Code != "", strings.EqualFold(line, "n"), strings.EqualFold(line, "no"):
		return r.e.RejectPairing(p.Peer)
	}
	return r.e.ConfirmPairing(p.Peer, line)
}

func (p *program) autoCommand() *cobra.Command {
	var upTo, into string
	var days int
	c := &cobra.Command{
		Use:   "auto ID",
		Short: "Take files of a verified peer without asking, so many bytes a day, into a folder",
		Long: `auto keeps what is taken from a verified peer without asking. ID is the whole ID. Without --up-to everything is asked for
again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := engine.ParsePeerID(args[0])
			if err != nil {
				return exit(exitUsage, err)
			}
			var a engine.AutoAccept
			if upTo != "" {
				if a.Bytes, err = parseSize(upTo); err != nil {
					return exit(exitUsage, err)
				}
				if a.Dir, err = folder(into); err != nil {
					return exit(exitFailed, err)
				}
				if days > 0 {
					a.Until = time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC().Truncate(time.Second)
				}
			}
			e, err := p.open(engine.Config{})
			if err != nil {
				return err
			}
			defer e.Close()
			if err := e.SetAutoAccept(id, a); err != nil {
				return failed(err)
			}
			p.out.object(struct {
				Type  string `json:"type"`
				ID    string `json:"id"`
				Bytes int64  `json:"bytes_a_day"`
				Dir   string `json:"into,omitempty"`
			}{"auto", id.String(), a.Bytes, a.Dir})
			if a.Bytes == 0 {
				p.out.line("everything that %s offers is asked for now", id.Short())
			} else {
				p.out.line("%s a day of %s are taken into %s without asking", size(a.Bytes), id.Short(), a.Dir)
			}
			return nil
		},
	}
	c.Flags().StringVar(&upTo, "up-to", "", "bytes in 24 hours, such as 500MB or 2GB")
	c.Flags().StringVar(&into, "into", ".", "folder that receives; made if it is missing")
	c.Flags().IntVar(&days, "days", 0, "for so many days; 0 is for good")
	return c
}
