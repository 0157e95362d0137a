package engine

// OpError is the error of a method that acts on one peer or one transfer. It names the peer or the transfer; Unwrap
// returns the reason, so that errors.Is finds the errors of this package.
type OpError struct {
	Op       string     // what was tried, such as "invite" or "open stream"
	Peer     PeerID     // zero for an operation on a transfer
	Transfer TransferID // empty for an operation on a peer
	Err      error      // the reason
}

// Error returns the operation, the start of the peer's ID or the transfer, and the reason.
func (e *OpError) Error() string {
	whose := e.Peer.Short()
	if e.Transfer != "" {
		whose = string(e.Transfer)
	}
	return e.Op + " " + whose + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *OpError) Unwrap() error { return e.Err }

// withPeer makes the error of an operation on a peer an OpError. Methods defer it.
func withPeer(err *error, op string, id PeerID) {
	if *err != nil {
		*err = &OpError{Op: op, Peer: id, Err: *err}
	}
}

// withTransfer makes the error of an operation on a transfer an OpError.
func withTransfer(op string, id TransferID, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Transfer: id, Err: err}
}
