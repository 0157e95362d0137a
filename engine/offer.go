package engine

import (
	"context"
	"errors"
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

// AcceptOptions say where an offer goes, and how.
type AcceptOptions struct {
	// Dir is the folder that receives; it is made if it is missing.
	Dir string
	// Existing says what becomes of entries whose name is taken there. The zero value keeps both.
	Existing Existing
	// Choose, if set, decides that for each top-level name that is taken, instead of Existing. It runs on a goroutine of
	// the engine and may wait for a person.
	Choose func(name string) Existing `json:"-"`
	// KeepExec lets files that are executable there be executable here, for their owner.
	KeepExec bool
	// Links takes symbolic links that stay inside their folder, if the sender sends them.
	Links bool
	// Reserve is how many bytes stay free on the disk: 0 for the larger of 1 GiB and a twentieth of the disk (but no more
	// than a tenth), less than 0 for none.
	Reserve int64
}

// Accept takes the files into a folder. The transfer then runs by itself, and goes on by itself after whatever
// interrupts it, also a restart of either side with the same profile; Watch and Wait tell how it goes. Not more is taken
// than was offered. Errors are ErrAnswered, and what keeps the folder from being used.
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
	t.accept = opts
	if !e.launch(t, func(ctx context.Context) { e.receive(ctx, t) }) {
		return ErrClosed
	}
	// From here on, and only so, there is somewhere for data with this ID from this peer to go.
	t.offer, t.accepted = nil, true
	t.view.Started, t.view.Dir = now(), dir
	t.lastMove = now()
	e.setState(t, Queued, nil)
	e.save(t)
	if p := e.peers[t.view.Peer]; p != nil {
		e.forgive(p.id)
		e.acquaint(p)
	}
	t.start <- attempt{t.link, t.attempt}
	return nil
}

// Conflicts lists the top-level names of the offer that are taken in a folder, for a screen that asks what to do.
func (o *Offer) Conflicts(dir string) []string {
	var out []string
	for _, n := range o.t.names {
		if _, err := os.Lstat(filepath.Join(dir, filepath.Base(n))); err == nil {
			out = append(out, wire.CleanLine(n))
		}
	}
	return out
}

// Decline tells the peer no. ErrAnswered if it is too late.
func (o *Offer) Decline() error {
	e, t := o.e, o.t
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.offer != o || t.view.State != Offered {
		return ErrAnswered
	}
	t.link.send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Declined, Attempt: t.attempt})
	e.offend(t.view.Peer)
	e.finish(t, ErrDeclined)
	return nil
}

// OfferOptions say how files are offered and sent.
type OfferOptions struct {
	// Keep puts the offer into the outbox: a peer that is not there, or is gone, is waited for as long as that takes, also
	// across restarts with the same profile. Without it a transfer whose peer is gone fails within 30 s; see Retry.
	Keep bool
	// Priority lets it go before others that wait for their turn, the higher the earlier.
	Priority int
	// Links sends symbolic links that stay inside their folder as links, if the receiver takes them; others are left out.
	Links bool
}

// Offer offers files and folders to a peer and returns the offer's state at once; nothing moves before the peer
// accepts. A session is not needed, only that the peer is reached: its first acceptance may be that of an offer.
// Wait waits for the end, Cancel withdraws. Errors tell what cannot be read or reached (sendResourceAtURL of MCSession).
func (e *Engine) Offer(ctx context.Context, to PeerID, paths ...string) (Transfer, error) {
	return e.OfferWith(ctx, to, OfferOptions{}, paths...)
}

// OfferWith is Offer with options. With Keep the peer need not be there: ctx then bounds nothing.
func (e *Engine) OfferWith(ctx context.Context, to PeerID, opts OfferOptions, paths ...string) (Transfer, error) {
	return e.offer(ctx, to, opts, nil, paths)
}

// OfferEach offers the same to several peers. The source is read once for all that keep pace with each other; a slow
// one slows nobody. Each offer has a transfer of its own, in the order of to; one that could not be made has only Err.
func (e *Engine) OfferEach(ctx context.Context, to []PeerID, opts OfferOptions, paths ...string) []Transfer {
	shared := &transfer.Shared{}
	out := make([]Transfer, len(to))
	for i, id := range to {
		t, err := e.offer(ctx, id, opts, shared, paths)
		if err != nil {
			t = Transfer{Peer: id, State: Failed, Err: err}
		}
		out[i] = t
	}
	return out
}

func (e *Engine) offer(ctx context.Context, to PeerID, opts OfferOptions, shared *transfer.Shared, paths []string) (Transfer, error) {
	summary, err := transfer.Check(paths)
	if err != nil {
		return Transfer{}, fmt.Errorf("offer: %w", err)
	}
	if to == e.profile.ID || to.IsZero() {
		return Transfer{}, fmt.Errorf("offer: %w: that is this device", ErrInvalid)
	}
	if e.want(to); !opts.Keep {
		if _, _, err := e.waitLink(ctx, to); err != nil {
			return Transfer{}, err
		}
	}
	paths = slices.Clone(paths)
	for i := range paths { // the program may change its working directory
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return Transfer{}, fmt.Errorf("offer: %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	name := e.profile.Peer(to).Name
	if p := e.peers[to]; p != nil {
		name = p.name
	}
	t := e.newTransfer(TransferID(newID()), to, name, false)
	t.names = summary.Names[:min(len(summary.Names), wire.MaxOfferNames)]
	t.paths, t.opts, t.shared = paths, opts, shared
	if summary.Folders == 0 {
		t.room = summary.Room
	}
	v := &t.view
	v.Names, v.Items = clean(t.names), int64(len(summary.Names))
	v.Files, v.Folders, v.Bytes, v.Counting = summary.Files, summary.Folders, summary.Bytes, summary.Folders > 0
	v.Keep, v.Priority = opts.Keep, opts.Priority
	if p := e.peers[to]; p != nil && p.link != nil {
		v.State = Offered // in this moment
	}
	if err := e.saveNow(t); err != nil {
		return Transfer{}, err
	}
	if !e.launch(t, func(ctx context.Context) { e.send(ctx, t) }) {
		if !opts.Keep || e.closed || e.running {
			e.forget(t)
			return Transfer{}, ErrClosed
		}
	}
	e.transfers[v.ID] = t
	e.tell(t)
	return t.now(), nil
}

// Retry offers again what has failed, was cancelled or declined; what has arrived of it, if it is still there, is not
// sent again.
func (e *Engine) Retry(id TransferID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[id]
	switch {
	case t == nil || t.view.Incoming:
		return wire.ErrUnknownOffer
	case t.view.State == Delivered || !t.view.State.Final():
		return fmt.Errorf("%w: it has not failed", ErrUnavailable)
	}
	if !e.launch(t, func(ctx context.Context) { e.send(ctx, t) }) {
		return ErrClosed
	}
	e.revive(t)
	return nil
}

// revive makes a transfer that has ended one that is to go on. Call with Engine.mu held.
func (e *Engine) revive(t *transferState) {
	t.done, t.paused, t.cancelled, t.untold = make(chan struct{}), false, false, false
	v := &t.view
	v.State, v.Err, v.Ended = Queued, nil, time.Time{}
	t.lastMove = now()
	e.save(t)
	e.tell(t)
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
	refuse := func(c wire.Code) { l.send(wire.OfferAnswer{ID: m.ID, Code: c, Attempt: m.Attempt}) }
	if p.link != l {
		return
	}
	if t := e.transfers[TransferID(m.ID)]; t != nil {
		switch {
		case t.view.Peer != p.id || !t.view.Incoming: // guard: offer-of-another
			refuse(wire.Protocol)
			return
		case t.accepted && e.goOn(t, l, m):
			return
		case t.cancelled:
			refuse(wire.Cancelled)
			return
		case !t.view.State.Final(): // it waits for its answer here, and the sender asks again
			t.link, t.attempt = l, m.Attempt
			return
		}
		delete(e.transfers, t.view.ID) // it was not accepted before; now it is asked for again
	}
	if !e.mayOffer(p) { // guard: offers-pending
		refuse(wire.Busy)
		return
	}
	if e.tooOften(p) { // guard: declined-often
		refuse(wire.Declined)
		return
	}
	if !e.mayPrompt(p) { // guard: offers-asked
		refuse(wire.Busy)
		return
	}
	t := e.newTransfer(TransferID(m.ID), p.id, p.name, true)
	t.names, t.link, t.attempt, t.room = m.Names, l, m.Attempt, m.Room
	v := &t.view
	v.State = Offered
	v.Names, v.Items = clean(m.Names), m.Items
	v.Files, v.Folders, v.Bytes, v.Counting, v.Keep = m.Files, m.Folders, m.Bytes, m.Counting, m.Keep
	t.offer = &Offer{Transfer: *v, e: e, t: t}
	if !e.takenByPolicy(t) && !e.publish(OfferReceived{t.offer}) {
		refuse(e.untaken())
		return
	}
	e.transfers[v.ID] = t
	e.tell(t)
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
	if t.view.State == Offered && !t.accepted {
		t.link.send(wire.OfferAnswer{ID: string(t.view.ID), Code: wire.Timeout, Attempt: t.attempt})
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
	if !m.Counting && t.accepted {
		e.save(t)
	}
	if t.held && !m.Counting {
		e.release(t)
	}
	e.tell(t)
}

func (e *Engine) takeOfferAnswer(p *peer, l *link, m wire.OfferAnswer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	if t == nil || t.view.Incoming || m.Attempt != t.attempt || t.link != l {
		return
	}
	a := offerAnswer{attempt: m.Attempt}
	if !m.Accept {
		if a.err = m.Code.Err(); m.Code == wire.Bye {
			a.err = ErrDeclined
		}
	}
	select {
	case t.answer <- a:
	default: // answered before
	}
}

func (e *Engine) takeOfferCancel(p *peer, m wire.OfferCancel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	if t == nil {
		return
	}
	err := m.Code.Err()
	switch {
	case m.Code == wire.Bye:
		err = ErrCancelled
	case m.Code == wire.Failed && t.view.Err != nil && !errors.Is(t.view.Err, ErrLost):
		err = t.view.Err // the reason came over a lane
	}
	e.stop(t, err)
}
