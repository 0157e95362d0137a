package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Limits on offers that wait for an answer, and how long they do.
const (
	offersPerPeer     = 10
	offersInAll       = 50
	offersPerStranger = 2
	offersOfStrangers = 10
	// OfferTimeout is how long an offer waits for its answer.
	OfferTimeout = 10 * time.Minute
)

// Offer is a peer's proposal of files. Accept or Decline it once; the first answer counts.
type Offer struct {
	Transfer Transfer // as it was when it came

	e *Engine
	t *transferState
}

// AcceptOptions say where an offer goes.
type AcceptOptions struct {
	// Dir is the folder that receives; it is made if it is missing.
	Dir string
	// KeepExec lets files that are executable there be executable here, for their owner.
	KeepExec bool
}

// Accept takes the files into a folder. The transfer then runs by itself; Watch and Wait tell how it goes. Nothing
// in the folder is ever overwritten, and not more is taken than was offered. Errors are ErrAnswered, and what keeps
// the folder from being used.
func (o *Offer) Accept(opts AcceptOptions) error {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return fmt.Errorf("folder %q: %w: name a folder to receive into", opts.Dir, ErrInvalid)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	opts.Dir = dir
	e, t := o.e, o.t
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.offer != o || t.view.State != Offered {
		return ErrAnswered
	}
	if !e.launch(t, func(ctx context.Context) { e.receive(ctx, t, opts) }) {
		return ErrClosed
	}
	t.offer = nil
	// From here on, and only so, there is somewhere for data with this ID from this peer to go.
	t.view.State, t.view.Started, t.view.Dir = Moving, now(), dir
	t.mark = t.view.Started
	e.publish(TransferChanged{t.view})
	t.link.send(wire.OfferAnswer{ID: string(t.view.ID), Accept: true})
	return nil
}

// Decline tells the peer no. ErrAnswered if it is too late.
func (o *Offer) Decline() error {
	e, t := o.e, o.t
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.offer != o || t.view.State != Offered {
		return ErrAnswered
	}
	t.link.send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Declined})
	e.finish(t, ErrDeclined)
	return nil
}

// Offer offers files and folders to a peer and returns the offer's state at once; nothing moves before the peer
// accepts. A session is not needed, only that the peer is reached: its first acceptance may be that of an offer.
// Wait waits for the end, Cancel withdraws. Errors tell what cannot be read or reached.
func (e *Engine) Offer(ctx context.Context, to PeerID, paths ...string) (Transfer, error) {
	summary, err := transfer.Check(paths)
	if err != nil {
		return Transfer{}, fmt.Errorf("offer: %w", err)
	}
	p, l, err := e.waitLink(ctx, to)
	if err != nil {
		return Transfer{}, err
	}
	paths = slices.Clone(paths)
	for i := range paths { // the program may change its working directory
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return Transfer{}, fmt.Errorf("offer: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link != l {
		return Transfer{}, ErrLost
	}
	t := e.newTransfer(l, TransferID(newID()), false)
	t.names = summary.Names[:min(len(summary.Names), wire.MaxOfferNames)]
	v := &t.view
	v.Names, v.Items = clean(t.names), int64(len(summary.Names))
	v.Files, v.Folders, v.Bytes, v.Counting = summary.Files, summary.Folders, summary.Bytes, summary.Folders > 0
	if !e.launch(t, func(ctx context.Context) { e.send(ctx, t, paths) }) {
		return Transfer{}, ErrClosed
	}
	e.transfers[v.ID] = t
	e.publish(TransferChanged{*v})
	return *v, nil
}

func clean(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = wire.CleanLine(n)
	}
	return out
}

func inDir(dir string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, filepath.Join(dir, n))
	}
	return out
}

func (e *Engine) takeOffer(p *peer, l *link, m wire.Offer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	refuse := func(c wire.Code) { l.send(wire.OfferAnswer{ID: m.ID, Code: c}) }
	if p.link != l {
		return
	}
	if _, twice := e.transfers[TransferID(m.ID)]; twice {
		refuse(wire.Protocol)
		return
	}
	if !e.mayOffer(p) {
		refuse(wire.Busy)
		return
	}
	t := e.newTransfer(l, TransferID(m.ID), true)
	t.names = m.Names
	v := &t.view
	v.Names, v.Items = clean(m.Names), m.Items
	v.Files, v.Folders, v.Bytes, v.Counting = m.Files, m.Folders, m.Bytes, m.Counting
	t.offer = &Offer{Transfer: *v, e: e, t: t}
	if !e.publish(OfferReceived{t.offer}) {
		refuse(e.untaken())
		return
	}
	e.transfers[v.ID] = t
	e.publish(TransferChanged{*v})
	e.start(func(ctx context.Context) { e.expire(ctx, t) })
}

// mayOffer tells whether one more offer of p may wait. Strangers share a part of the room, so that free keys keep
// nobody else out. Call with Engine.mu held.
func (e *Engine) mayOffer(p *peer) bool {
	known := func(id PeerID) bool { return e.profile.Peer(id).Trust != identity.Unknown }
	mine, all, strangers := 0, 0, 0
	for _, t := range e.transfers {
		if !t.view.Incoming || t.view.State != Offered {
			continue
		}
		all++
		if t.view.Peer == p.id {
			mine++
		}
		if !known(t.view.Peer) {
			strangers++
		}
	}
	if known(p.id) {
		return mine < offersPerPeer && all < offersInAll
	}
	return mine < offersPerStranger && strangers < offersOfStrangers && all < offersInAll
}

// expire ends an offer that nobody answers.
func (e *Engine) expire(ctx context.Context, t *transferState) {
	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.done:
		return
	case <-ctx.Done():
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.view.State == Offered {
		t.link.send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Timeout})
		e.finish(t, ErrTimeout)
	}
}

func (e *Engine) takeOfferUpdate(p *peer, m wire.OfferUpdate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	// Totals are final once the sender has counted: what somebody sees, and accepts, does not grow.
	if t == nil || !t.view.Incoming || t.view.State.Final() || !t.view.Counting {
		return
	}
	v := &t.view
	v.Files, v.Folders, v.Bytes, v.Counting = m.Files, m.Folders, m.Bytes, m.Counting
	e.publish(TransferChanged{*v})
}

func (e *Engine) takeOfferAnswer(p *peer, m wire.OfferAnswer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	if t == nil || t.view.Incoming || t.view.State != Offered {
		return
	}
	if m.Accept {
		e.accepted(t)
		return
	}
	err := m.Code.Err()
	if m.Code == wire.Bye {
		err = ErrDeclined
	}
	select {
	case t.answer <- err:
	default: // answered before
	}
}

// accepted takes the other side's yes, in words or as a lane that proves it. Call with Engine.mu held.
func (e *Engine) accepted(t *transferState) {
	t.view.State, t.view.Started = Moving, now()
	t.mark = t.view.Started
	e.publish(TransferChanged{t.view})
	select {
	case t.answer <- nil:
	default:
	}
}

func (e *Engine) takeOfferCancel(p *peer, m wire.OfferCancel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	if t == nil || m.Code == wire.Failed { // a failure's reason comes over the lane, and the lane's end if it does not
		return
	}
	err := m.Code.Err()
	if m.Code == wire.Bye {
		err = ErrCancelled
	}
	e.stop(t, err)
}
