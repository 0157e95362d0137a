package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine"
	"multipeer/transfer"

	"github.com/spf13/cobra"
)

func (p *program) sendCommand() *cobra.Command {
	var to []string
	s := newSending(p)
	c := &cobra.Command{
		Use: "send --to PEER PATH...",
		Example: `  multipeer-cli send --to Anna photos notes.txt
  tar c src | multipeer-cli send --to Anna --as src.tar -`,
		Short: "Send files and folders, and exit when the other side has stored them",
		Long: `send offers files and folders to a peer, and waits for its answer and then for the receipt, which means that the files
have been verified and stored under their final names on the receiver's disk.

PEER is a name, an ID, the start of an ID, or HOST:PORT. If --to is repeated, each recipient gets
the same files, which are read only once. The path - sends standard input, under the name given with --as. If a transfer of files or
folders is interrupted (by a lost connection, a crash on either side, or Ctrl-C), the same command resumes where it stopped.`,
		Args: func(_ *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return errors.New("specify the files or folders to send: send --to PEER PATH")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := s.checkOptions(paths); err != nil {
				return exit(exitUsage, fmt.Errorf("sending: %w", err))
			}
			if paths[0] == "-" {
				s.opts.Content = s.in
				paths = nil
			}
			for i := range paths {
				var err error
				if paths[i], err = s.path(paths[i]); err != nil {
					return exit(exitUsage, fmt.Errorf("sending: %w", err))
				}
				if _, err := os.Lstat(paths[i]); err != nil { // report errors before waiting for a peer
					var at *fs.PathError
					if errors.As(err, &at) {
						err = at.Err
					}
					return exit(exitFailed, fmt.Errorf("sending %s: %w", paths[i], err))
				}
			}
			p.gives = true
			return p.with(cmd.Context(), engine.Config{Hidden: true}, func(ctx context.Context, e *engine.Engine) error {
				s.e = e
				return s.run(ctx, to, paths)
			})
		},
	}
	c.Flags().StringArrayVar(&to, "to", nil, "recipient: a name, an ID or the start of one, or HOST:PORT (repeatable)")
	c.Flags().DurationVar(&s.wait, "wait", 20*time.Second, "how long to wait for a peer to appear, or to come back")
	c.Flags().BoolVar(&s.opts.Links, "links", false, "send symbolic links whose target is inside the same folder, if the receiver accepts them")
	c.Flags().StringVar(&s.opts.Name, "as", "", "name under which a single file or folder is sent")
	c.Flags().StringVar(&s.opts.Note, "note", "", "note that the other side shows with the offer")
	_ = c.MarkFlagRequired("to")
	return c
}

// checkOptions reports options that do not fit the paths or each other.
func (s *sending) checkOptions(paths []string) error {
	input := slices.Contains(paths, "-")
	switch {
	case input && len(paths) > 1:
		return errors.New("- cannot be combined with other paths: standard input is one file")
	case input && s.opts.Name == "":
		return errors.New("standard input has no name; give it one: send --to PEER --as NAME -")
	case s.opts.Name != "" && len(paths) > 1:
		return fmt.Errorf("--as gives one name, but there are %d paths", len(paths))
	case len(s.opts.Note) > engine.MaxNote:
		return fmt.Errorf("--note is %d bytes long; the limit is %d", len(s.opts.Note), engine.MaxNote)
	case s.opts.Name == "":
		return nil
	}
	return transfer.ValidateName(s.opts.Name)
}

// fromInput reports whether standard input is sent.
func (s *sending) fromInput() bool { return s.opts.Content != nil }

// sending is one run of send.
type sending struct {
	*program
	e    *engine.Engine
	wait time.Duration
	opts engine.OfferOptions

	bars      map[engine.TransferID]*progress
	awaySince map[engine.TransferID]time.Time
	offered   map[engine.TransferID]bool            // transfers that wait or waited for an answer
	asked     map[engine.TransferID]engine.Transfer // transfers to report as waiting if they still wait later
	paths     []string
	open      map[engine.TransferID]bool // transfers that have not ended
	resumed   map[engine.TransferID]bool // transfers of an earlier run
}

func newSending(p *program) *sending {
	return &sending{
		program: p, bars: map[engine.TransferID]*progress{}, awaySince: map[engine.TransferID]time.Time{},
		offered: map[engine.TransferID]bool{}, asked: map[engine.TransferID]engine.Transfer{},
		open: map[engine.TransferID]bool{}, resumed: map[engine.TransferID]bool{},
	}
}

func (s *sending) run(ctx context.Context, to, paths []string) error {
	s.paths = paths
	s.opts.Person = true
	s.opts.Keep = !s.fromInput() || s.host != nil // the next run could not resume it, because its input differs
	var ids []engine.PeerID
	for _, who := range to {
		peer, err := s.find(ctx, s.e, who, s.wait)
		if err != nil {
			return err
		}
		ids = append(ids, peer.ID)
	}
	if s.fromInput() {
		s.out.note("reading standard input")
	}
	var fresh []engine.PeerID
	var errs []error
	for _, id := range ids {
		if t, ok := s.interrupted(id, paths); ok && !s.fromInput() {
			changed, err := s.changed(ctx, t, paths)
			switch {
			case err != nil:
				return failed(fmt.Errorf("sending: %w", err))
			case changed && t.Done == 0: // the receiver is asked about what is there now
				_ = s.e.Cancel(t.ID)
				fresh = append(fresh, id)
				continue
			case changed:
				errs = append(errs, exit(exitPartly, fmt.Errorf("the content of %s has changed since it was offered to %s; this transfer contains what was offered then: run the command again to send the rest", what(t), quoted(t.PeerName))))
			}
			s.out.note("resuming the transfer of %s to %s", what(t), quoted(t.PeerName))
			s.open[t.ID], s.resumed[t.ID] = true, true
			if err := s.e.Resume(t.ID); err != nil {
				return failed(err)
			}
			continue
		}
		fresh = append(fresh, id)
	}
	refused := s.offer(ctx, fresh)
	if len(refused) > 0 && ctx.Err() != nil {
		return errInterrupted
	}
	errs = append(errs, refused...)
	for id := range s.open {
		s.bars[id] = &progress{out: s.out, one: len(s.open) == 1}
	}
	if err := s.follow(ctx); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// offer offers the paths to peers, and returns the errors of the offers that could not be made.
func (s *sending) offer(ctx context.Context, to []engine.PeerID) (errs []error) {
	if len(to) == 0 {
		return nil
	}
	offered, _ := s.e.OfferEach(ctx, to, s.opts, s.paths...) // each transfer has its own error
	for _, t := range offered {
		if t.Err != nil && t.ID == "" {
			errs = append(errs, failed(fmt.Errorf("sending: %w", why(t.Err))))
			continue
		}
		s.open[t.ID] = true
		s.out.note("offering %s to %s (%s%s)", what(t), quoted(t.PeerName), t.Peer.Short(), viaNote(s.e, t.Peer))
	}
	return errs
}

// offerAgain offers the paths again to a peer that has received an earlier version of them.
func (s *sending) offerAgain(ctx context.Context, t engine.Transfer) []error {
	delete(s.open, t.ID)
	s.out.note("%s had arrived at %s before the interruption, and has changed since", what(t), quoted(t.PeerName))
	before := maps.Clone(s.open)
	errs := s.offer(ctx, []engine.PeerID{t.Peer})
	for id := range s.open {
		if !before[id] {
			s.bars[id] = &progress{out: s.out, one: s.bars[t.ID].one}
		}
	}
	return errs
}

// interrupted returns the transfer that an earlier run of the same command left unfinished.
func (s *sending) interrupted(to engine.PeerID, paths []string) (engine.Transfer, bool) {
	want := make([]string, len(paths))
	for i, p := range paths {
		want[i], _ = filepath.Abs(p)
	}
	for _, t := range s.e.Transfers() {
		if !t.Incoming && t.Peer == to && !t.State.Final() && slices.Equal(t.Paths, want) &&
			t.As == s.opts.Name && t.Note == engine.CleanText(s.opts.Note) && t.Links == s.opts.Links {
			return t, true
		}
	}
	return engine.Transfer{}, false
}

// changed reports whether the paths hold another number of entries or bytes than an interrupted transfer. A program
// that was running all the time still has the list of that time; otherwise the files are listed again anyway.
func (s *sending) changed(ctx context.Context, t engine.Transfer, paths []string) (bool, error) {
	if s.host == nil || t.Counting {
		return false, nil
	}
	listing, err := transfer.NewListing(paths, transfer.ListOptions{Links: s.opts.Links, Name: s.opts.Name})
	if err != nil {
		return false, err
	}
	now, err := listing.Fill(ctx, nil)
	return now.Files+now.Links != t.Files || now.Folders != t.Folders || now.Bytes != t.Bytes, err
}

// follow shows the transfers until all have ended. If a peer stays offline, its transfer is paused and left in the
// outbox.
func (s *sending) follow(ctx context.Context) error {
	var errs []error
	end := func(id engine.TransferID, err error) {
		delete(s.open, id)
		if err != nil {
			errs = append(errs, err)
		}
	}
	hold := func(id engine.TransferID, code int, why string) {
		if s.host != nil && ctx.Err() == nil {
			end(id, exit(exitFailed, fmt.Errorf("sending: %s; the transfer is in the outbox, and the running copy of Multipeer will continue it", why)))
			return
		}
		if s.fromInput() {
			_ = s.e.Cancel(id)
			end(id, exit(code, fmt.Errorf("sending: %s; the other device will delete the partial data", why)))
			return
		}
		if t := transferOf(s.e, id); t.Started.IsZero() && code == exitInterrupted { // there is nothing to continue
			_ = s.e.Cancel(id)
			end(id, exit(code, fmt.Errorf("sending: %s before %s accepted; the offer was withdrawn", why, quoted(t.PeerName))))
			return
		}
		_ = s.e.Pause(id)
		end(id, exit(code, fmt.Errorf("sending: %s; run the same command again to continue, or 'multipeer-cli outbox --drop %s' to give up. 'multipeer-cli serve' continues it, too", why, id)))
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	events := make(chan engine.Event)
	go func() {
		defer close(events)
		for ev := range s.e.WatchState(watching) {
			select {
			case events <- ev:
			case <-watching.Done():
				return
			}
		}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(s.open) > 0 {
		select {
		case ev, ok := <-events:
			if !ok {
				return exit(exitFailed, errors.New("sending: Multipeer stopped before the transfer had finished; run the same command again"))
			}
			if found, ok := ev.(engine.Conflict); ok {
				printConflict(s.out, s.e, found)
			}
			for _, t := range transfersIn(ev) {
				switch {
				case !s.open[t.ID]:
				case s.resumed[t.ID] && t.State == engine.Failed && errors.Is(t.Err, transfer.ErrChanged):
					errs = append(errs, s.offerAgain(ctx, t)...)
				default:
					s.show(t, end)
				}
			}
		case <-tick.C:
			for id, t := range s.asked {
				delete(s.asked, id)
				if s.open[id] {
					s.out.note("waiting for %s to accept %s", quoted(t.PeerName), what(t))
				}
			}
			for id, since := range s.awaySince {
				if s.open[id] && time.Since(since) > s.wait {
					hold(id, exitFailed, fmt.Sprintf("the peer disconnected and did not come back within %v", s.wait))
				}
			}
		case <-ctx.Done():
			for id := range s.open {
				hold(id, exitInterrupted, "interrupted")
			}
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// transferOf returns the transfer with an ID; the zero Transfer if there is none.
func transferOf(e *engine.Engine, id engine.TransferID) engine.Transfer {
	for _, t := range e.Transfers() {
		if t.ID == id {
			return t
		}
	}
	return engine.Transfer{}
}

func (s *sending) show(t engine.Transfer, end func(engine.TransferID, error)) {
	if t.State.Final() {
		end(t.ID, s.bars[t.ID].end(t))
		return
	}
	if t.State == engine.Offered && !t.Counting {
		if !s.offered[t.ID] {
			s.offered[t.ID], s.asked[t.ID] = true, t
		}
	} else {
		delete(s.asked, t.ID)
	}
	s.bars[t.ID].show(t)
	away := t.Err != nil && !transfer.WaitsForDisk(t.Err) && (t.State == engine.Stalled || t.State == engine.Queued)
	if since, known := s.awaySince[t.ID]; away && !known {
		s.awaySince[t.ID] = time.Now()
	} else if known && !away && !since.IsZero() {
		delete(s.awaySince, t.ID)
	}
}

// transfersIn returns the transfers in an event.
func transfersIn(ev engine.Event) []engine.Transfer {
	switch ev := ev.(type) {
	case engine.Transfer:
		return []engine.Transfer{ev}
	case engine.Snapshot:
		return ev.Transfers
	}
	return nil
}
