package engine

import (
	"context"
	"fmt"

	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// Offer offers files and folders to a peer and returns the state of the offer at once; nothing is transferred before
// the peer accepts. It needs no session, only a connection: the first thing that the peer accepts from us may be an
// offer. Wait waits for the end, Cancel withdraws the offer. Errors report what cannot be read or reached
// (sendResourceAtURL of MCSession).
func (e *Engine) Offer(ctx context.Context, to PeerID, paths ...string) (Transfer, error) {
	return e.OfferWith(ctx, to, OfferOptions{}, paths...)
}

// OfferWith is Offer with options. With Keep the peer may be offline, and ctx has no effect.
func (e *Engine) OfferWith(ctx context.Context, to PeerID, opts OfferOptions, paths ...string) (_ Transfer, err error) {
	defer withPeer(&err, "offer to", to)
	source, err := e.source(ctx, opts, paths)
	defer e.transfers.Release(source)
	if err != nil {
		return Transfer{}, err
	}
	return e.offer(ctx, to, opts, source, nil)
}

// OfferEach offers the same to several peers. The source is read once for all peers that keep pace with each other; a
// slow peer does not delay the others. Each offer has its own transfer, in the order of to; one that could not be made
// has only Peer, State and Err.
func (e *Engine) OfferEach(ctx context.Context, to []PeerID, opts OfferOptions, paths ...string) []Transfer {
	out := make([]Transfer, len(to))
	source, err := e.source(ctx, opts, paths)
	defer e.transfers.Release(source)
	var shared *transfer.Shared
	if len(to) > 1 { // its cache costs memory and its own digest
		shared = &transfer.Shared{}
	}
	for i, id := range to {
		t, err := Transfer{}, err
		if err == nil {
			t, err = e.offer(ctx, id, opts, source, shared)
		}
		if err != nil {
			withPeer(&err, "offer to", id)
			t = Transfer{Peer: id, State: Failed, Err: err}
		}
		out[i] = t
	}
	return out
}

// source lists what is offered. The caller releases it.
func (e *Engine) source(ctx context.Context, opts OfferOptions, paths []string) (transfers.Source, error) {
	if err := e.open(); err != nil {
		return transfers.Source{}, err
	}
	return e.transfers.NewSource(ctx, paths, transfers.OfferOptions(opts))
}

func (e *Engine) offer(ctx context.Context, to PeerID, opts OfferOptions, source transfers.Source, shared *transfer.Shared) (Transfer, error) {
	if to == e.profile.ID || to.Reserved() {
		return Transfer{}, fmt.Errorf("%w: a device cannot offer files to itself", ErrInvalid)
	}
	name, err := reach(ctx, e, to, opts.Keep)
	if err != nil {
		return Transfer{}, err
	}
	t, err := e.transfers.Offer(TransferID(wire.NewID()), to, name, source, transfers.OfferOptions(opts), shared)
	return Transfer(t), err
}

// reach waits for the connection that an offer needs, unless the offer is kept, and returns the name of the peer.
func reach(ctx context.Context, e *Engine, to PeerID, keep bool) (name string, err error) {
	if l := e.gateways.Link(to); l != nil {
		return l.Name(), nil
	}
	e.peers.Want(to)
	if !keep {
		_, err = e.peers.AwaitLink(ctx, to)
	}
	return e.peers.NameOf(to), err
}

// Transfers lists offers and transfers, running and finished, in the order in which they were created.
func (e *Engine) Transfers() []Transfer { return publicTransfers(e.transfers.List()) }

// Wait waits until a transfer has ended and returns it; its Err is nil if it was delivered.
func (e *Engine) Wait(ctx context.Context, id TransferID) (Transfer, error) {
	t, err := e.transfers.Wait(ctx, id)
	return Transfer(t), withTransfer("wait for", id, err)
}

// Cancel withdraws an offer or ends a transfer, on both sides; received data is removed. Files that are already being
// published under their final names are still delivered. It is idempotent.
func (e *Engine) Cancel(id TransferID) { e.transfers.Cancel(id) }

// Pause pauses a transfer, on both sides and across restarts, until either side calls Resume. Data that has arrived
// is kept. It is idempotent; ErrState means that the transfer has ended or is not accepted.
func (e *Engine) Pause(id TransferID) error {
	return withTransfer("pause", id, e.transfers.Pause(id))
}

// Resume continues a paused transfer.
func (e *Engine) Resume(id TransferID) error {
	return withTransfer("resume", id, e.transfers.Resume(id))
}

// Retry repeats an offer that has failed or was cancelled or declined; data that has arrived and is still there is
// not sent again. ErrState means that it has not failed.
func (e *Engine) Retry(id TransferID) error {
	return withTransfer("retry", id, e.transfers.Retry(id))
}

// SetPriority moves an outgoing transfer ahead of or behind others that wait; 0 is the default.
func (e *Engine) SetPriority(id TransferID, priority int) error {
	return withTransfer("set priority of", id, e.transfers.SetPriority(id, priority))
}
