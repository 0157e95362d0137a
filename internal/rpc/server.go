package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"multipeer/engine"
)

const (
	// maxLine is the maximum length of a line that is read, in bytes: a message of bytes in base64, and its envelope.
	maxLine = 2 << 20
	// maxRunning limits all requests together, maxWaiting those that can block on a peer, such as send, and
	// maxOnStreams those that can block on a stream. Further requests get "busy". So a program can always disconnect a
	// peer that makes it wait, and streams do not keep it from sending.
	maxRunning   = maxWaiting + maxOnStreams + 256
	maxWaiting   = 1024
	maxOnStreams = 4096
	// maxResponses is how many responses to requests that do not block may wait to be read by the program. If there are
	// more, no further request is read.
	maxResponses = 1024
	// deliverTimeout is how long the end waits for messages to be delivered.
	deliverTimeout = 5 * time.Second
)

// Opener creates the engine for start. hosted reports that it belongs to a program that already uses the profile.
type Opener func(cfg engine.Config) (e *engine.Engine, hosted bool, err error)

// Serve answers requests from in until in ends, the program calls end, or ctx ends. Then it delivers the pending
// messages, ends the engine and returns. The error is the error of a stream. A read of in may stay blocked.
func Serve(ctx context.Context, in io.Reader, out io.Writer, open Opener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{
		ctx: ctx, cancel: cancel, open: open, out: &writer{w: out, fail: cancel}, serial: serial{queues: map[string][]func(){}},
		stops: map[string]func(){}, waiting: map[waitsFor]int{}, responses: make(chan []byte, maxResponses),
	}
	s.fewer = sync.NewCond(&s.mu)
	s.calls, s.endCalls = context.WithCancel(ctx)
	defer s.endCalls()
	lines := make(chan line)
	go func() { // it may stay blocked in a read
		defer close(lines)
		readLines(ctx, in, lines)
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for response := range s.responses {
			s.out.writeLine(response)
		}
	}()
	ended := make(chan error, 1)
	go func() {
		err := s.serve(lines)
		s.end()
		cancel(nil)
		s.wg.Wait()
		close(s.responses)
		<-written
		ended <- errors.Join(err, s.out.problem())
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(2 * deliverTimeout): // a write may be blocked, since no one reads
		return errors.New("writing to standard output: no one reads it")
	}
}

// session is one program that uses an engine.
type session struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	// calls is the context of requests, which end before the session.
	calls    context.Context
	endCalls context.CancelFunc

	open Opener
	out  *writer
	// responses are written by their own goroutine: the one that reads requests must not wait for the program to read,
	// because the program may be waiting to write.
	responses chan []byte
	wg        sync.WaitGroup // requests and the work that they have started
	serial    serial
	credit    credit

	mu          sync.Mutex
	running     int
	waiting     map[waitsFor]int // the running requests that may wait
	fewer       *sync.Cond       // signals that running has decreased
	e           *engine.Engine   // nil before start
	hosted      bool
	started     bool
	ended       bool
	streams     handles[*streamHandle]
	asked       handles[chan reply]
	invitations handles[*engine.Invitation]
	offers      handles[*engine.Offer]
	stops       map[string]func() // what the program listens to, by kind and name
}

// errEnd ends the session at the client's request.
var errEnd = errors.New("end")

func (s *session) serve(lines <-chan line) error {
	for {
		select {
		case l, ok := <-lines:
			switch {
			case !ok:
				return nil
			case l.err != nil:
				return fmt.Errorf("reading standard input: %w", l.err)
			case l.long:
				s.respondSoon(nil, nil, &rpcError{codeParse, fmt.Sprintf("the line is longer than %d bytes", maxLine)})
			case len(bytes.TrimSpace(l.text)) > 0:
				s.take(l.text)
			}
		case <-s.ctx.Done():
			if cause := context.Cause(s.ctx); !errors.Is(cause, errEnd) && !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		}
	}
}

// request is one line from the program.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"` // absent for a notification
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// take starts one request.
func (s *session) take(text []byte) {
	var r request
	if err := json.Unmarshal(text, &r); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
			err = &rpcError{codeRequest, "batches are not supported; write one request per line"}
		} else {
			err = &rpcError{codeParse, err.Error()}
		}
		s.respondSoon(nil, nil, err)
		return
	}
	if r.Version != "2.0" || r.Method == "" {
		s.respondSoon(r.ID, nil, &rpcError{codeRequest, `a request must have "jsonrpc":"2.0" and a method`})
		return
	}
	m, known := methods[r.Method]
	waits := methodWaits[r.Method]
	if !known {
		s.respondSoon(r.ID, nil, &rpcError{codeMethod, "there is no method " + r.Method})
		return
	}
	if !s.begin(waits) {
		s.respondSoon(r.ID, nil, fmt.Errorf("%w: too many requests are running", engine.ErrBusy))
		return
	}
	m(s, r.Params, &responder{s: s, id: r.ID, waits: waits})
}

// responder responds to one request, once.
type responder struct {
	s     *session
	id    json.RawMessage
	waits waitsFor
}

// done writes the response, and waits until the client reads it. It must not be called on the goroutine that reads
// requests.
func (r *responder) done(result any, err error) {
	defer r.s.finish(r.waits)
	if line := responseLine(r.id, result, err); line != nil {
		r.s.out.writeLine(line)
	}
}

// soon queues a small response.
func (r *responder) soon(result any, err error) {
	defer r.s.finish(r.waits)
	r.s.respondSoon(r.id, result, err)
}

func (s *session) begin(waits waitsFor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= maxRunning || s.waiting[waits] >= mostWaiting[waits] {
		return false
	}
	s.running++
	s.waiting[waits]++
	s.wg.Add(1)
	return true
}

func (s *session) finish(waits waitsFor) {
	s.mu.Lock()
	s.running--
	s.waiting[waits]--
	s.fewer.Broadcast()
	s.mu.Unlock()
	s.wg.Done()
}

// awaitLast waits until no other request is running.
func (s *session) awaitLast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running > 1 {
		s.fewer.Wait()
	}
}

// respondSoon queues the response to a request.
func (s *session) respondSoon(id json.RawMessage, result any, err error) {
	line := responseLine(id, result, err)
	if line == nil {
		return
	}
	select {
	case s.responses <- line:
		return
	default:
	}
	select {
	case s.responses <- line:
	case <-s.ctx.Done():
	}
}

// responseLine returns the response to a request; a notification gets none.
func responseLine(id json.RawMessage, result any, err error) []byte {
	type response struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result,omitempty"`
		Error   *errorJSON      `json:"error,omitempty"`
	}
	if id == nil {
		var own *rpcError
		if !errors.As(err, &own) {
			return nil
		}
		id = json.RawMessage("null")
	}
	switch {
	case err != nil:
		result = nil
	case result == nil:
		result = none{}
	}
	return encodeLine(response{"2.0", id, result, errorOf(err)})
}

// notify writes a notification.
func (s *session) notify(method string, params any) {
	type notification struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}
	s.out.writeLine(encodeLine(notification{"2.0", method, params}))
}

// engine returns the engine, if it has been started.
func (s *session) engine() (*engine.Engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e == nil || s.ended {
		return nil, errNotStarted
	}
	return s.e, nil
}

// end ends everything that the program has started, and its engine unless that belongs to another program.
func (s *session) end() {
	s.mu.Lock()
	e, hosted := s.e, s.hosted
	stops, streams := s.stops, s.streams.clear()
	s.ended, s.stops = true, map[string]func(){}
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	for _, h := range streams {
		_ = h.s.Close()
	}
	defer s.endCalls()
	if e == nil || hosted {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deliverTimeout)
	defer cancel()
	_ = e.Shutdown(ctx) // messages that are not delivered have their own results
}

// line is one line of input, or the reason why there are no more lines.
type line struct {
	text []byte
	long bool
	err  error
}

// readLines reads until the input or ctx ends. A line that is too long is skipped without being stored.
func readLines(ctx context.Context, in io.Reader, lines chan<- line) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		l, err := readLine(r)
		if err != nil && err != io.EOF {
			l = line{err: err}
		}
		if len(l.text) > 0 || l.long || l.err != nil {
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func readLine(r *bufio.Reader) (l line, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(l.text)+len(part) > maxLine {
			l.text, l.long = nil, true
		}
		if !l.long {
			l.text = append(l.text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l, err
		}
	}
}

// encodeLine encodes a JSON value as one line.
func encodeLine(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // every value of this package can be encoded
		panic(err)
	}
	return b.Bytes()
}

// writer writes lines. The first error ends the session.
type writer struct {
	fail context.CancelCauseFunc

	mu  sync.Mutex
	w   io.Writer
	err error
}

func (w *writer) writeLine(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if _, err := w.w.Write(line); err != nil {
		w.err = fmt.Errorf("writing to standard output: %w", err)
		w.fail(w.err)
	}
}

func (w *writer) problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
