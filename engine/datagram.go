package engine

import (
	"multipeer/engine/internal/wire"
)

// SendDatagram sends v, as Send does, unreliably: at once or not at all, in no order, at most MaxDatagram bytes. It
// never blocks. A Result without an error means that it was handed to the network, ErrBusy that the path has no room.
// Errors are as for Send.
func (e *Engine) SendDatagram(v any, to ...PeerID) ([]Result, error) {
	return sendDatagram(e, wire.Text{}, v, to)
}

func sendDatagram(e *Engine, msg wire.Text, v any, to []PeerID) ([]Result, error) {
	err := putValue(&msg, v, MaxDatagram)
	if err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	if to, err = e.recipients(to); err != nil {
		return nil, err
	}
	results := make([]Result, len(to))
	for i, id := range to {
		if results[i] = (Result{id, unlessDevice(e, id)}); results[i].Err == nil {
			results[i].Err = e.peers.SendDatagram(id, msg)
		}
	}
	return withErrors("send datagram to", results)
}
