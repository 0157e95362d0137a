package localsend

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"maps"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/transfer"
)

// session is one offer of a device and the uploads that follow.
type session struct {
	id       string
	from     source
	device   gateway.Device
	key      string // of the device
	stalls   time.Duration
	stranger bool // no one has accepted the device
	parts    map[string]part

	ctx      context.Context         // of the offer
	end      context.CancelCauseFunc // withdraws it
	reading  context.Context         // of the uploads; a child of ctx
	stop     context.CancelCauseFunc // interrupts them
	accepted chan acceptance         // holds the answer after a person has accepted
	done     chan struct{}           // closed when it has ended
	err      error                   // the reason for the end; set before done is closed

	mu       sync.Mutex // guards what follows
	in       *transfer.Intake
	tokens   map[string]string // by ID; removed when the file is complete
	attempts map[string]int    // failed ones, by ID
	failed   map[string]error  // the last failure of an incomplete file, by ID
	active   int               // uploads in progress
	closed   bool              // no more uploads are read
	uploads  sync.WaitGroup
	moved    chan struct{} // signalled after an upload has ended or received bytes
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

// take runs a session after its acceptance: it hands out the tokens, and waits until all files are complete.
func (s *session) take(ctx context.Context, in *transfer.Intake) error {
	s.mu.Lock()
	s.in = in
	for id := range s.parts {
		s.tokens[id] = rand.Text()
	}
	s.accepted <- acceptance{SessionID: s.id, Files: maps.Clone(s.tokens)} // take runs once
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
	s.uploads.Wait()    // the intake is closed afterwards
	if s.isComplete() { // a cancellation came after the last file
		return nil
	}
	if err != nil {
		s.noteMissing(err)
	}
	return err
}

// noteMissing records the files that never arrived as left out. The intake itself records those that it has begun to
// receive.
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

// errAllArrived ends a completed session.
var errAllArrived = errors.New("all files have arrived")

// awaitFiles waits until every file is complete, or no more files are coming.
func (s *session) awaitFiles() error {
	for {
		now := s.progress()
		idle := s.stalls
		switch {
		case now.left == 0:
			return nil
		case now.active > 0: // uploads have their own limit
			idle = 2 * s.stalls
		case now.failed > 0 && now.left == now.failed:
			idle = retryFor
		}
		timer := time.NewTimer(idle)
		select {
		case <-s.moved:
		case <-s.reading.Done():
			timer.Stop()
			return context.Cause(s.reading)
		case <-timer.C:
			if now.why == nil {
				return engine.ErrLost
			}
			return now.why
		}
		timer.Stop()
	}
}

// sessionProgress is the progress of a session's uploads.
type sessionProgress struct {
	left   int   // incomplete files
	failed int   // of these, how many have a failed upload
	active int   // uploads in progress
	why    error // why one of them has failed
}

// progress is called for each read, so it does not loop over all files.
func (s *session) progress() sessionProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := sessionProgress{left: len(s.tokens), failed: len(s.failed), active: s.active}
	for _, now.why = range s.failed {
		break
	}
	return now
}

func (s *session) signal() {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// beginUpload checks a token, and returns the file that may be uploaded with it.
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
