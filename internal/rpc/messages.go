package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"multipeer/engine"
)

// recipients holds peer IDs, or the string "all".
type recipients struct {
	all bool
	ids []engine.PeerID
}

func (r *recipients) UnmarshalJSON(b []byte) error {
	if string(b) == `"all"` {
		r.all = true
		return nil
	}
	return json.Unmarshal(b, &r.ids)
}

type sendParams struct {
	To    recipients `json:"to"`
	Topic string     `json:"topic"`
	content
}

type resultJSON struct {
	Peer  engine.PeerID `json:"peer"`
	Error *errorJSON    `json:"error,omitempty"`
}

type sendResult struct {
	Results []resultJSON `json:"results"`
}

// outgoing is a checked message.
type outgoing struct {
	e     *engine.Engine
	topic *engine.Topic // nil if there is none
	value any
	to    []engine.PeerID
}

// outgoingOf checks a message.
func (s *session) outgoingOf(params json.RawMessage) (o outgoing, err error) {
	p, err := decode[sendParams](params)
	if err != nil {
		return o, err
	}
	if o.value, err = p.value(); err != nil {
		return o, err
	}
	if o.e, err = s.engine(); err != nil {
		return o, err
	}
	if o.topic, err = topicOf(o.e, p.Topic); err != nil {
		return o, err
	}
	o.to = p.To.ids
	if !p.To.all {
		if len(o.to) == 0 {
			return o, badParams(`to: must be a list of IDs, or "all"`)
		}
		return o, nil
	}
	for _, peer := range o.e.Peers() {
		if peer.HasSession() {
			o.to = append(o.to, peer.ID)
		}
	}
	if len(o.to) == 0 {
		return o, engine.ErrNobody
	}
	return o, nil
}

// maxTopic is the longest name of a topic, in bytes of UTF-8; see Engine.Topic.
const maxTopic = 31

// topicOf returns a topic; nil for an empty name.
func topicOf(e *engine.Engine, name string) (t *engine.Topic, err error) {
	if name == "" {
		return nil, nil
	}
	defer func() {
		if recover() != nil {
			err = badParams("topic: must be 1 to %d bytes of UTF-8 without control characters", maxTopic)
		}
	}()
	return e.Topic(name), nil
}

func (o outgoing) post(ctx context.Context, to engine.PeerID) (*engine.Delivery, error) {
	if o.topic != nil {
		return o.topic.Post(ctx, o.value, to)
	}
	return o.e.Post(ctx, o.value, to)
}

// each posts the message to each peer, in the order of requests for that peer, and calls sent with the outcome.
func (s *session) each(o outgoing, sent func(i int, d *engine.Delivery, err error)) {
	for i, to := range o.to {
		queued := s.serial.run(&s.wg, "peer "+to.String(), func() {
			d, err := o.post(s.calls, to)
			sent(i, d, err)
		})
		if !queued {
			sent(i, nil, fmt.Errorf("%w: %d messages to this peer are waiting", engine.ErrBusy, maxQueued))
		}
	}
}

// send responds when each peer has answered.
func send(s *session, params json.RawMessage, r *responder) {
	o, err := s.outgoingOf(params)
	if err != nil {
		r.soon(nil, err)
		return
	}
	results := make([]resultJSON, len(o.to))
	var all sync.WaitGroup
	all.Add(len(o.to))
	s.each(o, func(i int, d *engine.Delivery, err error) {
		if err != nil {
			results[i] = resultJSON{o.to[i], errorOf(err)}
			all.Done()
			return
		}
		s.wg.Go(func() {
			defer all.Done()
			results[i] = resultJSON{o.to[i], errorOf(d.Results()[0].Err)}
		})
	})
	s.wg.Go(func() {
		all.Wait()
		r.done(sendResult{results}, nil)
	})
}

// post responds when the message is queued, with an error if it cannot be queued for any peer. Later it reports the peers
// that did not get it.
func post(s *session, params json.RawMessage, r *responder) {
	o, err := s.outgoingOf(params)
	if err != nil {
		r.soon(nil, err)
		return
	}
	refused := make([]error, len(o.to)) // the messages that cannot be queued
	var left atomic.Int64
	left.Store(int64(len(o.to)))
	s.each(o, func(i int, d *engine.Delivery, err error) {
		refused[i] = err
		if err == nil {
			s.wg.Go(func() { s.report(o.to[i], d.Results()[0].Err) })
		}
		if left.Add(-1) > 0 {
			return
		}
		if !slices.Contains(refused, nil) { // for example a message that is too large
			r.soon(nil, refused[0])
			return
		}
		for i, err := range refused {
			s.wg.Go(func() { s.report(o.to[i], err) })
		}
		r.soon(nil, nil)
	})
}

// report notifies the program of a posted message that was not delivered.
func (s *session) report(to engine.PeerID, err error) {
	if err != nil {
		s.notify("undelivered", resultJSON{to, errorOf(err)})
	}
}

func datagram(s *session, params json.RawMessage, r *responder) {
	o, err := s.outgoingOf(params)
	if err != nil {
		r.soon(nil, err)
		return
	}
	sendTo := o.e.SendDatagram
	if o.topic != nil {
		sendTo = o.topic.SendDatagram
	}
	sent, err := sendTo(o.value, o.to...) // never blocks
	result := sendResult{[]resultJSON{}}
	for _, one := range sent {
		result.Results = append(result.Results, resultJSON{one.Peer, errorOf(one.Err)})
	}
	r.soon(result, err)
}

type topicParams struct {
	Topic string `json:"topic"`
}

// topicNamed returns a topic of the engine. why is the reason why it must have a name.
func (s *session) topicNamed(name, why string) (*engine.Topic, error) {
	e, err := s.engine()
	if err != nil {
		return nil, err
	}
	topic, err := topicOf(e, name)
	if err == nil && topic == nil {
		err = badParams("topic: %s", why)
	}
	return topic, err
}

// subscribe passes on the messages of a topic.
func subscribe(s *session, _ context.Context, p topicParams) (none, error) {
	topic, err := s.topicNamed(p.Topic, "must be given; messages without a topic arrive without a subscription")
	if err != nil {
		return none{}, err
	}
	key := "topic " + p.Topic
	_ = s.unlisten(key)
	ctx, cancel := context.WithCancel(s.ctx)
	messages := topic.Messages(ctx)
	s.listen(key, cancel)
	s.wg.Go(func() {
		for m := range messages {
			s.passOn(m)
		}
	})
	return none{}, nil
}

func unsubscribe(s *session, _ context.Context, p topicParams) (none, error) {
	return none{}, s.unlisten("topic " + p.Topic)
}

type askParams struct {
	To      engine.PeerID `json:"to"`
	Topic   string        `json:"topic"`
	Timeout float64       `json:"timeout_s"` // 0 means 30 s
	content
}

// askPeer sends a request to a peer and waits for its answer.
func askPeer(s *session, ctx context.Context, p askParams) (r content, err error) {
	e, err := s.engine()
	if err != nil {
		return r, err
	}
	v, err := p.value()
	if err != nil {
		return r, err
	}
	topic, err := topicOf(e, p.Topic)
	switch {
	case err != nil:
		return r, err
	case topic == nil:
		return r, badParams("topic: must be given; every request has a topic")
	case p.Timeout < 0 || p.Timeout > 1e6:
		return r, badParams("timeout_s: must be between 0 and 1,000,000")
	case p.Timeout > 0:
		timed, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Timeout*float64(time.Second)), engine.ErrTimeout)
		defer cancel()
		ctx = timed
	}
	m, err := topic.Request(ctx, v, p.To)
	return contentOf(m), err
}

// reply is the program's answer to a request.
type reply struct {
	value any
	err   error
}

type requestJSON struct {
	Request int64 `json:"request"`
	messageJSON
}

// answerTopic passes on the requests of a topic. Each request waits for its reply.
func answerTopic(s *session, _ context.Context, p topicParams) (none, error) {
	topic, err := s.topicNamed(p.Topic, "must be given; every request has a topic")
	if err != nil {
		return none{}, err
	}
	return none{}, s.exclusive("answer "+p.Topic, func(*engine.Engine) func() {
		return topic.Answer(s.ask)
	})
}

// ask passes on a request and waits for the program's reply.
func (s *session) ask(ctx context.Context, m engine.Message) (any, error) {
	replied := make(chan reply, 1)
	n := add(s, &s.asked, replied)
	defer take(s, &s.asked, n)
	s.notify("request", requestJSON{n, messageOf(m)})
	select {
	case r := <-replied:
		return r.value, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, engine.ErrUnavailable
	}
}

func unanswer(s *session, _ context.Context, p topicParams) (none, error) {
	return none{}, s.unlisten("answer " + p.Topic)
}

type replyParams struct {
	Request int64  `json:"request"`
	Error   string `json:"error"`
	content
}

type programError string

func (e programError) Error() string { return string(e) }

func takeReply(s *session, _ context.Context, p replyParams) (none, error) {
	r := reply{err: programError(p.Error)}
	if p.Error == "" {
		v, err := p.value()
		if err != nil {
			return none{}, err
		}
		r = reply{value: v}
	}
	replied, there := take(s, &s.asked, p.Request)
	if !there {
		return none{}, errNoHandle
	}
	replied <- r
	return none{}, nil
}
