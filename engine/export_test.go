package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transfers"
	"multipeer/engine/internal/wire"
)

// This file exports internals that the external tests need to see or reduce.

// Limits that the package comment states.
const (
	MaxName            = wire.MaxName
	MaxService         = wire.MaxService
	MaxPair            = wire.MaxPair
	MaxInfo            = wire.MaxInfo
	MaxStreamName      = wire.MaxStreamName
	MaxStreams         = peers.MaxStreams
	MaxPending         = peers.MaxPending
	InviteTimeout      = peers.InviteTimeout
	OfferTimeout       = transfers.OfferTimeout
	PairingWindow      = pairing.Window
	PairingTimeout     = pairing.Timeout
	MaxPairingFailures = pairing.MaxFailures
)

// ValidateInfo and ValidateServiceType check values of Config.
var (
	ValidateInfo        = wire.ValidateInfo
	ValidateServiceType = wire.ValidateServiceType
)

// SetPairingSpace reduces the number of pairing codes until the returned function is called.
func SetPairingSpace(n uint64) (restore func()) {
	return pairing.SetCodeSpace(n)
}

// PairingCode returns the code of a pairing, whichever role this side has.
func (e *Engine) PairingCode(id PeerID) string {
	return e.pairings.Code(id)
}

// ForgetPairings ends the pairing with a peer and resets all counters, as if there had been none.
func (e *Engine) ForgetPairings(id PeerID) {
	e.pairings.Reset(id)
	e.peers.Asks().Clear()
}

// WhileSessionBegins calls f while a session that e has with a peer is beginning: the session exists, but the link does
// not carry it yet. After d, the beginning completes.
func (e *Engine) WhileSessionBegins(id PeerID, d time.Duration, f func()) {
	e.peers.WhileSessionBegins(id, d, f)
}

// AnnounceFrom acts as if a peer with a session had announced others.
func (e *Engine) AnnounceFrom(from PeerID, list ...wire.PeerAt) error {
	return e.peers.AnnounceFrom(from, list...)
}

// Heard counts the announced addresses that wait to be dialled.
func (e *Engine) Heard() int { return e.peers.Heard() }

// WhileWriteBegins calls f while a Write of s has just begun; the Write does not return before f does.
func WhileWriteBegins(s *Stream, f func()) { s.s.WhileWriteBegins(f) }

// Places counts the addresses where a peer may be dialled, even if the program does not know the peer; -1 means no
// peer.
func (e *Engine) Places(id PeerID) int {
	return e.peers.Places(id)
}

// SetMaxIntroduced reduces the limit on strangers found through peer exchange until the returned function is called.
func SetMaxIntroduced(n int) (restore func()) {
	return peers.SetMaxIntroduced(n)
}

// AnnouncedTo counts the peers announced to a peer over its connection.
func (e *Engine) AnnouncedTo(id PeerID) int {
	return e.peers.AnnouncedTo(id)
}

// Tried counts the addresses at which announced peers were dialled without success.
func (e *Engine) Tried() int {
	return e.peers.Tried()
}

// Alter changes this side's view of a transfer, and the names of its offer.
func (e *Engine) Alter(id TransferID, change func(v *Transfer, names []string)) {
	e.transfers.Alter(id, func(v *transfers.Transfer, names []string) { change((*Transfer)(v), names) })
}

// QueueOf returns the name of the queue for a connection that a peer opens, or for a lane.
func (e *Engine) QueueOf(id PeerID, lane bool) string {
	return e.peers.QueueOf(id, lane)
}

// SetAttemptsEndSlowly delays the end of each attempt, as a slow disk does, until the returned function is called.
func SetAttemptsEndSlowly(d time.Duration) (restore func()) {
	return transfers.SetAttemptsEndSlowly(d)
}

// StreamReceived is the event that passes a stream to a Handler.
type StreamReceived = streamReceived

// Taken returns the stream.
func (s streamReceived) Taken() *Stream { return s.stream }

// WatchStreams is Watch for a reader that takes streams too.
func (e *Engine) WatchStreams(ctx context.Context) iter.Seq[Event] {
	e.streams.mu.Lock()
	if e.streams.byName == nil {
		e.streams.byName = map[string]func(*Stream){}
	}
	e.streams.byName[""] = nil
	e.streams.mu.Unlock()
	return e.watch(ctx, events.Messages|events.Streams|events.Offers|events.Invitations)
}

// ReportEnds has a Handler report the ends of n transfers that the engine has forgotten, each twice, and returns how
// many it reported and remembers.
func ReportEnds(e *Engine, n int) (reported, remembered int) {
	h := Handler{Transfer: func(Transfer) { reported++ }}
	s := seen{engine: e, ended: map[TransferID]time.Time{}}
	for i := range n {
		t := Transfer{ID: TransferID(fmt.Sprint(i)), State: Cancelled, Ended: time.Unix(int64(i), 0)}
		h.transfer(t, &s)
		if _, known := s.ended[t.ID]; known {
			h.transfer(t, &s)
		}
	}
	return reported, len(s.ended)
}

// PingRate is how many pings a second Ping sends to a peer without a session.
func PingRate(mode PingMode) time.Duration {
	return time.Duration(peers.PingRate(peers.PingMode(mode)))
}
