package localsend

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/internal/connlimit"
	"multipeer/transfer"
)

const (
	// maxSessions is how many offers wait or are being received, one of each device. Devices that no one has accepted may
	// take maxOfStrangers of these, and two from one address.
	maxSessions    = 8
	maxOfStrangers = 5
	maxOfOne       = 2
	// maxParsing is how many offers of strangers are read at once, one from each address, and parseFor how long each may
	// take. reservedParsing more are read of known devices, one of each.
	maxParsing      = 8
	reservedParsing = 8
	parseFor        = 10 * time.Second
	// stallsFor is how long an upload may bring no byte, and a session have no upload. When sending, it is how long the
	// receiver may take no byte; it has answerFactor times as long to answer after the last one, because it may write to a
	// slow disk.
	stallsFor    = 30 * time.Second
	answerFactor = 4
	// retryFor is how long the sender may retry when every other file has had its turn.
	retryFor    = 5 * time.Second
	maxDigests  = 3 // attempts to send a file whose digest did not fit
	maxAttempts = 10
)

// sessions are what devices offer and send.
type sessions struct {
	mu      sync.Mutex
	to      engine.GatewaySink
	hidden  bool                // no new ones
	parsing map[string]bool     // offers of strangers that are being read, by address
	reading map[string]bool     // those of known devices, by key
	byKey   map[string]*session // of the device
	waiting []chan struct{}     // closed when there is no session
	stalls  time.Duration       // from Options
}

func newSessions(stalls time.Duration) *sessions {
	return &sessions{stalls: stalls, parsing: map[string]bool{}, reading: map[string]bool{}, byKey: map[string]*session{}}
}

func (ss *sessions) begin(to engine.GatewaySink) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.to, ss.hidden = to, false
}

// sink is nil before the first run.
func (ss *sessions) sink() engine.GatewaySink {
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

// refuseNew refuses sessions from now on, and ends those that no one has accepted.
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

// idle returns a channel that is closed as soon as there is no session.
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

// remove ends the record of a session.
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

// session is what one device offers and sends.
type session struct {
	id       string
	from     source
	device   engine.Device
	key      string // of the device
	stalls   time.Duration
	stranger bool // no one has accepted the device
	parts    map[string]part

	ctx      context.Context         // of the offer
	end      context.CancelCauseFunc // withdraws it
	reading  context.Context         // of the uploads; a child of ctx
	stop     context.CancelCauseFunc // interrupts them
	accepted chan acceptance         // holds the answer once a person has accepted
	done     chan struct{}           // closed when it has ended
	err      error                   // why it has; set before done is closed

	mu       sync.Mutex // guards what follows
	in       *transfer.Intake
	tokens   map[string]string // by ID; a whole file has none
	attempts map[string]int    // failed ones, by ID
	failed   map[string]error  // the last failure of a file that is not whole, by ID
	active   int               // uploads that are being read
	closed   bool              // no more uploads are read
	uploads  sync.WaitGroup
	moved    chan struct{} // holds a value after an upload has ended or brought bytes
}

func newSession(from source, key string, parts []part, stalls time.Duration) *session {
	s := &session{
		id: rand.Text(), from: from, key: key, stalls: stalls, parts: map[string]part{}, accepted: make(chan acceptance, 1), done: make(chan struct{}),
		tokens: map[string]string{}, attempts: map[string]int{}, failed: map[string]error{}, moved: make(chan struct{}, 1),
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.reading, s.stop = context.WithCancelCause(s.ctx)
	for _, p := range parts {
		s.parts[p.id] = p
	}
	return s
}

// startParsing reports whether an offer may be read now, and returns a function that ends that.
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

// add begins a session, unless the device has one already or there are too many.
func (ss *sessions) add(s *session, o engine.DeviceOffer) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.hidden || ss.byKey[s.key] != nil || len(ss.byKey) >= maxSessions { // guard: localsend-sessions
		return false
	}
	to := ss.to
	s.stranger = !to.Knows(s.key)
	if s.stranger && !ss.roomForStrangerLocked(s) {
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

// roomForStrangerLocked reports whether one more device that no one has accepted may have a session.
func (ss *sessions) roomForStrangerLocked(s *session) bool {
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

// awaitEnding waits for the session of a device that is just ending: its last file has been answered.
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

// of returns the session with an ID, but only to the device that it is with. Without an ID, it is the one that waits for
// its answer.
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

// cancel ends a session of a device; without an ID, the one that waits for its answer.
func (ss *sessions) cancel(from source, id string) bool {
	s := ss.of(from, id)
	if s == nil {
		return false
	}
	s.end(engine.ErrCancelled)
	return true
}

// keyOf is the key of the device that sent a request.
func keyOf(from source) string {
	if from.fingerprint != "" {
		return from.fingerprint
	}
	return unprovenKey(from.addr)
}

// isComplete reports whether every file has arrived.
func (s *session) isComplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in != nil && len(s.tokens) == 0
}

func (s *session) isAccepted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in != nil
}

// handlePrepare takes an offer and answers when a person has.
func (g *Gateway) handlePrepare(w http.ResponseWriter, r *http.Request) {
	from := sourceOf(r)
	known := g.sessions.sink().Knows(keyOf(from))
	if pin := g.opts.PIN; pin != "" && !g.checkPIN(w, r, from, pin, known) {
		return
	}
	o, parts, err := g.readOffer(w, r, from, known)
	if err != nil {
		code, message := codeOf(err)
		fail(w, code, message)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a person takes longer
	device, ok := g.devices.found(from.device(o.Info))
	if !ok {
		fail(w, http.StatusConflict, "Blocked by another session")
		return
	}
	if text, ok := o.text(); ok {
		err := g.sessions.sink().ReceiveText(device, text)
		switch {
		case err == nil:
			answerSoon(w)
			w.WriteHeader(http.StatusNoContent)
			return
		case errors.Is(err, engine.ErrDeclined), errors.Is(err, engine.ErrTooLarge): // it becomes a file, if a person wants that
		default:
			code, message := codeOf(err)
			fail(w, code, message)
			return
		}
	}
	s := newSession(from, device.Key, parts, g.opts.stalls)
	s.device = device
	g.sessions.awaitEnding(r.Context(), device.Key)
	if !g.sessions.add(s, describe(device, o, parts)) {
		fail(w, http.StatusConflict, "Blocked by another session")
		return
	}
	g.awaitAnswer(w, r, s, known)
}

// readOffer reads the offer in a request, unless its sender asks too often or too many are being read.
func (g *Gateway) readOffer(w http.ResponseWriter, r *http.Request, from source, known bool) (offer, []part, error) {
	if err := g.devices.mayAsk(from, known); err != nil {
		return offer{}, nil, err
	}
	end, ok := g.sessions.startParsing(from, known)
	if !ok {
		return offer{}, nil, engine.ErrBusy
	}
	defer end()
	limitBody(w, parseFor)
	return parseOffer(r.Body)
}

// awaitAnswer answers an offer when a person has.
func (g *Gateway) awaitAnswer(w http.ResponseWriter, r *http.Request, s *session, known bool) {
	select {
	case a := <-s.accepted:
		g.devices.questions.accept(s.from.addr)
		g.answeredAt(s.device)
		if err := reply(w, a); err != nil || r.Context().Err() != nil { // it has just given up
			s.end(engine.ErrCancelled)
		}
	case <-s.done:
		if !known && errors.Is(s.err, engine.ErrDeclined) {
			g.devices.questions.decline(s.from.addr)
		}
		code, message := codeOf(s.err)
		fail(w, code, message)
	case <-r.Context().Done(): // LocalSend 1.18 gives up in this way
		s.end(engine.ErrCancelled)
	}
}

// checkPIN answers a request whose PIN is wrong.
func (g *Gateway) checkPIN(w http.ResponseWriter, r *http.Request, from source, pin string, known bool) bool {
	given := r.URL.Query().Get("pin")
	switch {
	case !g.pins.mayGuess(from, known):
		fail(w, http.StatusTooManyRequests, "Too many attempts")
	case given == "":
		fail(w, http.StatusUnauthorized, "PIN required")
	case subtle.ConstantTimeCompare([]byte(given), []byte(pin)) != 1:
		g.pins.wrong(from, known)
		fail(w, http.StatusUnauthorized, "Invalid PIN")
	default:
		return true
	}
	return false
}

// take is the part of a session after its acceptance: it gives out the tokens, and waits until all files are whole.
func (s *session) take(ctx context.Context, in *transfer.Intake) error {
	s.mu.Lock()
	s.in = in
	for id := range s.parts {
		s.tokens[id] = rand.Text()
	}
	s.accepted <- acceptance{s.id, maps.Clone(s.tokens)} // take runs once
	s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { s.stop(context.Cause(ctx)) })()
	err := s.awaitFiles()
	if err == nil {
		s.stop(errAllArrived)
	}
	s.stop(err)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.uploads.Wait() // the intake is closed after this
	if err != nil {
		s.noteMissing(err)
	}
	return err
}

// noteMissing notes the files that never came as left out. The intake notes those that it has begun to receive.
func (s *session) noteMissing(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.tokens {
		of := why
		if s.failed[id] != nil {
			of = s.failed[id]
		}
		s.in.LeaveOut(s.parts[id].path, of)
	}
}

// errAllArrived ends a session that was completed.
var errAllArrived = errors.New("all files have arrived")

// awaitFiles waits until every file is whole, or none comes any more.
func (s *session) awaitFiles() error {
	for {
		left, failed, active, why := s.progress()
		idle := s.stalls
		switch {
		case left == 0:
			return nil
		case active > 0: // an upload has a limit of its own
			idle = 2 * s.stalls
		case failed > 0 && left == failed:
			idle = retryFor
		}
		timer := time.NewTimer(idle)
		select {
		case <-s.moved:
		case <-s.reading.Done():
			timer.Stop()
			return context.Cause(s.reading)
		case <-timer.C:
			if why == nil {
				why = engine.ErrLost
			}
			return why
		}
		timer.Stop()
	}
}

// progress returns how many files are not whole, how many of these have failed and how many uploads are being read, and
// why a file has failed. It is called for each read, so it does not go through all files.
func (s *session) progress() (left, failed, active int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, why = range s.failed {
		break
	}
	return len(s.tokens), len(s.failed), s.active, why
}

func (s *session) signal() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// beginUpload checks a token, and returns what the upload may bring.
func (s *session) beginUpload(id, token string) (part, *transfer.Intake, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := s.tokens[id]
	if s.closed || want == "" || subtle.ConstantTimeCompare([]byte(token), []byte(want)) != 1 { // guard: localsend-token
		return part{}, nil, false
	}
	if s.attempts[id] >= maxAttempts { // guard: localsend-attempts
		return part{}, nil, false
	}
	s.active++
	s.uploads.Add(1)
	return s.parts[id], s.in, true
}

// endUpload records the outcome of an upload. The last file makes everything durable before its sender gets an answer.
func (s *session) endUpload(id string, err error) error {
	s.mu.Lock()
	s.active--
	if err != nil {
		s.failed[id] = err
		s.attempts[id]++
		if errors.Is(err, transfer.ErrDigest) && s.attempts[id] >= maxDigests { // guard: localsend-digests
			s.attempts[id] = maxAttempts
		}
	} else {
		delete(s.tokens, id)
		delete(s.failed, id)
	}
	last := len(s.tokens) == 0
	s.mu.Unlock()
	if last {
		_, err = s.in.Finish()
	}
	s.signal()
	return err
}

// handleUpload takes one file.
func (g *Gateway) handleUpload(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := g.sessions.of(sourceOf(r), q.Get("sessionId"))
	if s == nil {
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
		return
	}
	id := q.Get("fileId")
	p, in, ok := s.beginUpload(id, q.Get("token"))
	if !ok {
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
		return
	}
	defer s.uploads.Done()
	connlimit.Admit(r)
	control := http.NewResponseController(w)
	stop := context.AfterFunc(s.reading, func() {
		if context.Cause(s.reading) != errAllArrived {
			_ = control.SetReadDeadline(time.Now())
		}
	})
	defer stop()
	body := &upload{Reader: r.Body, s: s, control: control}
	_, err := in.Receive(s.reading, transfer.Part{Path: p.path, Size: p.size, ModTime: p.modified, SHA256: p.sha256}, body)
	err = s.endUpload(id, err)
	if err != nil { // net/http does not recover from the deadline: later requests on the connection would look as if their sender had gone
		w.Header().Set("Connection", "close")
	}
	switch {
	case err == nil:
		answerSoon(w)
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, transfer.ErrDigest):
		fail(w, http.StatusUnprocessableEntity, "Checksum mismatch")
	case s.reading.Err() != nil:
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
	default:
		g.log.Warn("an upload from LocalSend failed", "err", err)
		fail(w, http.StatusInternalServerError, "The file cannot be saved")
	}
}

// upload is the body of an upload. Each read has a time limit.
type upload struct {
	io.Reader
	s       *session
	control *http.ResponseController
}

func (u *upload) Read(b []byte) (int, error) {
	_ = u.control.SetReadDeadline(time.Now().Add(u.s.stalls))
	if u.s.reading.Err() != nil { // its own deadline may have been replaced just now
		return 0, context.Cause(u.s.reading)
	}
	n, err := u.Reader.Read(b)
	u.s.signal()
	if errors.Is(err, io.EOF) { // what follows, such as writing to the disk, has no such limit
		_ = u.control.SetReadDeadline(time.Time{})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", engine.ErrLost, err)
	}
	return n, err
}
