package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"multipeer/engine"
	"multipeer/internal/autostart"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"

	"github.com/spf13/cobra"
)

func (p *program) serveCommand() *cobra.Command {
	var into, accept, existing, atLogin string
	var forget, stop, unseen bool
	opts := engine.AcceptOptions{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run without a window: receive according to a policy, deliver the outbox, keep the history",
		Long: `serve is Multipeer without a window, for an unattended machine. It never asks: it accepts what 'multipeer-cli auto' lets
a peer send (auto), what any verified peer sends (verified), or everything (all), and declines the rest. It delivers what is
in the outbox when the recipients are online, and stores messages and transfers in the history, where the desktop app and
'multipeer-cli history' show them.

While it runs, it executes other commands that use the same profile, such as send, outbox, pair, trust and chat.

With --at-login on, the system starts serve now and whenever you log in, with the other flags that you give. --at-login off
stops it, and the system no longer starts it at login. Neither needs administrator rights.`,
		Args: cobra.NoArgs, Annotations: alone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := engine.Config{Accept: engine.Verified}
			switch {
			case stop:
				return p.stop(cmd.Context())
			case atLogin == "off":
				return p.atLogin(cmd, false, "")
			case atLogin != "on" && atLogin != "":
				return exit(exitUsage, fmt.Errorf("--at-login %q: must be on or off", atLogin))
			}
			switch accept {
			case "auto", "verified":
			case "all":
				cfg.Accept = engine.Everyone
			default:
				return exit(exitUsage, fmt.Errorf("--accept %q: must be auto, verified or all", accept))
			}
			var err error
			if opts.Existing, err = parseExisting(existing); err != nil {
				return err
			}
			if opts.Dir, opts.Place, err = p.folder(into); err != nil {
				return exit(exitFailed, err)
			}
			if atLogin == "on" {
				return p.atLogin(cmd, true, opts.Dir)
			}
			p.endless = true
			if unseen {
				autostart.CloseConsole()
			}
			return p.with(cmd.Context(), cfg, func(ctx context.Context, e *engine.Engine) error {
				return p.serve(ctx, e, &receiver{program: p, e: e, accept: accept, opts: opts, bars: map[engine.TransferID]*progress{}}, forget)
			})
		},
	}
	c.Flags().StringVar(&into, "into", ".", "folder to receive into; created if it is missing")
	c.Flags().StringVar(&accept, "accept", "auto", "which offers to accept: auto (what 'multipeer-cli auto' allows), verified (those from verified peers) or all")
	c.Flags().StringVar(&existing, "existing", "keep", existingUsage)
	c.Flags().BoolVar(&opts.Reread, "reread", false, rereadUsage)
	c.Flags().Int64Var(&opts.Reserve, "reserve", 0, reserveUsage)
	c.Flags().StringVar(&atLogin, "at-login", "", "start serve with these flags now and at every login (on), or stop it and disable starting at login (off)")
	if runtime.GOOS == "windows" { // programs started at login get a console window, which should not stay open
		c.Flags().BoolVar(&unseen, noConsole, false, "close the console")
		_ = c.Flags().MarkHidden(noConsole)
	}
	c.Flags().BoolVar(&stop, "stop", false, "stop the serve or receive command that uses this profile, and wait until it has exited")
	c.Flags().BoolVar(&forget, "no-history", false, "do not record messages and transfers; the existing history is kept")
	return c
}

func (p *program) serve(ctx context.Context, e *engine.Engine, r *receiver, forget bool) (err error) {
	dir, err := p.profileDir()
	if err != nil {
		return exit(exitFailed, err)
	}
	store := history.Memory()
	if !forget {
		if store, err = history.Open(filepath.Join(dir, historyFile)); err != nil {
			return exit(exitFailed, err)
		}
	}
	defer func() {
		if closeErr := store.Close(); closeErr != nil {
			err = errors.Join(err, exit(exitFailed, fmt.Errorf("saving the history: %w", closeErr)))
		}
	}()
	store.OnProblem(func(problem error) {
		if problem == nil {
			p.out.note("the history is being saved again")
			return
		}
		p.out.note("the history cannot be saved: %v; it is kept in memory until it can be saved", problem)
	})
	r.keeper = &keeper{store: store, trust: e.Trust, like: e.LooksLike, began: time.Now(), rows: map[engine.TransferID]row{}, ended: map[engine.TransferID]time.Time{}}
	r.resumed = map[engine.TransferID]bool{}
	for _, t := range waiting(e) { // paused by an earlier send that has exited
		if err := e.Resume(t.ID); err != nil {
			p.out.note("resuming %s: %v", what(t), err)
			continue
		}
		p.out.note("continuing to send %s to %s (%s): an earlier command left it unfinished", what(t), quoted(t.PeerName), t.Peer.Short())
		r.resumed[t.ID] = true
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	host := &Host{Engine: e, History: store, Profile: dir, OwnPort: p.port != 0, Interfaces: p.ifaces, Stop: stop, LocalSend: p.localSend}
	r.leave = func() bool { return host.receivers.Load() > 0 }
	end, err := host.Start(ctx)
	if err != nil {
		p.out.note("%v", err)
	}
	r.left = host.left
	defer func() { // transfers that ended after the last event was read
		for _, t := range e.Transfers() {
			r.keeper.transfer(t)
		}
	}()
	defer end()
	return r.run(ctx)
}

// historyFile is the file of a profile's conversations.
const historyFile = "history.db"

// keeper stores events in the history, as the window does.
type keeper struct {
	store *history.Store
	trust func(engine.PeerID) engine.Trust
	like  func(engine.PeerID, string) engine.PeerID // Engine.LooksLike
	asked paces                                     // limits offers that were not accepted
	began time.Time
	rows  map[engine.TransferID]row
	ended map[engine.TransferID]time.Time // when stored transfers have ended: their events may be repeated
}

// maxEnded limits keeper.ended. The engine remembers fewer transfers that have ended.
const maxEnded = 2000

// row is the position of a transfer in the history, and its stored state.
type row struct {
	talk  string
	seq   uint64
	state engine.TransferState
}

func (k *keeper) take(ev engine.Event) {
	switch ev := ev.(type) {
	case engine.Message:
		k.message(ev)
	case engine.Transfer:
		k.transfer(ev)
	case engine.Snapshot:
		for _, t := range ev.Transfers {
			k.transfer(t)
		}
	}
}

func (k *keeper) message(m engine.Message) {
	r, everyone := chatlog.Message(m)
	talk := m.From.String()
	trust := k.trust(m.From)
	from := engine.Peer{ID: m.From, Name: m.Name, Trust: trust, LooksLike: k.like(m.From, m.Name)}
	if everyone {
		talk = chatlog.Everyone
	}
	if everyone || !from.LooksLike.IsZero() {
		r.Who = speaker(m, from)
	}
	k.store.Append(talk, r)
	k.store.Update(talk, func(t *history.Talk) {
		t.OneSided = t.OneSided && !everyone && trust != engine.TrustVerified
		t.Unread++
		if !everyone {
			t.Name = m.Name
		}
	})
}

func (k *keeper) transfer(t engine.Transfer) {
	at, known := k.rows[t.ID]
	switch {
	case known && at.state == t.State:
		return
	case !known && t.State.Final() && t.Ended.Before(k.began): // from an earlier run
		return
	case !known && t.State.Final() && t.Ended.Equal(k.ended[t.ID]): // repeated by a snapshot
		return
	case !known && !chatlog.Accepted(t) && k.trust(t.Peer) == engine.TrustUnknown: // guard: questions-written
		return // a stranger's question is not stored
	case !known && !chatlog.Accepted(t) && !k.asked.allow(t.Peer, time.Now()): // guard: offers-written
		return
	case !known:
		talk := t.Peer.String()
		seq, there := k.find(talk, t.ID)
		if !there {
			seq = k.store.Append(talk, chatlog.Transfer(t))
			k.store.Update(talk, func(h *history.Talk) {
				h.Name = t.PeerName
				h.OneSided = h.OneSided && k.trust(t.Peer) != engine.TrustVerified
				if t.Incoming {
					h.Unread++
				}
			})
		}
		at = row{talk: talk, seq: seq}
	}
	at.state = t.State
	k.rows[t.ID] = at
	if t.State.Final() {
		delete(k.rows, t.ID)
		if len(k.ended) >= maxEnded {
			clear(k.ended)
		}
		k.ended[t.ID] = t.Ended
	}
	if r, ok := k.store.Row(at.talk, at.seq); ok {
		r.File = chatlog.File(t)
		k.store.Set(at.talk, at.seq, r)
	}
}

// find looks for a transfer that an earlier run stored and that has not ended. Peers choose the IDs, and may reuse one.
func (k *keeper) find(talk string, id engine.TransferID) (uint64, bool) {
	const newest = 256
	first, next := k.store.Bounds(talk)
	from := max(first, next-min(next, newest))
	for i, r := range k.store.Rows(talk, from, newest) {
		if r.File != nil && r.File.ID == string(id) && !engine.TransferState(r.File.State).Final() {
			return from + uint64(i), true
		}
	}
	return 0, false
}
