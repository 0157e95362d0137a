package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Limits on what waits and moves.
const (
	offersPerPeer = 10
	offersInAll   = 50
	// keptTransfers is how many finished transfers are remembered.
	keptTransfers = 500
	// OfferTimeout is how long an offer waits for its answer.
	OfferTimeout = 10 * time.Minute
	// countWait is how long an offer is held back for the totals of a folder.
	countWait    = 300 * time.Millisecond
	updateEvery  = 500 * time.Millisecond
	laneTimeout  = 10 * time.Second
	finalWait    = 3 * time.Second
	rateInterval = time.Second
)

// transferState is the record of one transfer. Fields are guarded by Engine.mu.
type transferState struct {
	view   Transfer
	order  int64
	offer  *Offer // incoming, until it is answered
	cancel context.CancelCauseFunc
	answer chan error // outgoing: nil is yes
	lane   chan lane  // where the lane arrives, if the other side dials it
	link   *link      // the conn that negotiated it
	done   chan struct{}

	mark      time.Time // the rate is measured from here
	markBytes int64
}

type lane struct {
	conn   *transport.Conn
	stream *transport.Stream
}

// Offer is a peer's proposal of files. Accept or Decline it once; the first answer counts.
type Offer struct {
	Transfer Transfer // as it was when it came

	e *Engine
	t *transferState
	l *link
}

// AcceptOptions say where an offer goes.
type AcceptOptions struct {
	// Dir is the folder that receives; it is made if it is missing.
	Dir string
	// KeepExec lets files that are executable there be executable here, for their owner.
	KeepExec bool
}

// Accept takes the files into a folder. The transfer then runs by itself; Watch and Wait tell how it goes. Nothing
// in the folder is ever overwritten. Errors are ErrAnswered, and what keeps the folder from being used.
func (o *Offer) Accept(opts AcceptOptions) error {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return fmt.Errorf("folder %q: %w: name a folder to receive into", opts.Dir, ErrInvalid)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	opts.Dir = dir
	e := o.e
	e.mu.Lock()
	defer e.mu.Unlock()
	t := o.t
	if t.offer != o || t.view.State != Offered {
		return ErrAnswered
	}
	t.offer = nil
	// From here on, and only so, there is somewhere for data with this ID from this peer to go.
	t.view.State, t.view.Started, t.view.Dir = Moving, now(), dir
	t.mark = t.view.Started
	t.lane = make(chan lane, 1)
	e.publish(TransferChanged{t.view})
	o.l.send(wire.OfferAnswer{ID: string(t.view.ID), Accept: true})
	if !e.start(func(ctx context.Context) { e.receive(ctx, t, opts) }) {
		return ErrClosed
	}
	return nil
}

// Decline tells the peer no. ErrAnswered if it is too late.
func (o *Offer) Decline() error {
	e := o.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.t.offer != o || o.t.view.State != Offered {
		return ErrAnswered
	}
	o.l.send(wire.OfferAnswer{ID: string(o.t.view.ID), Code: wire.Declined})
	e.finish(o.t, ErrDeclined)
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
	_, l, err := e.waitLink(ctx, to)
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
	t := e.newTransfer(l, TransferID(newID()), false)
	t.view.Names, t.view.Items = clean(summary.Names[:min(len(summary.Names), wire.MaxOfferNames)]), int64(len(summary.Names))
	t.view.Files, t.view.Folders, t.view.Bytes = summary.Files, summary.Folders, summary.Bytes
	t.view.Counting = summary.Folders > 0
	t.answer, t.lane = make(chan error, 1), make(chan lane, 1)
	e.transfers[t.view.ID] = t
	if !e.start(func(ctx context.Context) { e.send(ctx, t, summary.Names, paths) }) {
		delete(e.transfers, t.view.ID)
		return Transfer{}, ErrClosed
	}
	e.publish(TransferChanged{t.view})
	return t.view, nil
}

func clean(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = wire.CleanLine(n)
	}
	return out
}

// newTransfer makes a record. Call with Engine.mu held.
func (e *Engine) newTransfer(l *link, id TransferID, incoming bool) *transferState {
	e.trim()
	return &transferState{
		view:  Transfer{ID: id, Peer: l.peer.id, PeerName: l.peer.name, Incoming: incoming},
		order: int64(len(e.transfers)) + now().UnixNano(), link: l, done: make(chan struct{}),
	}
}

// trim forgets the oldest finished transfers.
func (e *Engine) trim() {
	for _, t := range e.ordered() {
		if len(e.transfers) < keptTransfers {
			return
		}
		if t.view.State.Final() {
			delete(e.transfers, t.view.ID)
		}
	}
}

// ordered lists the transfers as they came. Call with Engine.mu held.
func (e *Engine) ordered() []*transferState {
	out := make([]*transferState, 0, len(e.transfers))
	for _, t := range e.transfers {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *transferState) int { return int(a.order - b.order) })
	return out
}

// Transfers lists offers and transfers, running and finished, in the order they came.
func (e *Engine) Transfers() []Transfer {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Transfer
	for _, t := range e.ordered() {
		out = append(out, t.view)
	}
	return out
}

// Wait waits until a transfer has ended and returns it; its Err is nil if it was delivered.
func (e *Engine) Wait(ctx context.Context, id TransferID) (Transfer, error) {
	e.mu.Lock()
	t := e.transfers[id]
	e.mu.Unlock()
	if t == nil {
		return Transfer{}, wire.ErrUnknownOffer
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return Transfer{}, context.Cause(ctx)
	case <-e.ended:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !t.view.State.Final() {
		return t.view, ErrClosed
	}
	return t.view, nil
}

// Cancel withdraws an offer or ends a transfer, on both sides; nothing of it stays. It is idempotent.
func (e *Engine) Cancel(id TransferID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.transfers[id]; t != nil && !t.view.State.Final() {
		t.link.send(wire.OfferCancel{ID: string(id), Code: wire.Cancelled})
		e.stop(t, ErrCancelled)
	}
}

// stop ends a transfer for a reason: at once if it waits, through its own goroutine if it moves. Call with
// Engine.mu held.
func (e *Engine) stop(t *transferState, err error) {
	switch {
	case t.view.State.Final():
	case t.cancel != nil:
		t.cancel(err)
	default:
		e.finish(t, err)
	}
}

// finish makes a transfer final. Call with Engine.mu held.
func (e *Engine) finish(t *transferState, err error) {
	if t.view.State.Final() {
		return
	}
	v := &t.view
	v.Err, v.Ended, v.Rate, v.Left, t.offer, t.cancel = err, now(), 0, 0, nil, nil
	switch {
	case err == nil:
		v.State, v.Counting = Delivered, false
	case errors.Is(err, ErrDeclined):
		v.State = Declined
	case errors.Is(err, ErrCancelled), errors.Is(err, transfer.ErrCancelled):
		v.State = Cancelled
	default:
		v.State = Failed
	}
	close(t.done)
	t.dropLane()
	e.log.Info("transfer ended", "id", v.ID, "peer", v.Peer.Short(), "incoming", v.Incoming, "state", v.State, "bytes", v.Done, "err", err)
	e.publish(TransferChanged{*v})
}

// dropTransfers ends what hangs on a conn that is gone. Call with Engine.mu held.
func (e *Engine) dropTransfers(id PeerID, err error) {
	for _, t := range e.transfers {
		if t.view.Peer == id && !t.view.State.Final() {
			e.stop(t, fmt.Errorf("the connection ended: %w", err))
		}
	}
}

// track returns a function that takes progress into the view.
func (e *Engine) track(t *transferState) func(transfer.Progress) {
	return func(p transfer.Progress) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		if v.State.Final() {
			return
		}
		if v.Done, v.DoneFiles = p.Bytes, p.Files; p.Phase == transfer.Finishing {
			v.State = Finishing
		}
		if at := now(); at.Sub(t.mark) >= rateInterval || v.Rate == 0 && at.Sub(t.mark) >= rateInterval/4 {
			rate := float64(v.Done-t.markBytes) / at.Sub(t.mark).Seconds()
			if v.Rate == 0 {
				v.Rate = rate
			} else {
				v.Rate += (rate - v.Rate) * 0.3
			}
			t.mark, t.markBytes = at, v.Done
		}
		v.Left = 0
		if v.Rate > 0 && !v.Counting {
			v.Left = time.Duration(float64(max(0, v.Bytes-v.Done)) / v.Rate * float64(time.Second))
		}
		e.publish(TransferChanged{*v})
	}
}

// send is the life of an outgoing transfer.
func (e *Engine) send(ctx context.Context, t *transferState, names, paths []string) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	t.cancel = cancel
	e.mu.Unlock()
	var counting sync.WaitGroup
	defer counting.Wait()
	defer cancel(nil)

	result, err := func() (transfer.Result, error) {
		e.propose(ctx, t, names, paths, &counting)
		if err := e.waitAnswer(ctx, t); err != nil {
			return transfer.Result{}, err
		}
		ln, err := e.openLane(ctx, t)
		if err != nil {
			return transfer.Result{}, err
		}
		defer ln.conn.Close(wire.Bye)
		return transfer.Send(ctx, pipe{ln.stream}, paths, e.track(t))
	}()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = endedBy(cause)
	}
	e.conclude(t, result, err)
}

// endedBy turns the end of the engine's own context into words.
func endedBy(cause error) error {
	if isOver(cause) {
		return fmt.Errorf("%w: the program ended", ErrCancelled)
	}
	return cause
}

// propose sends the offer: at once for files, a moment later for folders so that their size can be told.
func (e *Engine) propose(ctx context.Context, t *transferState, names, paths []string, counting *sync.WaitGroup) {
	if e.isCounting(t) {
		counted := make(chan struct{})
		counting.Go(func() {
			defer close(counted)
			e.count(ctx, t, paths)
		})
		timer := time.NewTimer(countWait)
		defer timer.Stop()
		select {
		case <-counted:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v := t.view
	shown := names[:min(len(names), wire.MaxOfferNames)]
	t.link.send(wire.Offer{
		ID: string(v.ID), Names: slices.Clone(shown), Items: v.Items,
		Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: v.Counting,
	})
	t.mark = now() // from here on count may send updates
}

func (e *Engine) isCounting(t *transferState) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return t.view.Counting
}

// count walks the source and keeps both sides up to date about the totals.
func (e *Engine) count(ctx context.Context, t *transferState, paths []string) {
	var last time.Time
	tell := func(totals transfer.Totals, counting bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		v := &t.view
		if v.State.Final() || ctx.Err() != nil {
			return
		}
		v.Files, v.Folders, v.Bytes, v.Counting = totals.Files, totals.Folders, totals.Bytes, counting
		if proposed := !t.mark.IsZero(); proposed && (!counting || now().Sub(last) >= updateEvery) {
			last = now()
			t.link.send(wire.OfferUpdate{ID: string(v.ID), Files: v.Files, Folders: v.Folders, Bytes: v.Bytes, Counting: counting})
		}
		e.publish(TransferChanged{*v})
	}
	s, err := transfer.Count(ctx, paths, func(totals transfer.Totals) { tell(totals, true) })
	if err != nil {
		e.log.Debug("counting", "err", err) // sending will tell what is wrong
	}
	tell(s.Totals, false)
}

func (e *Engine) waitAnswer(ctx context.Context, t *transferState) error {
	timer := time.NewTimer(OfferTimeout)
	defer timer.Stop()
	select {
	case err := <-t.answer:
		return err
	case <-timer.C:
		t.link.send(wire.OfferCancel{ID: string(t.view.ID), Code: wire.Timeout})
		return ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive is the life of an accepted offer.
func (e *Engine) receive(ctx context.Context, t *transferState, opts AcceptOptions) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	t.cancel = cancel
	expect := t.view.Bytes
	e.mu.Unlock()

	result, err := func() (transfer.Result, error) {
		ln, err := e.openLane(ctx, t)
		if err != nil {
			return transfer.Result{}, err
		}
		defer ln.conn.Close(wire.Bye)
		result, err := transfer.Receive(ctx, pipe{ln.stream}, transfer.ReceiveOptions{
			Dir: opts.Dir, Expect: expect, KeepExec: opts.KeepExec, Told: e.track(t),
		})
		if err == nil { // the receipt is on its way; the sender closes when it has it
			_ = ln.stream.CloseWrite()
			timer := time.NewTimer(finalWait)
			defer timer.Stop()
			select {
			case <-ln.conn.Done():
			case <-timer.C:
			}
		}
		return result, err
	}()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = endedBy(cause)
	} else if err != nil {
		e.mu.Lock()
		t.link.send(wire.OfferCancel{ID: string(t.view.ID), Code: wire.CodeOf(err)})
		e.mu.Unlock()
	}
	e.conclude(t, result, err)
}

// conclude puts the result into the view and makes the transfer final.
func (e *Engine) conclude(t *transferState, r transfer.Result, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := &t.view
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, Note{Path: wire.CleanLine(n.Path), Saved: wire.CleanLine(n.Saved), Err: n.Err})
	}
	v.Renamed, v.LeftOut = r.Renamed, r.LeftOut
	if err == nil {
		v.Files, v.Folders, v.Bytes = r.Files, r.Folders, r.Bytes
		v.Done, v.DoneFiles = r.Bytes, r.Files
		for _, name := range r.Saved {
			v.Saved = append(v.Saved, filepath.Join(v.Dir, name))
		}
	}
	e.finish(t, err)
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
	mine, all := 0, 0
	for _, t := range e.transfers {
		if t.view.Incoming && t.view.State == Offered {
			all++
			if t.view.Peer == p.id {
				mine++
			}
		}
	}
	if mine >= offersPerPeer || all >= offersInAll {
		refuse(wire.Busy)
		return
	}
	t := e.newTransfer(l, TransferID(m.ID), true)
	t.view.Names, t.view.Items = clean(m.Names), m.Items
	t.view.Files, t.view.Folders, t.view.Bytes, t.view.Counting = m.Files, m.Folders, m.Bytes, m.Counting
	t.offer = &Offer{Transfer: t.view, e: e, t: t, l: l}
	if !e.publish(OfferReceived{t.offer}) {
		refuse(wire.Unavailable) // nobody there to answer it
		return
	}
	e.transfers[t.view.ID] = t
	e.publish(TransferChanged{t.view})
}

func (e *Engine) takeOfferUpdate(p *peer, m wire.OfferUpdate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transferOf(p, m.ID)
	if t == nil || !t.view.Incoming || t.view.State.Final() {
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
	var answer error
	if m.Accept {
		t.view.State, t.view.Started = Moving, now()
		t.mark = t.view.Started
		e.publish(TransferChanged{t.view})
	} else if answer = m.Code.Err(); m.Code == wire.Bye {
		answer = ErrDeclined
	}
	select {
	case t.answer <- answer:
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
	if m.Code == wire.Bye {
		err = ErrCancelled
	}
	if m.Code == wire.Failed {
		return // its reason comes over the lane, and the lane's end if it does not
	}
	e.stop(t, err)
}

// transferOf finds a transfer by its ID, but only for the peer that it is with. Call with Engine.mu held.
func (e *Engine) transferOf(p *peer, id string) *transferState {
	if t := e.transfers[TransferID(id)]; t != nil && t.view.Peer == p.id {
		return t
	}
	return nil
}
