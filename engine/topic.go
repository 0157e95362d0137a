package engine

import (
	"context"
	"iter"

	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// Topic is the messages of one part of a program. Several packages can share an engine: each sends and reads the
// messages of its own topic, and no other sees them. Methods may be called concurrently.
type Topic struct {
	e    *Engine
	name string
}

// Topic returns the topic with a name of 1 to MaxTopic bytes of UTF-8, without control characters. It panics if the
// name is invalid.
func (e *Engine) Topic(name string) *Topic {
	if err := wire.ValidateTopic(name); err != nil {
		panic("engine: " + err.Error())
	}
	return &Topic{e, name}
}

// Send is Engine.Send for this topic. Peers whose program does not read it have the Result ErrUnavailable.
func (t *Topic) Send(ctx context.Context, v any, to ...PeerID) ([]Result, error) {
	return sendMessage(ctx, t.e, wire.Text{Topic: t.name}, v, to)
}

// Post is Engine.Post for this topic.
func (t *Topic) Post(ctx context.Context, v any, to ...PeerID) (*Delivery, error) {
	return postMessage(ctx, t.e, wire.Text{Topic: t.name}, v, to)
}

// TryPost is Engine.TryPost for this topic.
func (t *Topic) TryPost(v any, to ...PeerID) (*Delivery, error) {
	return tryPostMessage(t.e, wire.Text{Topic: t.name}, v, to)
}

// SendDatagram is Engine.SendDatagram for this topic.
func (t *Topic) SendDatagram(v any, to ...PeerID) ([]Result, error) {
	return sendDatagram(t.e, wire.Text{Topic: t.name}, v, to)
}

// Messages returns the messages of this topic as a sequence for one range loop, from the moment of the call until ctx
// or the engine ends. As with Engine.Watch, a loop that is slow slows the senders down, and messages that were
// acknowledged are still yielded when ctx ends. Requests do not appear in it: see Answer. Call it before Start: messages
// that arrive while nothing reads are refused.
func (t *Topic) Messages(ctx context.Context) iter.Seq[Message] {
	news := t.e.events.Read(t.e.events.SubscribeTopic(ctx, t.name), nil)
	return func(yield func(Message) bool) {
		for ev := range news {
			if !yield(ev.(messageReceived).message) {
				return
			}
		}
	}
}

// publicMessage converts a received message for programs.
func publicMessage(m peers.Message) Message {
	return Message{
		From: m.From, Name: m.Name, Topic: m.Topic, Body: m.Body, Data: m.Data, At: m.At, Unreliable: m.Unreliable,
	}
}
