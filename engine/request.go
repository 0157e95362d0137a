package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

const (
	// maxRequests is how many requests of one peer to one topic are answered at once, maxRequestsOfAll how many of all
	// peers to all topics. A request counts until the peer has the answer.
	maxRequests      = 32
	maxRequestsOfAll = 256
	// maxRequestsOfPeer is how many of one peer are answered at once, whatever their topics.
	maxRequestsOfPeer = 64
	// maxRequestBytes limits the bytes of the requests of one peer that are answered at once.
	maxRequestBytes = 4 << 20
)

// RequestError is the error that the other program's function returned for a request. Its text is untrusted; control
// characters in it are escaped.
type RequestError struct{ Text string }

func (e *RequestError) Error() string { return e.Text }

// Request sends v to one peer and waits for the answer of its Answer function, until ctx ends, or for SendTimeout if
// ctx has no deadline. The function runs at most once, and does not end with ctx. Errors are a *RequestError from the
// function, ErrUnavailable without one, ErrBusy (32 at once), and ErrNotConnected or ErrLost if the session ends: then
// it may have run.
func (t *Topic) Request(ctx context.Context, v any, to PeerID) (Message, error) {
	if to.Reserved() {
		return Message{}, fmt.Errorf("request: %w: the recipient must be a single peer", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeLeft(ctx), ErrTimeout)
	defer cancel()
	r := &t.e.requests
	n, answer := r.begin(to)
	defer r.end(n)
	results, err := sendMessage(ctx, t.e, wire.Text{Topic: t.name, Ask: n}, v, []PeerID{to})
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return Message{}, err
	}
	for {
		changed := t.e.events.Changed()
		if p, known := t.e.Peer(to); !known || !p.HasSession() {
			select {
			case m := <-answer:
				return answered(m)
			default:
				return Message{}, fmt.Errorf("request: %w", ErrLost)
			}
		}
		select {
		case m := <-answer:
			return answered(m)
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("request: %w", wire.EndOf(ctx))
		case <-t.e.ended:
			return Message{}, ErrClosed
		}
	}
}

// timeLeft returns how long a request may take.
func timeLeft(ctx context.Context) time.Duration {
	if until, has := ctx.Deadline(); has {
		return time.Until(until)
	}
	return SendTimeout
}

func answered(m peers.Message) (Message, error) {
	if m.Failed != "" {
		return Message{}, &RequestError{CleanLine(m.Failed)}
	}
	return publicMessage(m), nil
}

// Answer has f answer the requests of this topic until stop is called; stop does not wait for calls in progress. f gets
// each on its own goroutine, at most 32 of one peer at once, and returns a value as for Send. If f returns an error,
// the requester gets its text, at most 1 KiB. ctx ends with the engine, and not when the requester gives up; Run waits
// for f, Close does not. Answer panics if the topic has a function already.
func (t *Topic) Answer(f func(ctx context.Context, request Message) (any, error)) (stop func()) {
	if f == nil {
		panic("engine: Answer without a function")
	}
	return t.e.requests.handle(t.name, f)
}

type answerFunc = func(context.Context, Message) (any, error)

// requests holds the requests of this engine that wait for an answer, and the functions that answer those of other
// engines. Its lock is a leaf.
type requests struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]waitingRequest
	byTopic map[string]answerFunc
	running map[requesterOf]int
	bytes   map[PeerID]int // total size of the requests that are being answered
	ofPeer  map[PeerID]int // how many those are
	slots   slots
}

type waitingRequest struct {
	to     PeerID
	answer chan peers.Message // buffered, for one answer
}

// requesterOf is a peer that sends requests to a topic.
type requesterOf struct {
	topic string
	from  PeerID
}

func (r *requests) begin(to PeerID) (n uint64, answer chan peers.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[uint64]waitingRequest{}
	}
	r.last++
	answer = make(chan peers.Message, 1)
	r.waiting[r.last] = waitingRequest{to, answer}
	return r.last, answer
}

func (r *requests) end(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, n)
}

func (r *requests) handle(topic string, f answerFunc) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.byTopic[topic]; taken {
		panic(fmt.Sprintf("engine: two functions answer the topic %q", topic))
	}
	if r.byTopic == nil {
		r.byTopic = map[string]answerFunc{}
	}
	r.byTopic[topic] = f
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.byTopic, topic)
	})
}

// takeReply passes an answer to the request that waits for it. One that comes too late, or from another peer, is
// dropped.
func (r *requests) takeReply(m peers.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, waits := r.waiting[m.Reply]
	if !waits || w.to != m.From { // guard: reply-from
		return
	}
	delete(r.waiting, m.Reply)
	w.answer <- m
}

// takeRequest starts the function that answers a request. If it does not, the code is the reason. Locks of the peers
// are held.
func (r *requests) takeRequest(e *Engine, m peers.Message) (refused wire.Code) {
	who := requesterOf{m.Topic, m.From}
	h := holderOf(e, m.From, m.Addr.Addr())
	if e.sending.begin() != nil {
		return wire.Unavailable
	}
	f, refused := r.admit(who, h, m.Size())
	if f == nil {
		e.sending.end()
		return refused
	}
	started := e.calls.Start(func(ctx context.Context) {
		ended := sync.OnceFunc(e.sending.end)
		defer ended()
		defer context.AfterFunc(ctx, ended)() // Shutdown waits for the function only while the engine runs
		defer r.leave(who, h, m.Size())       // an answer takes memory until the peer has it
		if sent := reply(ctx, e, m, f); sent != nil {
			<-sent.Done()
		}
	})
	if !started {
		r.leave(who, h, m.Size())
		e.sending.end()
		return wire.Unavailable
	}
	return 0
}

// admit returns the function that answers, or the reason why none does.
func (r *requests) admit(who requesterOf, h holder, size int) (answerFunc, wire.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.byTopic[who.topic]
	switch {
	case f == nil:
		return nil, wire.Unavailable
	case r.running[who] >= maxRequests: // guard: requests-at-once
		return nil, wire.Busy
	case r.ofPeer[who.from] >= maxRequestsOfPeer: // guard: requests-of-a-peer
		return nil, wire.Busy
	case r.bytes[who.from]+size > maxRequestBytes: // guard: request-bytes
		return nil, wire.Busy
	case !r.slots.take(h, maxRequestsOfAll): // guard: requests-of-all
		return nil, wire.Busy
	}
	if r.running == nil {
		r.running, r.bytes, r.ofPeer = map[requesterOf]int{}, map[PeerID]int{}, map[PeerID]int{}
	}
	r.running[who]++
	r.ofPeer[who.from]++
	r.bytes[who.from] += size
	return f, 0
}

func (r *requests) leave(who requesterOf, h holder, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots.giveBack(h)
	r.running[who]--
	if r.running[who] == 0 {
		delete(r.running, who)
	}
	r.ofPeer[who.from]--
	if r.ofPeer[who.from] == 0 {
		delete(r.ofPeer, who.from)
	}
	r.bytes[who.from] -= size
	if r.bytes[who.from] == 0 {
		delete(r.bytes, who.from)
	}
}

// reply runs f and sends its answer. The delivery is nil if the session has ended.
func reply(ctx context.Context, e *Engine, m peers.Message, f answerFunc) *Delivery {
	msg := wire.Text{Topic: m.Topic, Reply: m.Ask}
	var sent *Delivery
	err := errPanicked
	recoverPanic(e, "Answer", func() {
		var v any
		if v, err = f(ctx, publicMessage(m)); err == nil {
			sent, err = postMessage(ctx, e, msg, v, []PeerID{m.From}) // the value may have its own encoding code
		}
	}, func() { err = errPanicked })
	if sent == nil {
		msg.Failed = failedText(err)
		sent, _ = postMessage(ctx, e, msg, nil, []PeerID{m.From}) // without a session, the requester knows
	}
	return sent
}

// errPanicked is the error of a call whose function panicked.
var errPanicked = errors.New("the handler panicked")

// failedText returns the reason for the requester. It is not empty.
func failedText(err error) string {
	text := CleanLine(err.Error())
	if len(text) > wire.MaxFailed {
		text = strings.ToValidUTF8(text[:wire.MaxFailed], "")
	}
	if text == "" {
		return "failed"
	}
	return text
}
