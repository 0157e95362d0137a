package localsend

import (
	"context"
	"crypto/subtle"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/internal/connlimit"
)

const (
	// maxSessions is how many offers may wait or be received at once, one per device. Strangers may have at most
	// maxOfStrangers of these, and two per address.
	maxSessions    = 8
	maxOfStrangers = 5
	maxOfOne       = 2
	// maxParsing is how many offers of strangers are read at once, one per address, and parseFor how long each may
	// take. reservedParsing is the separate limit for known devices, one offer per device.
	maxParsing      = 8
	reservedParsing = 8
	parseFor        = 10 * time.Second
	// stallsFor is how long an upload may go without a byte, and a session without an upload. When sending, it is how
	// long the receiver may go without accepting a byte; after the last byte it has answerFactor times as long to
	// answer, because its disk may be slow.
	stallsFor    = 30 * time.Second
	answerFactor = 4
	// retryFor is how long the sender may retry a failed file once all other files are done.
	retryFor    = 5 * time.Second
	maxDigests  = 3 // attempts to send a file whose digest did not match
	maxAttempts = 10
)

// sessions holds the sessions in which devices offer and send.
type sessions struct {
	mu      sync.Mutex
	to      gateway.Sink
	hidden  bool                // new sessions are refused
	parsing map[string]bool     // offers of strangers that are being read, by address
	reading map[string]bool     // offers of known devices that are being read, by key
	byKey   map[string]*session // of the device
	waiting []chan struct{}     // closed when there is no session
	stalls  time.Duration       // from Options
}

func newSessions(stalls time.Duration) *sessions {
	return &sessions{stalls: stalls, parsing: map[string]bool{}, reading: map[string]bool{}, byKey: map[string]*session{}}
}

func (ss *sessions) begin(to gateway.Sink) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.to, ss.hidden = to, false
}

// sink is nil before the first run.
func (ss *sessions) sink() gateway.Sink {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.to
}

// has reports whether a device offers or sends something.
func (ss *sessions) has(key string) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byKey[key] != nil
}

// refuseNew refuses new sessions, and ends those that no one has accepted.
func (ss *sessions) refuseNew() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.hidden = true
	for _, s := range ss.byKey {
		if !s.isAccepted() {
			s.end(engine.ErrCancelled)
		}
	}
}

// idle returns a channel that is closed when there are no sessions.
func (ss *sessions) idle() <-chan struct{} {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	none := make(chan struct{})
	if len(ss.byKey) == 0 {
		close(none)
	} else {
		ss.waiting = append(ss.waiting, none)
	}
	return none
}

// remove removes a session.
func (ss *sessions) remove(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.byKey, s.key)
	close(s.done)
	if len(ss.byKey) > 0 {
		return
	}
	for _, none := range ss.waiting {
		close(none)
	}
	ss.waiting = nil
}

// cancelAll ends all sessions.
func (ss *sessions) cancelAll() {
	ss.refuseNew()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byKey {
		s.end(engine.ErrCancelled)
	}
}

// startParsing reports whether an offer may be read now, and returns a function that frees its slot.
func (ss *sessions) startParsing(from source, known bool) (end func(), ok bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	slots, most, who := ss.parsing, maxParsing, connlimit.SourceOf(from.addr).String()
	if known {
		slots, most, who = ss.reading, reservedParsing, keyOf(from)
	}
	if ss.hidden || slots[who] || len(slots) >= most { // guard: localsend-parsing
		return nil, false
	}
	slots[who] = true
	return func() {
		ss.mu.Lock()
		defer ss.mu.Unlock()
		delete(slots, who)
	}, true
}

// add adds a session, unless the device already has one or there are too many.
func (ss *sessions) add(s *session, o gateway.Offer) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.hidden || ss.byKey[s.key] != nil || len(ss.byKey) >= maxSessions { // guard: localsend-sessions
		return false
	}
	to := ss.to
	s.stranger = !to.Knows(s.key)
	if s.stranger && !ss.admitsStrangerLocked(s) {
		return false
	}
	ss.byKey[s.key] = s
	go func() { // serve waits for it: see idle
		defer ss.remove(s)
		s.err = to.Receive(s.ctx, o, s.take)
		s.end(nil)
	}()
	return true
}

// admitsStrangerLocked reports whether one more device that no one has accepted may have a session.
func (ss *sessions) admitsStrangerLocked(s *session) bool {
	strangers, same := 0, 0
	for _, other := range ss.byKey {
		if !other.stranger {
			continue
		}
		strangers++
		if connlimit.SourceOf(other.from.addr) == connlimit.SourceOf(s.from.addr) {
			same++
		}
	}
	if strangers >= maxOfStrangers || same >= maxOfOne { // guard: localsend-strangers
		return false
	}
	return true
}

// awaitEnding waits for a session of a device that is about to end because its last file has been answered.
func (ss *sessions) awaitEnding(ctx context.Context, key string) {
	ss.mu.Lock()
	s := ss.byKey[key]
	ss.mu.Unlock()
	if s == nil || s.ctx.Err() == nil && !s.isComplete() {
		return
	}
	select {
	case <-s.done:
	case <-ctx.Done():
	case <-time.After(ss.stalls):
	}
}

// of returns the session with an ID if the device that asks takes part in it. Without an ID, it returns the session
// that waits for an answer.
func (ss *sessions) of(from source, id string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byKey {
		if s.from != from { // guard: localsend-source
			continue
		}
		if subtle.ConstantTimeCompare([]byte(s.id), []byte(id)) == 1 || id == "" && !s.isAccepted() {
			return s
		}
	}
	return nil
}

// cancel ends a session of a device; without an ID, the session that waits for an answer.
func (ss *sessions) cancel(from source, id string) bool {
	s := ss.of(from, id)
	if s == nil {
		return false
	}
	s.end(engine.ErrCancelled)
	return true
}

// keyOf returns the key of the device that sent a request.
func keyOf(from source) string {
	if from.fingerprint != "" {
		return from.fingerprint
	}
	return unprovenKey(from.addr)
}
