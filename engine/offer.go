package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// OfferOptions configure OfferWith.
type OfferOptions struct {
	// Keep waits for an offline peer without end, also across restarts if there is a profile; ctx has no effect then.
	// Without Keep a transfer whose peer is gone fails within 30 s (see Retry), and a restart of the sender ends it.
	Keep     bool
	Person   bool   // a person sends, not a rule of the program: a peer that accepts becomes known (TrustSeen)
	Priority int    // of the transfers that wait for their turn, the highest goes first
	Links    bool   // send symbolic links that stay inside their folder as links; others are left out
	Name     string // the name under which the only path, or Content, is offered; empty means the path's own
	Note     string // text that the receiver's program shows with the offer, at most MaxNote bytes of UTF-8
	Preview  []byte // a JPEG or PNG of at most MaxPreview bytes, for a receiver that knows this peer
	// Content is offered instead of paths, under Name. It is read to its end before the call returns; the end of ctx does
	// not interrupt a Read. Retry is not possible.
	Content io.Reader
}

// Offer offers files and folders to a peer (MCSession sendResource); nothing is sent before the peer accepts. It returns
// the transfer as it is now; Wait and the events report the rest. It needs a connection, for which it waits until ctx
// ends, and a session only if the Config.Offers of the other side does not include this peer: otherwise the transfer
// fails with ErrUnavailable. A peer that has too many offers gets it later; after 10 minutes the transfer fails with
// ErrBusy. ctx has no effect after the call: Cancel withdraws the offer. Errors report what cannot be read or reached.
func (e *Engine) Offer(ctx context.Context, to PeerID, paths ...string) (Transfer, error) {
	return e.OfferWith(ctx, to, OfferOptions{}, paths...)
}

// OfferWith is Offer with options.
func (e *Engine) OfferWith(ctx context.Context, to PeerID, opts OfferOptions, paths ...string) (_ Transfer, err error) {
	defer withPeer(&err, "offer to", to)
	source, err := e.source(ctx, opts, paths)
	defer e.transfers.Release(source)
	if err != nil {
		return Transfer{}, err
	}
	return e.offer(ctx, to, opts, source, nil)
}

// OfferEach is like OfferWith, for several peers at once, named as for Send, and returns a Transfer for each, without
// repetitions. The source is read once for all that keep pace with each other. A Transfer that could not be made has
// only Peer, State (Failed) and Err. The error joins those, or says why there is no offer at all.
func (e *Engine) OfferEach(ctx context.Context, to []PeerID, opts OfferOptions, paths ...string) ([]Transfer, error) {
	to, err := e.recipients(to)
	if err != nil {
		return nil, err
	}
	source, err := e.source(ctx, opts, paths)
	defer e.transfers.Release(source)
	var shared *transfer.Shared
	if len(to) > 1 { // sharing needs a cache and computes a digest
		shared = &transfer.Shared{}
	}
	out := make([]Transfer, len(to))
	errs := make([]error, len(to))
	var offers sync.WaitGroup
	for i, id := range to {
		offers.Go(func() { // the wait for one peer must not delay the others
			t, err := Transfer{}, err
			if err == nil {
				t, err = e.offer(ctx, id, opts, source, shared)
			}
			if err != nil {
				withPeer(&err, "offer to", id)
				t = Transfer{Peer: id, State: Failed, Err: err}
			}
			out[i], errs[i] = t, err
		})
	}
	offers.Wait()
	return out, errors.Join(errs...)
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
	return publicTransfer(t), err
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
