package engine

import (
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// MaxDatagram is the largest unreliable message, in bytes. It fits into one packet on every path.
const MaxDatagram = peers.MaxDatagram

// SendDatagram sends v, raw bytes ([]byte) or a JSON value, of at most MaxDatagram bytes, unreliably: at once or not at
// all, in no particular order, to the named peers, or to Broadcast (MCSession sendData, mode unreliable; RFC 9221). It
// never blocks. A Result without an error means that the message was handed to the network; ErrBusy means that it was
// dropped here because the path has no room. The error joins those of the results, or is ErrTooLarge with the limit,
// ErrInvalid or ErrNobody.
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
