package transfers

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// item is the record of one transfer. Its fields are guarded by Manager.mu.
type item struct {
	view   Transfer
	order  int64
	names  []string // top-level names as sent on the wire
	offer  *Offer   // incoming: the offer until it is answered
	ctx    context.Context
	cancel context.CancelCauseFunc // set while a goroutine runs the transfer
	done   chan struct{}           // closed when the transfer is final

	onDisk   int64             // bytes that it needs on a disk, if known
	paths    []string          // outgoing: the offered paths
	spooled  string            // outgoing: the file of the spool that is sent; empty if there is none
	resolved []string          // outgoing: the paths with links resolved, at the time of the offer
	listing  *transfer.Listing // outgoing: the entries in the paths, once known
	// entries is the file of the spool with the entries of the listing; empty if they are not known or need not be.
	entries  string           // outgoing
	restored bool             // outgoing: it was not listed since the restart
	opts     OfferOptions     // outgoing: the options of the offer
	shared   *transfer.Shared // outgoing: the source, if it is sent to several peers
	accept   AcceptOptions    // incoming: the options of Accept
	began    string           // incoming: see transfer.ReceiveOptions.Began
	// chosen are the decisions of the current acceptance about names that are taken; answers counts the acceptances.
	chosen       map[string]transfer.Existing
	chosenStored map[string]transfer.Existing // those that are stored with the transfer
	savesChosen  bool                         // a goroutine is about to store them
	questions    map[string]*question         // those that the program has not answered, by name
	answers      int

	link     Link       // carried the newest offer
	source   netip.Addr // incoming: where its first offer came from
	attempt  int64      // the number of the newest offer
	proposed bool       // the offer was sent: updates may follow
	accepted bool
	// mayHaveArrived means that an earlier attempt, perhaps before a restart, has sent everything.
	mayHaveArrived bool // outgoing
	// sentState is the transfer.Listing.State of the version that may have arrived: the last one that was sent completely,
	// or else the first one that was listed; 0 if that is unknown.
	sentState uint64    // outgoing
	revoked   bool      // the acceptance ends with the current attempt
	offered   time.Time // incoming: when its sender was last present
	held      bool      // to be accepted by policy once its size is known
	agreed    agreement
	// asksAgain means that more arrived than the offer announced. If the transfer is offered again, the user is asked again.
	asksAgain bool
	newest    wire.Offer // incoming: the latest offer received after it was accepted
	byPolicy  bool       // accepted by policy
	paused    bool
	hasTurn   bool      // outgoing: it may send
	yielded   bool      // its turn is given to others for now
	turnAt    time.Time // when it got its turn
	// cancelled means that this side cancelled it; unsent, that the peer does not know yet that it was cancelled,
	// paused or resumed.
	cancelled bool
	unsent    bool
	decided   time.Time        // when the peer was last sent such a decision
	wake      chan struct{}    // signals a change to look at, such as a pause or resumption
	answer    chan offerAnswer // outgoing: receives the answer to an offer
	start     chan attempt     // incoming: the newest offer of an accepted transfer
	// lastAttempt is when the last attempt to receive ended, and pause how long after that the next one begins.
	lastAttempt time.Time
	pause       time.Duration
	run         *run             // the attempt in progress
	addrs       []netip.AddrPort // the last addresses of the peer
	decisions   int              // identity.Profile.Decisions about the peer when it was offered

	lastMove  time.Time // when a byte was last acknowledged
	blocks    uint64    // outgoing: how many blocks of this attempt the receiver has taken
	lastHeard time.Time // when the receiver last reported progress, even if there was none
	full      bool      // the receiver's disk is full
	finishing time.Time // when the receiver reported that all bytes of this attempt had arrived; zero until then
	mark      time.Time // the start of the rate measurement
	markBytes int64
	taken     int64   // outgoing: bytes that the receiver has taken in this attempt, acknowledged on the lanes
	takenRate float64 // outgoing: the rate of these, in bytes per second; the receiver cannot forge it
	markTaken int64
	moved     int64 // bytes that earlier attempts have sent on lanes
}

// offerAnswer is the other side's answer to one attempt.
type offerAnswer struct {
	attempt int64
	err     error // nil means accepted
}

// attempt is one start or resumption of an accepted transfer.
type attempt struct {
	link Link
	n    int64
}

// stopLocked ends a transfer with a reason: at once if it waits, through its own goroutine if it runs.
func (m *Manager) stopLocked(t *item, err error) {
	switch {
	case t.view.State.Final():
	case t.cancel != nil:
		t.cancel(err)
	default:
		m.finishLocked(t, err)
		if t.view.Incoming && t.view.State == Cancelled { // no goroutine will do it
			m.discardLocked(t)
		}
	}
}

// finishLocked makes a transfer final.
func (m *Manager) finishLocked(t *item, err error) {
	if t.view.State.Final() {
		return
	}
	if errors.Is(err, transfer.ErrCancelled) { // callers expect one error for that
		err = wire.ErrCancelled
	}
	t.stepLocked(endOf(err), err)
	v := &t.view
	v.Ended = now()
	v.Rate = 0
	v.Left = 0
	if v.State == Delivered {
		v.Counting = false
	}
	if t.offer != nil {
		m.asks.Unaccepted(v.Peer)
	}
	t.setOfferLocked(nil)
	t.cancel = nil
	m.spool.releaseSoon(t.spooled)
	m.spool.releaseSoon(t.entries)
	t.entries = ""
	close(t.done)
	if t.revoked {
		m.forgetAcceptanceLocked(t)
	}
	m.saveSoonLocked(t)
	m.log.Info("transfer ended", "id", v.ID, "peer", v.Peer.Short(), "incoming", v.Incoming, "state", v.State, "bytes", v.Done, "err", err)
	m.publishLocked(t)
}

// endOf returns the event that ends a transfer with an error, or without one.
func endOf(err error) event {
	switch {
	case err == nil:
		return delivered
	case errors.Is(err, wire.ErrDeclined):
		return declined
	case errors.Is(err, wire.ErrCancelled):
		return cancelled
	}
	return failed
}

// conclude records the result in the view and makes the transfer final.
func (m *Manager) conclude(t *item, r transfer.Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := &t.view
	v.Notes = nil
	for _, n := range r.Notes {
		n.Path, n.Saved = shown(n.Path), shown(n.Saved)
		v.Notes = append(v.Notes, n)
	}
	v.Renamed = r.Renamed
	v.LeftOut = r.LeftOut
	v.Unkept = r.Unkept
	v.Unchanged = r.Unchanged
	v.Saved = inDir(v.Dir, r.Saved)
	if err == nil {
		v.Files, v.Folders, v.Bytes = r.Files+r.Links, r.Folders, r.Bytes
		v.Done, v.DoneFiles = r.Bytes, r.Files
	}
	m.finishLocked(t, err)
}
