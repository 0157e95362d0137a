package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"multipeer/engine/internal/wire"
)

// MaxMessage is the largest message, in bytes of JSON.
const MaxMessage = wire.MaxMessage

// sendTimeout bounds a Send whose context has no deadline.
const sendTimeout = 30 * time.Second

// Send sends v, any value that encoding/json can encode to at most MaxMessage bytes, to the peers named, or to all
// that are connected if none is. It waits until each has answered, 30 s at the longest, and returns one Result for
// each: without an error the other program has the message. Messages of one sender arrive in order. The error is
// for what keeps the whole from being sent: ErrTooLarge, ErrNobody, or a value that is no JSON.
func (e *Engine) Send(ctx context.Context, v any, to ...PeerID) ([]Result, error) {
	body, err := encode(v)
	if err != nil {
		return nil, err
	}
	if len(to) == 0 {
		for _, p := range e.Peers() {
			if p.State == Connected {
				to = append(to, p.ID)
			}
		}
		if len(to) == 0 {
			return nil, ErrNobody
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, ErrTimeout)
	defer cancel()
	results := make([]Result, len(to))
	var wg sync.WaitGroup
	for i, id := range to {
		wg.Go(func() { results[i] = Result{id, e.sendTo(ctx, id, body)} })
	}
	wg.Wait()
	return results, nil
}

// encode is json.Marshal with the limit, and without the escaping meant for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	body := bytes.TrimRight(b.Bytes(), "\n")
	if len(body) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes: %w: at most %d; send a file instead", len(body), ErrTooLarge, MaxMessage)
	}
	if err := wire.Check(body); err != nil { // a json.Marshaler or RawMessage can hold what the other side refuses
		return nil, fmt.Errorf("message: %w: %w", ErrInvalid, err)
	}
	return body, nil
}

func (e *Engine) sendTo(ctx context.Context, id PeerID, body json.RawMessage) error {
	p, l, err := e.linkTo(id)
	if err != nil {
		return err
	}
	e.mu.Lock()
	connected := p.state == Connected
	e.mu.Unlock()
	if !connected {
		return ErrNotConnected
	}
	select {
	case l.sent <- struct{}{}:
		defer func() { <-l.sent }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.conn.Done():
		return l.conn.Err()
	}
	answer, err := l.post(body)
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		// It is on its way and may still arrive; the caller is told that nobody confirmed it.
		return context.Cause(ctx)
	}
}

// post numbers a message and queues it, under one lock: so messages go out in the order of their numbers.
func (l *link) post(body json.RawMessage) (<-chan error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, l.ended
	}
	l.counter++
	frame, err := wire.Frame(wire.Text{N: l.counter, Body: body})
	if err != nil {
		return nil, err
	}
	c := make(chan error, 1)
	l.acks[l.counter] = c
	l.queue(frame)
	return c, nil
}

func (l *link) ack(m wire.TextAck) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.acks[m.N]; c != nil {
		delete(l.acks, m.N)
		if m.Code == wire.Bye {
			c <- nil
		} else {
			c <- m.Code.Err()
		}
	}
}

// takeMessage hands a message to the program. The sender is who the conn's key says; the time is ours.
func (e *Engine) takeMessage(p *peer, l *link, m wire.Text) error {
	e.mu.Lock()
	ack := wire.TextAck{N: m.N}
	switch {
	case p.state != Connected:
		ack.Code = wire.NotConnected
	case !e.watched():
		ack.Code = wire.Unavailable
	case !e.publish(MessageReceived{Message{From: p.id, Name: p.name, Body: m.Body, At: now()}}):
		ack.Code = wire.Busy
	}
	e.mu.Unlock()
	l.send(ack)
	return nil
}
