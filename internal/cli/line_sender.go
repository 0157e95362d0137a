package cli

import (
	"context"
	"fmt"
	"time"

	"multipeer/engine"
	"multipeer/internal/chatlog"
)

const (
	// linesAhead is how many lines may be in flight to a peer before the next one is read.
	linesAhead = 32
	// muteAfter is how long to wait for a peer that acknowledges nothing.
	muteAfter = 5 * time.Second
	// lastAckWait is how long to wait, at the end of the input, for the next acknowledgement.
	lastAckWait = 10 * time.Second
)

// lineSender sends the lines of a chat, in order, without waiting for each: a peer that does not acknowledge them does
// not hold up others. It has one user at a time.
type lineSender struct {
	*program
	only     []engine.PeerID // the recipients; empty means all connected peers
	peers    func() []engine.Peer
	post     func(v any, to engine.PeerID) (result func() error, err error)
	results  chan outcome
	under    map[engine.PeerID]*underway
	progress time.Time // when something was acknowledged, after the end of the input
	ended    bool      // the input has ended
	failed   int       // lines that a peer did not get
	unheard  int       // lines that were sent to no one
	unsaid   pace      // limits what is printed about lines that were not delivered
}

// outcome is the result of a line for one peer.
type outcome struct {
	peer engine.PeerID
	err  error
}

// underway counts the lines that a peer has not acknowledged.
type underway struct {
	lines int
	since time.Time // when the peer last acknowledged a line; before that, when it was sent the first
}

func newLineSender(p *program, only []engine.PeerID, peers func() []engine.Peer, post func(v any, to engine.PeerID) (func() error, error)) *lineSender {
	return &lineSender{program: p, only: only, peers: peers, post: post, results: make(chan outcome), under: map[engine.PeerID]*underway{}}
}

// send sends a line.
func (m *lineSender) send(ctx context.Context, line string, now time.Time) {
	to := m.recipients()
	if len(to) == 0 {
		m.unheard++
		m.notSent(engine.ErrNobody)
		return
	}
	for _, id := range to {
		result, err := m.post(chatlog.Words{Text: line}, id)
		if err != nil {
			m.failed++
			m.notSent(err)
			return
		}
		u := m.under[id]
		if u == nil {
			u = &underway{since: now}
			m.under[id] = u
		}
		u.lines++
		go func() { // the engine limits how many wait, and for how long
			select {
			case m.results <- outcome{id, result()}:
			case <-ctx.Done():
			}
		}()
	}
}

// take records the outcome of a line.
func (m *lineSender) take(o outcome, now time.Time) {
	m.progress = now
	if u := m.under[o.peer]; u != nil {
		u.lines--
		if o.err == nil {
			u.since = now
		}
		if u.lines == 0 {
			delete(m.under, o.peer)
		}
	}
	m.out.object(sent{"sent", o.peer.String(), o.err == nil, errorText(o.err)})
	if o.err == nil {
		return
	}
	m.failed++
	ok, hidden := m.unsaid.allow(now)
	if hidden > 0 {
		m.out.note("omitted %s about undelivered messages", plural(int64(hidden), "line", "lines"))
	}
	if ok {
		m.out.note("not delivered to %s: %v", m.name(o.peer), o.err)
	}
}

// name describes a peer.
func (m *lineSender) name(id engine.PeerID) string {
	for _, peer := range m.peers() {
		if peer.ID == id {
			return describe(peer)
		}
	}
	return id.Short()
}

// mayRead reports whether the next line may be read: no peer has too many lines in flight. While another peer answers,
// it does not wait for one that does not answer; that one gets what the engine has room for.
func (m *lineSender) mayRead(now time.Time) bool {
	waits := false
	for _, u := range m.under {
		if u.lines < linesAhead {
			continue
		}
		waits = true
		if now.Sub(u.since) < muteAfter {
			return false
		}
	}
	return !waits || m.othersAnswer(now)
}

// othersAnswer reports whether a recipient is not mute.
func (m *lineSender) othersAnswer(now time.Time) bool {
	for _, id := range m.recipients() {
		u := m.under[id]
		if u == nil || now.Sub(u.since) < muteAfter {
			return true
		}
	}
	return false
}

// recipients lists who gets the next line.
func (m *lineSender) recipients() []engine.PeerID {
	if len(m.only) > 0 {
		return m.only
	}
	var to []engine.PeerID
	for _, peer := range m.peers() {
		if peer.HasSession() {
			to = append(to, peer.ID)
		}
	}
	return to
}

// end records that the input has ended.
func (m *lineSender) end(now time.Time) { m.ended, m.progress = true, now }

// quiet reports whether nothing is in flight any more, or acknowledgements no longer arrive. It then reports the lines
// that were not acknowledged. It waits for a single recipient as long as the engine tries.
func (m *lineSender) quiet(now time.Time) bool {
	patience := lastAckWait
	if len(m.only) > 0 {
		patience = engine.SendTimeout + time.Second
	}
	if len(m.under) > 0 && now.Sub(m.progress) < patience {
		return false
	}
	for id, u := range m.under {
		m.failed += u.lines
		m.out.note("%s has not acknowledged %s", m.name(id), plural(int64(u.lines), "line", "lines"))
		for range u.lines {
			m.out.object(sent{"sent", id.String(), false, engine.ErrTimeout.Error()})
		}
	}
	if n := m.unsaid.hiddenNow(); n > 0 {
		m.out.note("omitted %s about undelivered messages", plural(int64(n), "line", "lines"))
	}
	m.under = nil
	return true
}

// err is the error of a chat of which a line was sent to no one, or a named peer did not get every line.
func (m *lineSender) err() error {
	failed := m.unheard
	if len(m.only) > 0 {
		failed += m.failed
	}
	if failed == 0 {
		return nil
	}
	return exit(exitFailed, fmt.Errorf("%s not delivered", plural(int64(failed), "line was", "lines were")))
}
