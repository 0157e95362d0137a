package transfers

import (
	"context"
	"errors"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// GatewayLink is the link to a device with another protocol. Its gateway moves the data; nothing resumes.
type GatewayLink interface {
	Link
	Via() string // the name of the gateway
	// Receive passes to in what the device sends for an accepted offer. It returns nil when everything has arrived.
	Receive(ctx context.Context, id string, in *transfer.Intake) error
	// Deliver offers what is listed, waits for the answer, calls accepted, and sends. The listing may still be
	// incomplete.
	Deliver(ctx context.Context, l *transfer.Listing, accepted func(), onProgress func(transfer.Progress)) (transfer.Result, error)
}

// errNoPause refuses a pause, because the protocols of gateways have none.
var errNoPause = wire.Reword("a transfer with this device cannot be paused", wire.ErrUnavailable)

// isGateway reports whether a gateway moves the data.
func isGateway(l Link) bool {
	_, ok := l.(GatewayLink)
	return ok
}

// via returns the name of the gateway of a link; empty if there is none.
func via(l Link) string {
	if g, ok := l.(GatewayLink); ok {
		return g.Via()
	}
	return ""
}

// takeFrom receives an accepted offer of a device that a gateway reaches. Complete files are kept when others fail.
func (r *receiver) takeFrom(ctx context.Context, l GatewayLink) (transfer.Result, error) {
	m, t := r.m, r.t
	m.mu.Lock()
	opts := transfer.IntakeOptions{Dir: t.accept.Dir, Place: t.accept.Place, Reserve: t.accept.Reserve, OnProgress: m.track(t), Known: m.isOpen}
	most := t.byteLimitLocked()
	m.mu.Unlock()
	opts.Most = func() transfer.Totals { return most }
	in, err := transfer.OpenIntake(opts)
	if err != nil {
		return transfer.Result{}, err
	}
	defer in.Close()
	err = l.Receive(ctx, string(t.view.ID), in)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	result, finishErr := in.Finish()
	return result, errors.Join(err, finishErr)
}

// deliverBy sends through a gateway. Nothing resumes: once it is accepted, an interruption ends the transfer.
func (s *sender) deliverBy(ctx context.Context, l GatewayLink) (transfer.Result, error) {
	m, t := s.m, s.t
	m.mu.Lock()
	t.link = l
	t.view.Via = l.Via()
	t.accepted = false
	m.happenedLocked(t, proposed, nil)
	m.mu.Unlock()
	accepted := func() {
		m.mu.Lock()
		t.accepted = true
		t.view.Started, t.lastMove, t.mark = now(), now(), now()
		m.happenedLocked(t, waits, nil)
		name, decisions, person := t.view.PeerName, t.decisions, t.opts.Person
		m.mu.Unlock()
		if person {
			m.host.AcceptedBy(l, name, decisions)
		}
	}
	result, err := l.Deliver(ctx, t.listing, accepted, m.track(t))
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.view.ByPeer = errors.Is(err, wire.ErrCancelled)
	return result, err
}
