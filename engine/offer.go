package engine

import (
	"context"
	"fmt"
	"io"

	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// OfferOptions configure how files are offered and sent.
type OfferOptions struct {
	// Keep puts the offer into the outbox: it waits for an offline peer indefinitely, including across restarts with
	// the same profile. Without it a transfer whose peer is gone fails within 30 s; see Retry.
	Keep bool
	// Priority orders the transfers that wait for their turn: higher values go first.
	Priority int
	// Links sends symbolic links that stay inside their folder as links, if the receiver accepts them; others are
	// left out.
	Links bool
	// Name is the name under which the only path, or Content, is offered; empty means the path's own
	// (sendResourceAtURL:withName:).
	Name string
	// Note is text that the receiver's program shows with the offer, at most MaxNote bytes of UTF-8.
	Note string
	// Preview is a small picture of the content for the person who decides about the offer, at most MaxPreview bytes of
	// JPEG or PNG. Receivers that do not know this peer ignore it.
	Preview []byte
	// Content is offered instead of paths, under Name: bytes.NewReader sends what is in memory. It is read to its end
	// before the call returns, into a file that is removed when the transfer has ended; Retry is not possible then.
	Content io.Reader
}

// Offer offers files and folders to a peer and returns the state of the offer at once; nothing is transferred before
// the peer accepts. It needs no session, only a connection: an offer may be the first thing that the peer accepts from
// us. Wait waits for the end, Cancel withdraws the offer. Errors report what cannot be read or reached
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
	if len(to) > 1 { // sharing needs a cache and computes a digest
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
