package engine

import (
	"context"
)

// Transfers lists offers and transfers, running and finished, in the order in which they were created. Of those that have
// ended, it lists the last 500, and the last 50 offers that no one accepted.
func (e *Engine) Transfers() []Transfer { return publicTransfers(e.transfers.List()) }

// Wait waits until a transfer has ended and returns it. The error is nil only if everything that was offered has
// arrived: otherwise it is Transfer.Err. When ctx ends first, it is ErrTimeout or ErrCancelled, the Transfer is empty, and
// the transfer continues.
func (e *Engine) Wait(ctx context.Context, id TransferID) (Transfer, error) {
	t, err := e.transfers.Wait(ctx, id)
	now := publicTransfer(t)
	if err == nil {
		err = now.Err
	}
	return now, withTransfer("transfer", id, err)
}

// Cancel withdraws an offer or ends a transfer, on both sides; received data is removed. Files that are already being
// published under their final names are still delivered. It is idempotent. The error is ErrUnknownTransfer.
func (e *Engine) Cancel(id TransferID) error {
	return withTransfer("cancel", id, e.transfers.Cancel(id))
}

// Pause pauses a transfer, on both sides and across restarts, until either side calls Resume. Data that has arrived
// is kept. It is idempotent; ErrState means that the transfer has ended or is not accepted.
func (e *Engine) Pause(id TransferID) error {
	return withTransfer("pause", id, e.transfers.Pause(id))
}

// Resume continues a paused transfer.
func (e *Engine) Resume(id TransferID) error {
	return withTransfer("resume", id, e.transfers.Resume(id))
}

// Retry repeats an offer that has failed or was cancelled or declined: the only way out of a final state. Data that has
// arrived and is still there is not sent again. ErrState means that it has not failed. If the receiver already has what
// an earlier attempt has sent, and the files have changed since, the transfer fails with transfer.ErrChanged: make a new offer.
func (e *Engine) Retry(id TransferID) error {
	return withTransfer("retry", id, e.transfers.Retry(id))
}

// SetPriority moves an outgoing transfer ahead of or behind others that wait;
func (e *Engine) SetPriority(id TransferID, priority int) error {
	return withTransfer("set priority of", id, e.transfers.SetPriority(id, priority))
}
